// Files of one model directory, opened safely: names come from the format (never from a request), every
// open resolves beneath the root (openat2, RESOLVE_BENEATH), only regular files, never blocking, never
// mapped. A file that changes while it is read is an error. Thread-safe after Open.
#ifndef OCTET_MODEL_MODEL_DIRECTORY_H_
#define OCTET_MODEL_MODEL_DIRECTORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::model {

// One open regular file. Size and identity are taken at open.
class ModelFile {
 public:
  ~ModelFile();
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  uint64_t size() const { return size_; }
  const std::string& name() const { return name_; }

  // Fills `out` from `offset`. DataLoss "<name>: file changed while loading" on a short read.
  absl::Status ReadAt(uint64_t offset, std::span<std::byte> out) const;
  // DataLoss if size, modification time or inode differ from those at open, also when the name now leads
  // to another file. Call after the last read.
  absl::Status CheckUnchanged() const;

 private:
  friend class ModelDirectory;
  struct Root;  // the open root, shared with the directory
  ModelFile() = default;
  std::shared_ptr<const Root> root_;
  int fd_ = -1;
  uint64_t size_ = 0, inode_ = 0, device_ = 0;
  int64_t mtime_ns_ = 0;
  std::string name_;
};

class ModelDirectory {
 public:
  // NotFound / InvalidArgument when `path` is not a directory that can be read. Links may lead anywhere
  // beneath `path`; when it is a snapshot of the Hugging Face cache (<repo>/snapshots/<revision> beside
  // <repo>/blobs), anywhere beneath <repo>.
  static absl::StatusOr<std::unique_ptr<ModelDirectory>> Open(const std::string& path);
  ~ModelDirectory();
  ModelDirectory(const ModelDirectory&) = delete;
  ModelDirectory& operator=(const ModelDirectory&) = delete;

  // `name` is relative to the root, at most one folder deep. NotFound when absent; InvalidArgument for
  // anything but a readable regular file beneath the root (links inside it are followed).
  absl::StatusOr<std::unique_ptr<ModelFile>> OpenFile(absl::string_view name) const;
  // True when there is anything of that name (a broken or refused link too: OpenFile then says why). Never
  // opens its content.
  bool Exists(absl::string_view name) const;
  // The whole file; InvalidArgument when it is larger than `max_bytes`.
  absl::StatusOr<std::string> ReadSmallFile(absl::string_view name, uint64_t max_bytes) const;

 private:
  ModelDirectory() = default;
  std::shared_ptr<const ModelFile::Root> root_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_MODEL_DIRECTORY_H_
