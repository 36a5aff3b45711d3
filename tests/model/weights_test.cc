#include "model/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/status_macros.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::RawTensors;
using octet::testing::TempDir;
using octet::testing::TinyModelOptions;
using octet::testing::TinyTensors;
using octet::testing::WriteTinyModel;
using octet::testing::WriteWeights;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Reads every float tensor; returns the version.
absl::StatusOr<std::string> Version(const TinyModelOptions& options, bool backwards = false) {
  const TempDir dir;
  WriteTinyModel(dir.path(), options);
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(dir.path()));
  ASSIGN_OR_RETURN(const auto weights, Weights::Open(*directory));
  std::vector<std::string> names;
  for (const auto& [name, info] : weights->tensors()) {
    if (IsFloat(info.dtype)) names.push_back(name);
  }
  if (backwards) std::reverse(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::vector<uint64_t> shape = weights->tensors().at(name).shape;
    std::vector<float> values(shape[0] * (shape.size() > 1 ? shape[1] : 1));
    RETURN_IF_ERROR(weights->ReadF32(name, shape, values));
  }
  return weights->Finish();
}

TEST(WeightsTest, VersionNamesTheContentNotTheLayout) {
  const auto version = Version({});
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->size(), 12u);
  EXPECT_EQ(*Version({.prefix = "bert."}), *version);
  EXPECT_EQ(*Version({.num_shards = 4}), *version);
  EXPECT_EQ(*Version({}, /*backwards=*/true), *version);
  EXPECT_NE(*Version({.seed = 2}), *version);
  EXPECT_NE(*Version({.dtype = "BF16"}), *version);
}

class WeightsReadTest : public ::testing::Test {
 protected:
  void Open(const TinyModelOptions& options) { Open(TinyTensors(options)); }
  void Open(const RawTensors& tensors) {
    WriteWeights(dir_.path(), tensors);
    directory_ = *ModelDirectory::Open(dir_.path());
    weights_ = *Weights::Open(*directory_);
  }
  std::string Message(absl::string_view name, std::vector<uint64_t> shape, size_t size) {
    std::vector<float> values(size);
    return std::string(weights_->ReadF32(name, shape, values).message());
  }

  TempDir dir_;
  std::unique_ptr<ModelDirectory> directory_;
  std::unique_ptr<Weights> weights_;
};

TEST_F(WeightsReadTest, NamesTheTensorInEveryRefusal) {
  Open(TinyModelOptions{.prefix = "bert."});
  EXPECT_EQ(Message("gone", {1}, 1), "tensor \"gone\": missing");
  EXPECT_EQ(Message("embeddings.LayerNorm.bias", {33}, 33),
            "tensor \"embeddings.LayerNorm.bias\": shape [32], expected [33]");
  EXPECT_THAT(Message("embeddings.position_ids", {1, 64}, 64), HasSubstr("dtype I64, expected F32"));
}

TEST_F(WeightsReadTest, ReadsOldNormSpelling) {
  RawTensors tensors = TinyTensors({});
  tensors["embeddings.LayerNorm.gamma"] = tensors.at("embeddings.LayerNorm.weight");
  tensors.erase("embeddings.LayerNorm.weight");
  Open(tensors);
  EXPECT_EQ(Message("embeddings.LayerNorm.weight", {32}, 32), "");
}

TEST_F(WeightsReadTest, ListsWhatNothingRead) {
  Open(
      {{"a", octet::testing::FloatTensor("F32", {1}, {1})}, {"b", octet::testing::FloatTensor("F16", {3}, {1, 2, 3})}});
  EXPECT_EQ(Message("a", {1}, 1), "");
  EXPECT_THAT(weights_->Unused(), ElementsAre("b"));
  EXPECT_EQ(weights_->largest_tensor_f32_bytes(), 12u);
}

// Tensors of more than one chunk, so that chunk borders are crossed in each type.
TEST_F(WeightsReadTest, ConvertsLargeTensorsOfEveryType) {
  std::vector<float> values(300'001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 256) / 2;
  for (const char* dtype : {"F32", "F16", "BF16", "F64"}) {
    Open({{"a", octet::testing::FloatTensor(dtype, {values.size()}, values)}});
    std::vector<float> read(values.size());
    ASSERT_TRUE(weights_->ReadF32("a", std::vector<uint64_t>{read.size()}, read).ok());
    EXPECT_EQ(read, values) << dtype;
  }
}

}  // namespace
}  // namespace octet::model
