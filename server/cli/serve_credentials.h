// The files behind `tls`, `auth` and `management.token_file`: read and verified before anything is served, looked at again
// by a thread of their own while it is. What a look comes to is logged and counted once for each change.
#ifndef OCTET_SERVER_CLI_SERVE_CREDENTIALS_H_
#define OCTET_SERVER_CLI_SERVE_CREDENTIALS_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/cli/config_schema.h"
#include "server/security/bearer_tokens.h"
#include "server/security/certificates.h"
#include "serving/metrics.h"

namespace octet::cli {

// Null where the configuration names no file.
struct Credentials {
  std::unique_ptr<security::CertificateStore> certificates;
  std::unique_ptr<security::TokenStore> tokens, management_tokens;
};

// Errors of LoadCertificates and LoadTokens, which name the setting.
absl::StatusOr<Credentials> LoadCredentials(const Config& config);

// How close a certificate is to its end; what the log says of it.
enum class CertificateAge { kFine, kExpiresSoon, kExpired };
CertificateAge AgeOf(absl::Time not_after, absl::Time now, absl::Duration warning);

// Thread-safe.
class CredentialWatcher {
 public:
  struct Look {
    std::string what;  // "tls", "auth" or "management"
    security::Reload reload;
  };

  // Starts to look. The pointers must outlive it.
  CredentialWatcher(const Config& config, Credentials* credentials, serving::Metrics* metrics);
  ~CredentialWatcher();

  // Looks at all files now.
  std::vector<Look> LookNow();

 private:
  struct Watched {
    std::string what;
    std::function<security::Reload()> refresh;
    serving::ReloadMetrics metrics;
  };

  void Add(std::string what, std::function<security::Reload()> refresh, serving::ReloadMetrics metrics);
  void Run();
  void Tell(const Watched& watched, const security::Reload& reload) const;
  void TellExpiry() ABSL_EXCLUSIVE_LOCKS_REQUIRED(look_mu_);

  const Credentials* const credentials_;
  const absl::Duration refresh_, expiry_warning_;
  prometheus::Gauge* expiry_ = nullptr;  // with TLS
  std::vector<Watched> watched_;

  Mutex look_mu_;  // one look at a time, so that its log lines and metrics are in order
  CertificateAge told_age_ ABSL_GUARDED_BY(look_mu_) = CertificateAge::kFine;

  Mutex mu_;
  CondVar stopped_;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // none when there is nothing to look at
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_CREDENTIALS_H_
