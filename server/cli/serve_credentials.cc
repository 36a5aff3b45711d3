#include "server/cli/serve_credentials.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

std::string UtcTime(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

// The shortest of the intervals that the configuration asks for: one thread looks at everything.
absl::Duration RefreshOf(const Config& config, const Credentials& credentials) {
  absl::Duration refresh = absl::InfiniteDuration();
  if (credentials.certificates != nullptr) refresh = absl::Milliseconds(config.tls().refresh_ms());
  if (credentials.tokens != nullptr || credentials.management_tokens != nullptr) {
    refresh = std::min(refresh, absl::Milliseconds(config.auth().refresh_ms()));
  }
  return refresh;
}

}  // namespace

absl::StatusOr<Credentials> LoadCredentials(const Config& config) {
  Credentials credentials;
  const auto& tls = config.tls();
  if (!tls.certificate_file().empty()) {
    ASSIGN_OR_RETURN(credentials.certificates, security::LoadCertificates({.certificate_file = tls.certificate_file(),
                                                                           .key_file = tls.key_file(),
                                                                           .client_ca_file = tls.client_ca_file()}));
  }
  if (const std::string& path = config.auth().token_file(); !path.empty()) {
    ASSIGN_OR_RETURN(credentials.tokens, security::LoadTokens("auth.token_file", path));
  }
  if (const std::string& path = config.management().token_file(); !path.empty()) {
    ASSIGN_OR_RETURN(credentials.management_tokens, security::LoadTokens("management.token_file", path));
  }
  return credentials;
}

CertificateAge AgeOf(absl::Time not_after, absl::Time now, absl::Duration warning) {
  if (now > not_after) return CertificateAge::kExpired;
  return not_after - now < warning ? CertificateAge::kExpiresSoon : CertificateAge::kFine;
}

CredentialWatcher::CredentialWatcher(const Config& config, Credentials* credentials, serving::Metrics* metrics)
    : credentials_(credentials),
      refresh_(RefreshOf(config, *credentials)),
      expiry_warning_(absl::Milliseconds(config.tls().expiry_warning_ms())) {
  serving::CredentialFamilies* const families = metrics->credentials();
  if (auto* const store = credentials->certificates.get()) {
    expiry_ = families->TlsExpiry();
    Add(
        "tls", [store] { return store->Refresh(); }, families->ForTls());
    const auto current = store->Current();
    spdlog::info("tls: certificate {}, valid until {}{}", current->value.serial, UtcTime(current->value.not_after),
                 current->value.pem.client_ca.empty() ? "" : "; clients need a certificate");
  }
  if (auto* const store = credentials->tokens.get()) {
    Add(
        "auth", [store] { return store->Refresh(); }, families->ForTokens("grpc"));
  }
  if (auto* const store = credentials->management_tokens.get()) {
    Add(
        "management", [store] { return store->Refresh(); }, families->ForTokens("management"));
  }
  if (watched_.empty()) return;
  LookNow();  // what has changed while models were loaded, and the first word on the expiry
  thread_ = std::thread([this] { Run(); });
}

CredentialWatcher::~CredentialWatcher() {
  {
    MutexLock lock(&mu_);
    stop_ = true;
  }
  stopped_.SignalAll();
  if (thread_.joinable()) thread_.join();
}

void CredentialWatcher::Add(std::string what, std::function<security::Reload()> refresh,
                            serving::ReloadMetrics metrics) {
  watched_.push_back({std::move(what), std::move(refresh), metrics});
}

void CredentialWatcher::Run() {
  while (true) {
    {
      MutexLock lock(&mu_);
      if (!stop_) stopped_.WaitWithTimeout(&mu_, refresh_);
      if (stop_) return;
    }
    LookNow();
  }
}

std::vector<CredentialWatcher::Look> CredentialWatcher::LookNow() {
  MutexLock lock(&look_mu_);
  std::vector<Look> looks;
  for (const Watched& watched : watched_) {
    security::Reload reload = watched.refresh();
    Tell(watched, reload);
    looks.push_back({watched.what, std::move(reload)});
  }
  if (expiry_ != nullptr) TellExpiry();
  return looks;
}

void CredentialWatcher::Tell(const Watched& watched, const security::Reload& reload) const {
  using Result = security::Reload::Result;
  watched.metrics.failed->Set(reload.result == Result::kRejected ? 1 : 0);
  if (!reload.is_news) return;
  switch (reload.result) {
    case Result::kReloaded:
      watched.metrics.accepted->Increment();
      spdlog::info("{}: new files accepted{}", watched.what,
                   watched.what == "tls" ? "; new connections get them, old ones go on" : "");
      return;
    case Result::kRejected:
      watched.metrics.rejected->Increment();
      spdlog::error("{}: new files rejected, those from before stay in use: {}", watched.what,
                    std::string(reload.status.message()));
      return;
    case Result::kUnchanged:
      spdlog::info("{}: the files are again those in use", watched.what);
      return;
  }
}

void CredentialWatcher::TellExpiry() {
  const auto current = credentials_->certificates->Current();
  expiry_->Set(static_cast<double>(absl::ToUnixSeconds(current->value.not_after)));
  const CertificateAge age = AgeOf(current->value.not_after, absl::Now(), expiry_warning_);
  if (age == std::exchange(told_age_, age)) return;
  const std::string when = UtcTime(current->value.not_after);
  if (age == CertificateAge::kExpired) {
    spdlog::error("tls: certificate {} expired at {}; clients refuse it. Put a new one in its place",
                  current->value.serial, when);
  } else if (age == CertificateAge::kExpiresSoon) {
    spdlog::warn("tls: certificate {} expires at {}; put a new one in its place", current->value.serial, when);
  }
}

}  // namespace octet::cli
