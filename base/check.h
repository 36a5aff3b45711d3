// OCTET_CHECK states an invariant of our own code. A false one is a bug: the process ends with the
// place and the condition on stderr. Never use it on input; input gets an absl::Status.
#ifndef OCTET_BASE_CHECK_H_
#define OCTET_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace octet {

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

}  // namespace octet

#define OCTET_CHECK(condition) \
  (static_cast<bool>(condition) ? void() : ::octet::CheckFailed(__FILE__, __LINE__, #condition))

#endif  // OCTET_BASE_CHECK_H_
