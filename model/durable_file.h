// A file that is written through to the disk. Errors name the path and the system's reason: ResourceExhausted when the
// disk is full, else Internal. Not thread-safe.
#ifndef OCTET_MODEL_DURABLE_FILE_H_
#define OCTET_MODEL_DURABLE_FILE_H_

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace octet::model {

class DurableFile {
 public:
  // Makes the file, which must not exist; a failure shows at the first Append.
  explicit DurableFile(const std::string& path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  absl::Status Append(std::span<const std::byte> bytes);
  absl::Status Append(absl::string_view text) { return Append(std::as_bytes(std::span(text.data(), text.size()))); }
  // Call last.
  absl::Status Sync();

 private:
  const std::string path_;
  const int fd_;
};

// Makes renames and removals in a folder last.
absl::Status SyncFolder(const std::string& path);

}  // namespace octet::model

#endif  // OCTET_MODEL_DURABLE_FILE_H_
