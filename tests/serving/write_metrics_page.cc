// Prints docs/metrics.md on stdout; see make metrics-page.
#include <cstdio>

#include "tests/serving/metrics_page.h"

int main() { return std::fputs(octet::serving::MetricsPage().c_str(), stdout) < 0 ? 1 : 0; }
