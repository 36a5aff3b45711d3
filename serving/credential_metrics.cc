#include "serving/credential_metrics.h"

namespace octet::serving {
namespace {

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

CredentialFamilies::CredentialFamilies(MetricRegistry* registry)
    : tls_reloads_(
          registry->Counters({"octet_tls_reloads_total",
                              "reloads",
                              "New contents of the certificate files: accepted, or rejected and the old ones kept.",
                              {"result"}})),
      tls_failed_(registry->Gauges(
          {"octet_tls_reload_failed", "", "1 while the certificate files hold something that was rejected."})),
      tls_expiry_(registry->Gauges({"octet_tls_certificate_expiry_timestamp_seconds", "seconds",
                                    "When the server's certificate in use expires, since the Unix epoch."})),
      token_reloads_(registry->Counters({"octet_token_reloads_total",
                                         "reloads",
                                         "New contents of a token file: accepted, or rejected and the old ones kept.",
                                         {"listener", "result"}})),
      token_failed_(registry->Gauges(
          {"octet_token_reload_failed", "", "1 while a token file holds something that was rejected.", {"listener"}})) {
}

ReloadMetrics CredentialFamilies::ForTls() { return Reloads(tls_reloads_, tls_failed_, {}); }

prometheus::Gauge* CredentialFamilies::TlsExpiry() { return &tls_expiry_->Add({}); }

ReloadMetrics CredentialFamilies::ForTokens(const std::string& listener) {
  return Reloads(token_reloads_, token_failed_, {{"listener", listener}});
}

}  // namespace octet::serving
