// docs/metrics.md as Markdown, from the families that Metrics declares. `make metrics-page` writes it and a test compares
// it, so that the page cannot say anything else than the server does. Thread-safe.
#ifndef OCTET_TESTS_SERVING_METRICS_PAGE_H_
#define OCTET_TESTS_SERVING_METRICS_PAGE_H_

#include <string>

namespace octet::serving {

std::string MetricsPage();

}  // namespace octet::serving

#endif  // OCTET_TESTS_SERVING_METRICS_PAGE_H_
