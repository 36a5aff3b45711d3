// Rows of token ids without meaning: which layers have them, how many, and what models give them.
#include "model/quantize/probe_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/linear_plan.h"
#include "model/quantize/load_with_technique.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::TempDir;
using octet::testing::TinyModelOptions;
using octet::testing::WriteTinyModel;

using Rows = std::vector<std::vector<float>>;

Rows RowsOf(const TinyModelOptions& options) {
  const TempDir dir;
  WriteTinyModel(dir.path(), options);
  const auto rows = ProbeRows(dir.path(), {.isa = DetectIsa()});
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() ? *rows : Rows();
}

TEST(ProbeRowsTest, LayersBehindALayerNormHaveARowForEachToken) {
  const Rows rows = RowsOf({});
  ASSERT_EQ(rows.size(), 2 * kLinearsPerLayer);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto slot = static_cast<LinearSlot>(i % kLinearsPerLayer);
    const bool is_behind = slot == LinearSlot::kQueryKeyValue || slot == LinearSlot::kIntermediate;
    EXPECT_EQ(rows[i].size(), is_behind ? 256u * 32 : 0u) << LinearName(i);
    EXPECT_TRUE(std::all_of(rows[i].begin(), rows[i].end(), [](float v) { return std::isfinite(v); }));
  }
  // What a LayerNorm gives, not one row over and over.
  EXPECT_NE(std::vector<float>(rows[0].begin(), rows[0].begin() + 32),
            std::vector<float>(rows[0].begin() + 32, rows[0].begin() + 64));
}

TEST(ProbeRowsTest, ShortTextsWhereAModelTakesNoLongerOnes) {
  EXPECT_EQ(RowsOf({.num_positions = 5, .max_seq_length = 0})[0].size(), 8u * 5 * 32);
}

TEST(ProbeRowsTest, NamesShardsAndHeadsDoNotMatter) {
  const Rows plain = RowsOf({});
  EXPECT_EQ(RowsOf({.prefix = "bert.", .num_shards = 3}), plain);
  EXPECT_EQ(RowsOf({.prefix = "bert.", .num_labels = 3}), plain);
  EXPECT_EQ(RowsOf({.prefix = "bert.", .token_labels = {"O", "B-PER"}}), plain);
}

TEST(ProbeRowsTest, AMemoryLimitIsKept) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {});
  const auto rows = ProbeRows(dir.path(), {.isa = DetectIsa(), .memory_limit_bytes = 1 << 20});
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(rows.status().message()), ::testing::HasSubstr("limit 1 MiB"));
}

TEST(LoadWithTechniqueTest, OnlyFloatsInInt8ArePlanned) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.loud_channels = 2});
  const auto quantization = [&](Technique technique, Precision precision) {
    const auto model = LoadWithTechnique(dir.path(), technique, {.precision = precision, .isa = DetectIsa()});
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? (*model)->info().quantization : "";
  };
  EXPECT_EQ(quantization(Technique::kSmooth, Precision::kInt8), "smooth");
  EXPECT_EQ(quantization(Technique::kDynamic, Precision::kInt8), "dynamic");
  EXPECT_EQ(quantization(Technique::kSmooth, Precision::kF32), "");
}

}  // namespace
}  // namespace octet::model
