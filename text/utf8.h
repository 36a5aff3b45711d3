// Strict UTF-8 validation (no overlong forms, surrogates or values above U+10FFFF; NUL is allowed).
#ifndef OCTET_TEXT_UTF8_H_
#define OCTET_TEXT_UTF8_H_

#include <cstddef>
#include <optional>

#include "absl/strings/string_view.h"

namespace octet::text {

// Byte position of the first sequence that is not valid UTF-8, or nothing when all of `s` is.
std::optional<size_t> FindInvalidUtf8(absl::string_view s);

}  // namespace octet::text

#endif  // OCTET_TEXT_UTF8_H_
