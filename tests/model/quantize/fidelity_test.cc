#include "model/quantize/fidelity.h"

#include <gtest/gtest.h>

namespace octet::model {
namespace {

TEST(FidelityTest, EmbeddingsAreComparedByDirection) {
  const std::vector<float> reference = {1, 0, 3, 4, 0, 0}, outputs = {2, 0, 4, 3, 1, 1};
  const Fidelity fidelity = CompareOutputs(Task::kEmbedding, reference, outputs, 2);
  EXPECT_NEAR(fidelity.cosine_mean, (1 + 24.0 / 25 + 0) / 3, 1e-12);
  EXPECT_EQ(fidelity.cosine_min, 0);  // of the zero vector
}

TEST(FidelityTest, OneLogitIsComparedBySize) {
  // m = (25 + 1) / 2; the first text is 4 away, the second equal.
  const std::vector<float> reference = {5, -1}, outputs = {1, -1};
  const Fidelity fidelity = CompareOutputs(Task::kClassification, reference, outputs, 1);
  EXPECT_NEAR(fidelity.cosine_min, 1 - 16.0 / 26, 1e-12);
  EXPECT_NEAR(fidelity.cosine_mean, 1 - 8.0 / 26, 1e-12);
}

TEST(FidelityTest, LogitsOfOneLengthHaveTheirCosine) {
  const std::vector<float> reference = {3, 4}, outputs = {4, 3};
  EXPECT_NEAR(CompareOutputs(Task::kClassification, reference, outputs, 2).cosine_mean, 24.0 / 25, 1e-12);
}

}  // namespace
}  // namespace octet::model
