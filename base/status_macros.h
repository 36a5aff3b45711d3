// Early return on errors, for absl::Status and absl::StatusOr. Debian's Abseil has no such macros.
#ifndef OCTET_BASE_STATUS_MACROS_H_
#define OCTET_BASE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define OCTET_CONCAT_INNER(a, b) a##b
#define OCTET_CONCAT(a, b) OCTET_CONCAT_INNER(a, b)

// Evaluates `expr` (an absl::Status) once and returns it from the enclosing function unless OK.
#define RETURN_IF_ERROR(expr)                                                        \
  do {                                                                               \
    if (absl::Status octet_status = (expr); !octet_status.ok()) return octet_status; \
  } while (false)

// Evaluates `expr` (an absl::StatusOr<T>) once; returns its status from the enclosing function
// unless OK, else assigns the value to `lhs`, which may be a declaration.
#define ASSIGN_OR_RETURN(lhs, expr) OCTET_ASSIGN_OR_RETURN(OCTET_CONCAT(octet_status_or_, __LINE__), lhs, expr)
#define OCTET_ASSIGN_OR_RETURN(tmp, lhs, expr)   \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return std::move(tmp).status(); \
  lhs = *std::move(tmp)

#endif  // OCTET_BASE_STATUS_MACROS_H_
