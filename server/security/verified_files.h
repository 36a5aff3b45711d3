// Something made of files that are looked at again and again: new contents take the place of the old only after they
// have been verified, and what was good stays in use while they are not. Contents are compared, not times or inodes, so
// any way of replacing files is noticed, and none twice. Thread-safe.
#ifndef OCTET_SERVER_SECURITY_VERIFIED_FILES_H_
#define OCTET_SERVER_SECURITY_VERIFIED_FILES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "server/security/small_file.h"

namespace octet::security {

// What a look at the files has come to.
struct Reload {
  enum class Result { kUnchanged, kReloaded, kRejected };
  Result result = Result::kUnchanged;
  absl::Status status = absl::OkStatus();  // why they were rejected
  bool is_news = false;                    // not the same as at the look before
};

template <typename T>
class VerifiedFiles {
 public:
  // Makes a T of the files' contents, in their order, or says what is wrong with them.
  using Verify = std::function<absl::StatusOr<T>(const std::vector<std::string>& contents)>;

  struct Version {
    T value;
    uint64_t number = 1;  // counts the reloads
  };

  // Errors of ReadTogether and `verify`.
  static absl::StatusOr<std::unique_ptr<VerifiedFiles>> Load(std::vector<NamedFile> files, Verify verify) {
    auto contents = ReadTogether(files);
    if (!contents.ok()) return contents.status();
    auto value = verify(*contents);
    if (!value.ok()) return value.status();
    std::unique_ptr<VerifiedFiles> loaded(new VerifiedFiles(std::move(files), std::move(verify)));
    loaded->Publish(*std::move(contents), *std::move(value));
    return loaded;
  }

  std::shared_ptr<const Version> Current() const {
    MutexLock lock(&current_mu_);
    return current_;
  }

  // Contents that were rejected are verified again each time: a certificate may have become valid since.
  Reload Refresh() {
    MutexLock lock(&refresh_mu_);
    auto contents = ReadTogether(files_);
    if (contents.ok() && *contents == contents_) {
      const bool was_rejected = !std::exchange(rejection_, absl::OkStatus()).ok();
      return {.is_news = was_rejected};
    }
    auto value = contents.ok() ? verify_(*contents) : absl::StatusOr<T>(contents.status());
    if (!value.ok()) {
      const bool is_news = rejection_ != value.status();
      rejection_ = value.status();
      return {.result = Reload::Result::kRejected, .status = rejection_, .is_news = is_news};
    }
    rejection_ = absl::OkStatus();
    PublishLocked(*std::move(contents), *std::move(value));
    return {.result = Reload::Result::kReloaded, .is_news = true};
  }

 private:
  VerifiedFiles(std::vector<NamedFile> files, Verify verify) : files_(std::move(files)), verify_(std::move(verify)) {}

  void Publish(std::vector<std::string> contents, T value) {
    MutexLock lock(&refresh_mu_);
    PublishLocked(std::move(contents), std::move(value));
  }

  void PublishLocked(std::vector<std::string> contents, T value) ABSL_EXCLUSIVE_LOCKS_REQUIRED(refresh_mu_) {
    contents_ = std::move(contents);
    MutexLock lock(&current_mu_);
    const uint64_t number = current_ == nullptr ? 1 : current_->number + 1;
    current_ = std::make_shared<const Version>(Version{std::move(value), number});
  }

  const std::vector<NamedFile> files_;
  const Verify verify_;

  Mutex refresh_mu_;                                                // one look at a time
  std::vector<std::string> contents_ ABSL_GUARDED_BY(refresh_mu_);  // of what is in use
  absl::Status rejection_ ABSL_GUARDED_BY(refresh_mu_);             // of the latest look

  mutable Mutex current_mu_;
  std::shared_ptr<const Version> current_ ABSL_GUARDED_BY(current_mu_);
};

}  // namespace octet::security

#endif  // OCTET_SERVER_SECURITY_VERIFIED_FILES_H_
