#include "serving/credential_metrics.h"

namespace octet::serving {
namespace {

prometheus::Family<prometheus::Counter>* Counters(prometheus::Registry* registry, const char* name, const char* help) {
  return &prometheus::BuildCounter().Name(name).Help(help).Register(*registry);
}

prometheus::Family<prometheus::Gauge>* Gauges(prometheus::Registry* registry, const char* name, const char* help) {
  return &prometheus::BuildGauge().Name(name).Help(help).Register(*registry);
}

ReloadMetrics Reloads(prometheus::Family<prometheus::Counter>* reloads, prometheus::Family<prometheus::Gauge>* failed,
                      const prometheus::Labels& labels) {
  const auto with_result = [&](const char* result) {
    prometheus::Labels all = labels;
    all["result"] = result;
    return &reloads->Add(all);
  };
  return {.accepted = with_result("accepted"), .rejected = with_result("rejected"), .failed = &failed->Add(labels)};
}

}  // namespace

CredentialFamilies::CredentialFamilies(prometheus::Registry* registry)
    : tls_reloads_(Counters(registry, "octet_tls_reloads_total",
                            "New contents of the certificate files: accepted, or rejected and the old ones kept.")),
      tls_failed_(Gauges(registry, "octet_tls_reload_failed",
                         "1 while the certificate files hold something that was rejected.")),
      tls_expiry_(Gauges(registry, "octet_tls_certificate_expiry_timestamp_seconds",
                         "When the server's certificate in use expires, since the Unix epoch.")),
      token_reloads_(Counters(registry, "octet_token_reloads_total",
                              "New contents of a token file: accepted, or rejected and the old ones kept.")),
      token_failed_(
          Gauges(registry, "octet_token_reload_failed", "1 while a token file holds something that was rejected.")) {}

ReloadMetrics CredentialFamilies::ForTls() { return Reloads(tls_reloads_, tls_failed_, {}); }

prometheus::Gauge* CredentialFamilies::TlsExpiry() { return &tls_expiry_->Add({}); }

ReloadMetrics CredentialFamilies::ForTokens(const std::string& listener) {
  return Reloads(token_reloads_, token_failed_, {{"listener", listener}});
}

}  // namespace octet::serving
