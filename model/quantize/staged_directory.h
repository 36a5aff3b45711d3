// A folder beside the wanted one in which a directory is put together; it gets its name only when it is whole. What an
// interrupted run left is found again by the next. Errors name the path and the system's reason. Not thread-safe.
#ifndef OCTET_MODEL_QUANTIZE_STAGED_DIRECTORY_H_
#define OCTET_MODEL_QUANTIZE_STAGED_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::model {

class StagedDirectory {
 public:
  // `source`: what the directory is made from. InvalidArgument when `path` is or holds it. AlreadyExists when `path`
  // exists and is not an empty folder, unless `overwrite` and it is a model directory; or when "<path>.partial" has
  // files that no such run made. FailedPrecondition while another process writes there.
  static absl::StatusOr<std::unique_ptr<StagedDirectory>> Open(const std::string& path, const std::string& source,
                                                               bool overwrite);
  ~StagedDirectory();
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  // Where to write.
  const std::string& staging_path() const { return staging_path_; }
  std::string File(absl::string_view name) const;
  // Makes a file of the staging folder, in place of one that an earlier run left.
  absl::Status WriteText(absl::string_view name, absl::string_view text) const;
  void Remove(absl::string_view name) const;
  absl::Status Rename(absl::string_view name, absl::string_view new_name) const;
  // Takes out everything.
  absl::Status Empty() const;
  // Gives the folder its name. An older directory of that name is moved aside first and removed last. AlreadyExists
  // when one has come meanwhile. Call once.
  absl::Status Publish();

 private:
  StagedDirectory(std::string path, bool overwrite);
  absl::Status CheckTarget() const;
  absl::Status Lock();

  const std::string path_, staging_path_;
  const bool overwrite_;
  int lock_fd_ = -1;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_STAGED_DIRECTORY_H_
