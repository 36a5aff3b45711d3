// Files of keys, certificates and tokens, which others replace while octet runs: read whole, bounded, and several of
// them as they were together. Thread-safe functions.
#ifndef OCTET_SERVER_SECURITY_SMALL_FILE_H_
#define OCTET_SERVER_SECURITY_SMALL_FILE_H_

#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace octet::security {

// A file and the setting that names it: "tls.key_file".
struct NamedFile {
  std::string setting;
  std::string path;
};

// Contents in the order of `files`. They are read twice and the two must agree, so that files replaced together by the
// swap of a directory link (as Kubernetes does with secrets) are never a mix of old and new. NotFound, PermissionDenied
// or FailedPrecondition "SETTING: ..." for a file that cannot be read, is no regular file or is above 1 MiB;
// Unavailable when the files kept changing. Messages hold no paths.
absl::StatusOr<std::vector<std::string>> ReadTogether(std::span<const NamedFile> files);

}  // namespace octet::security

#endif  // OCTET_SERVER_SECURITY_SMALL_FILE_H_
