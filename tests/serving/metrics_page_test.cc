#include "tests/serving/metrics_page.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace octet::serving {
namespace {

TEST(MetricsPageTest, TheOneInDocsIsOfThisServer) {
  const std::string path = std::string(OCTET_SOURCE_DIR) + "/docs/metrics.md";
  std::ifstream in(path, std::ios::binary);
  const std::string page((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_EQ(page, MetricsPage()) << "docs/metrics.md is stale; run: make metrics-page";
}

}  // namespace
}  // namespace octet::serving
