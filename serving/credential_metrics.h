// What re-reading certificates and tokens counts: a part of Metrics (metrics.h), whose rules hold here too. A server
// without them has no series. Thread-safe.
#ifndef OCTET_SERVING_CREDENTIAL_METRICS_H_
#define OCTET_SERVING_CREDENTIAL_METRICS_H_

#include <string>

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "serving/metric_registry.h"

namespace octet::serving {

// Of one set of files.
struct ReloadMetrics {
  prometheus::Counter* accepted = nullptr;
  prometheus::Counter* rejected = nullptr;  // contents, not looks at them
  prometheus::Gauge* failed = nullptr;      // 1 while the files are not what is in use
};

class CredentialFamilies {
 public:
  // `registry` must outlive it.
  explicit CredentialFamilies(MetricRegistry* registry);

  // The series exist from the first call on; the same children every time.
  ReloadMetrics ForTls();
  prometheus::Gauge* TlsExpiry();  // seconds since the Unix epoch
  // `listener`: "grpc" or "management".
  ReloadMetrics ForTokens(const std::string& listener);

 private:
  prometheus::Family<prometheus::Counter>* const tls_reloads_;
  prometheus::Family<prometheus::Gauge>* const tls_failed_;
  prometheus::Family<prometheus::Gauge>* const tls_expiry_;
  prometheus::Family<prometheus::Counter>* const token_reloads_;
  prometheus::Family<prometheus::Gauge>* const token_failed_;
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_CREDENTIAL_METRICS_H_
