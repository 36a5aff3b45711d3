// An int8 layer gives the bits that the training tools' fake quantization gives (tools/qat/fake_quant.py): what was
// trained quantization-aware is what is served. golden/fake_quant.json names tool and versions. One process runs at one
// level: ctest starts this program once per level with OCTET_ISA set.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/cpu_isa.h"
#include "kernels/linear.h"
#include "kernels/scalar_kernels.h"
#include "nlohmann/json.hpp"

namespace octet::kernels {
namespace {

template <typename T>
std::vector<T> ReadArray(const nlohmann::json& layer, const char* key) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes;
  EXPECT_TRUE(absl::Base64Unescape(layer.at(key).get<std::string>(), &bytes)) << key;
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

// One layer of the golden file; sizes as stated there.
struct GoldenLayer {
  explicit GoldenLayer(const nlohmann::json& layer)
      : name(layer.at("name")),
        rows(layer.at("rows")),
        in_dim(layer.at("in_dim")),
        out_dim(layer.at("out_dim")),
        x(ReadArray<float>(layer, "x_f32")),
        weight(ReadArray<float>(layer, "weight_f32")),
        bias(ReadArray<float>(layer, "bias_f32")),
        q(ReadArray<uint8_t>(layer, "q_u8")),
        scale(ReadArray<float>(layer, "scale_f32")),
        zero_point(ReadArray<int32_t>(layer, "zero_point_s32")),
        acc(ReadArray<int32_t>(layer, "acc_s32")),
        y(ReadArray<float>(layer, "y_f32")) {}

  bool HasStatedSizes() const {
    return x.size() == rows * in_dim && weight.size() == out_dim * in_dim && bias.size() == out_dim &&
           q.size() == rows * in_dim && scale.size() == rows && zero_point.size() == rows &&
           acc.size() == rows * out_dim && y.size() == rows * out_dim;
  }

  std::string name;
  size_t rows, in_dim, out_dim;
  std::vector<float> x, weight, bias;
  std::vector<uint8_t> q;
  std::vector<float> scale;
  std::vector<int32_t> zero_point, acc;
  std::vector<float> y;
};

std::vector<GoldenLayer> ReadGolden() {
  std::ifstream file(OCTET_SOURCE_DIR "/tests/kernels/golden/fake_quant.json");
  const auto golden = nlohmann::json::parse(file);
  std::vector<GoldenLayer> layers;
  for (const auto& layer : golden.at("cases")) layers.emplace_back(layer);
  return layers;
}

// Bits, so that the sign of a zero counts; any NaN equals any other.
void ExpectSameFloat(float got, float want, const std::string& where) {
  if (std::isnan(want)) {
    EXPECT_TRUE(std::isnan(got)) << where << ": " << got;
  } else {
    EXPECT_EQ(std::bit_cast<uint32_t>(got), std::bit_cast<uint32_t>(want)) << where << ": " << got << ", " << want;
  }
}

void ExpectSameRow(const GoldenLayer& layer, size_t r, const InputBlock& input) {
  const std::string where = layer.name + " row " + std::to_string(r);
  ExpectSameFloat(input.quantizations(r)->scale, layer.scale[r], where + " scale");
  EXPECT_EQ(input.quantizations(r)->zero_point, layer.zero_point[r]) << where;
  for (size_t k = 0; k < layer.in_dim; ++k) {
    EXPECT_EQ(input.u8(r)[k], layer.q[r * layer.in_dim + k]) << where << " value " << k;
  }
}

void ExpectSameOutput(const GoldenLayer& layer, const std::vector<float>& y) {
  // A layer's own sums may never be in memory.
  std::vector<int8_t> weights(layer.weight.size());
  for (size_t j = 0; j < layer.out_dim; ++j) {
    QuantizeChannelS8(std::span(layer.weight).subspan(j * layer.in_dim, layer.in_dim),
                      weights.data() + j * layer.in_dim);
  }
  std::vector<int32_t> acc(layer.acc.size());
  MatmulU8S8Scalar(layer.q.data(), weights.data(), layer.rows, layer.out_dim, layer.in_dim, acc.data());
  for (size_t i = 0; i < y.size(); ++i) {
    const std::string where = absl::StrCat(layer.name, " row ", i / layer.out_dim, " channel ", i % layer.out_dim);
    EXPECT_EQ(acc[i], layer.acc[i]) << where;
    ExpectSameFloat(y[i], layer.y[i], where);
  }
}

TEST(FakeQuantGoldenTest, LayersGiveTheBitsOfTheTrainingTools) {
  const auto isa = IsaFromEnvironment();
  if (!isa.ok()) GTEST_SKIP() << "SKIPPED LEVEL: " << isa.status();
  const auto layers = ReadGolden();
  ASSERT_FALSE(layers.empty());
  for (const GoldenLayer& layer : layers) {
    ASSERT_TRUE(layer.HasStatedSizes()) << layer.name;
    LinearFactory factory(*isa);
    const auto linear = factory.MakeLinear(
        {.in_dim = layer.in_dim, .out_dim = layer.out_dim, .bias = layer.bias, .f32 = layer.weight}, {});
    ASSERT_TRUE(linear.ok()) << linear.status();
    InputBlock input(&factory.kernels(), layer.rows, InputBlock::RowBytes(LinearKind::kInt8, layer.in_dim));
    OutputBlock product(factory);
    input.Start((*linear)->input(), layer.in_dim);
    input.SetRows(0, layer.rows, layer.x.data());
    (*linear)->Multiply(input, 0, layer.rows, &product);
    std::vector<float> y(layer.rows * layer.out_dim);
    (*linear)->StoreRows(input, &product, 0, layer.rows, y.data());
    for (size_t r = 0; r < layer.rows; ++r) ExpectSameRow(layer, r, input);
    ExpectSameOutput(layer, y);
  }
}

}  // namespace
}  // namespace octet::kernels
