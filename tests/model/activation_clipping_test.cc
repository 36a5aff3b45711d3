#include "model/activation_clipping.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "kernels/kernel_table.h"
#include "model/text_model.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using kernels::RowRange;

constexpr size_t kFixedLinear = LinearIdx(1, LinearSlot::kIntermediate);
constexpr kernels::RowQuantization kFixed = {.scale = 0.5f, .zero_point = 100};  // -50 to 77.5

class ActivationClippingTest : public ::testing::Test {
 protected:
  ActivationClippingTest() { octet::testing::WriteTinyModel(directory_.path()); }

  // A model of two layers, one of whose linear layers has `format`.
  std::shared_ptr<const TextModel> Load(const kernels::InputFormat& format, int num_threads = 1) {
    auto plan = std::make_shared<QuantizationPlan>();
    plan->linears.resize(2 * kLinearsPerLayer);
    plan->linears[kFixedLinear].input = format;
    auto model = TextModel::Load(
        directory_.path(),
        {.isa = DetectIsa(), .max_batch_tokens = 256, .num_threads = num_threads, .plan = std::move(plan)});
    EXPECT_TRUE(model.ok()) << model.status();
    return *model;
  }

  octet::testing::TempDir directory_;
};

TEST_F(ActivationClippingTest, RangesThatFollowEachRowClipNothing) {
  const auto model = Load({});
  EXPECT_FALSE(HasFixedRanges(model->encoder()));
  ClippingCounter counter(model->encoder());
  counter.OnRow(kFixedLinear, std::vector<float>{1e9f, -1e9f});
  EXPECT_EQ(counter.count().values, 0u);
  EXPECT_EQ(counter.count().clipped, 0u);
}

// Value by value against the kernel that serves: cut off is what comes out as the range's end and is further from it
// than rounding explains.
TEST_F(ActivationClippingTest, CountsWhatTheKernelCutsOff) {
  const auto model = Load({.range = RowRange::kFixed, .fixed = kFixed});
  EXPECT_TRUE(HasFixedRanges(model->encoder()));
  const kernels::RowQuantizer quantizer = {.range = RowRange::kFixed, .fixed = kFixed};
  for (float x = -60; x < 90; x += 0.1f) {
    uint8_t q = 0;
    kernels::RowQuantization row;
    model->encoder().kernels().quantize_rows_u8(&x, 1, quantizer, 1, &q, &row);
    const float error = std::abs(kFixed.scale * static_cast<float>(q - kFixed.zero_point) - x);
    ClippingCounter counter(model->encoder());
    counter.OnRow(kFixedLinear, {&x, 1});
    EXPECT_EQ(counter.count().values, 1u);
    EXPECT_EQ(counter.count().clipped, error > kFixed.scale / 2 ? 1u : 0u) << x;
  }
}

TEST_F(ActivationClippingTest, FactorsComeFirst) {
  std::vector<float> factors(32, 1);
  factors[1] = 10;
  const auto model = Load({.range = RowRange::kFixed, .fixed = kFixed, .factors = factors});
  ClippingCounter counter(model->encoder());
  std::vector<float> row(32, 20);  // the second is 200
  counter.OnRow(kFixedLinear, row);
  counter.OnRow(kFixedLinear, row);
  counter.OnRow(LinearIdx(0, LinearSlot::kIntermediate), row);
  EXPECT_EQ(counter.count().values, 64u);
  EXPECT_EQ(counter.count().clipped, 2u);
}

TEST_F(ActivationClippingTest, SeesEveryRowOfAPassOnceOnATeamOfAnySize) {
  const std::vector<int32_t> ids(90, 7);
  const uint32_t starts[] = {0, 30, 60, 90};
  for (const int num_threads : {1, 3}) {
    // Nothing but 0 is inside.
    const auto model = Load({.range = RowRange::kFixed, .fixed = {.scale = 1e-30f, .zero_point = 128}}, num_threads);
    kernels::ThreadTeam team(num_threads);
    const auto workspace = model->NewWorkspace(&team);
    ClippingCounter counter(model->encoder());
    workspace->SetObserver(&counter);
    ASSERT_TRUE(model->encoder().Forward({.ids = ids, .type_ids = {}, .starts = starts}, workspace.get()).ok());
    EXPECT_EQ(counter.count().values, 90u * 32);
    EXPECT_EQ(counter.count().clipped, 90u * 32);
  }
}

}  // namespace
}  // namespace octet::model
