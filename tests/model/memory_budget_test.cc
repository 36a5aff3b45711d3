#include "model/memory_budget.h"

#include <gtest/gtest.h>

namespace octet::model {
namespace {

TEST(MemoryBudgetTest, F26_LargerThanTheLimit) {
  const MemoryUse use = {.weight_bytes = 300 << 20, .embedding_bytes = 90 << 20, .arena_bytes = 10 << 20};
  EXPECT_TRUE(CheckMemoryLimit(use, 0).ok());
  EXPECT_TRUE(CheckMemoryLimit(use, 400 << 20).ok());
  const absl::Status status = CheckMemoryLimit(use, (400 << 20) - 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(std::string(status.message()), "model: needs 401 MiB, limit 399 MiB");
  EXPECT_FALSE(CheckMemoryLimit({.weight_bytes = ~uint64_t{0}, .embedding_bytes = 1}, ~uint64_t{0}).ok());
}

}  // namespace
}  // namespace octet::model
