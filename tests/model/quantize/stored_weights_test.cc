// Directories with quantized weights as other programs write them: loaded with the arithmetic that they ask for, and
// refused with one line that names the tensor when they are damaged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "model/quantize/calibration.h"
#include "model/quantize/fidelity.h"
#include "model/strict_json.h"
#include "model/text_model.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::FloatTensor;
using octet::testing::RawTensor;
using octet::testing::RawTensors;
using octet::testing::TempDir;
using octet::testing::TinyModelOptions;

struct Scheme {
  bool is_dynamic = true, is_symmetric = true;
  const char* quant_method = "compressed-tensors";
  std::vector<std::string> ignored = {};
};

std::string Config(const Scheme& scheme) {
  Json json = Json::parse(octet::testing::TinyConfig({}));
  json["quantization_config"] = {{"quant_method", scheme.quant_method},
                                 {"format", "int-quantized"},
                                 {"ignore", scheme.ignored},
                                 {"config_groups",
                                  {{"group_0",
                                    {{"targets", {"Linear"}},
                                     {"weights", {{"num_bits", 8}, {"symmetric", true}, {"strategy", "channel"}}},
                                     {"input_activations",
                                      {{"num_bits", 8},
                                       {"symmetric", scheme.is_symmetric},
                                       {"strategy", scheme.is_dynamic ? "token" : "tensor"},
                                       {"dynamic", scheme.is_dynamic}}}}}}}};
  return json.dump();
}

bool IsLinearWeight(const std::string& name) {
  return name.find("encoder.layer") == 0 && name.find("LayerNorm") == std::string::npos &&
         name.find(".weight") != std::string::npos;
}

std::vector<float> Values(const RawTensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

// The tiny model with every linear layer in int8: scale max|w| / 127 per output channel, in [out_dim, 1].
RawTensors QuantizedTensors(const Scheme& scheme) {
  RawTensors quantized;
  for (const auto& [name, tensor] : octet::testing::TinyTensors({})) {
    if (!IsLinearWeight(name)) {
      quantized[name] = tensor;
      continue;
    }
    const std::string layer = name.substr(0, name.rfind('.'));
    const std::vector<float> weights = Values(tensor);
    const uint64_t out_dim = tensor.shape[0], in_dim = tensor.shape[1];
    std::vector<float> scales;
    std::string bytes;
    for (uint64_t j = 0; j < out_dim; ++j) {
      float max = 0;
      for (uint64_t c = 0; c < in_dim; ++c) max = std::max(max, std::abs(weights[j * in_dim + c]));
      scales.push_back(max / 127);
      for (uint64_t c = 0; c < in_dim; ++c) {
        bytes += static_cast<char>(std::lrintf(weights[j * in_dim + c] / scales.back()));
      }
    }
    quantized[name] = {"I8", tensor.shape, bytes};
    quantized[layer + ".weight_scale"] = FloatTensor("F32", {out_dim, 1}, scales);
    if (!scheme.is_dynamic) {
      quantized[layer + ".input_scale"] = FloatTensor("F32", {1}, {scheme.is_symmetric ? 0.05f : 0.03f});
      if (!scheme.is_symmetric) quantized[layer + ".input_zero_point"] = {"I8", {1}, std::string(1, '\x14')};
    }
    if (std::string(scheme.quant_method) == "octet") {
      quantized[layer + ".input_factors"] = FloatTensor("F32", {in_dim}, std::vector<float>(in_dim, 1.0f));
    }
  }
  return quantized;
}

absl::StatusOr<std::shared_ptr<const TextModel>> LoadTensors(const TempDir& dir, const Scheme& scheme,
                                                             const RawTensors& tensors) {
  octet::testing::WriteTinyModel(dir.path());
  octet::testing::WriteFile(dir.File("config.json"), Config(scheme));
  octet::testing::WriteWeights(dir.path(), tensors);
  return TextModel::Load(dir.path(), {.isa = DetectIsa(), .max_batch_tokens = 256});
}

std::vector<float> Vectors(const TextModel& model) {
  TokenizedTexts texts;
  for (int32_t t = 1; t < 20; ++t) texts.Add(std::vector<int32_t>(static_cast<size_t>(t), t * 5));
  return *ComputeTexts(model, texts);
}

TEST(StoredWeightsTest, EverySchemeIsCloseToFloats) {
  const TempDir float_dir;
  octet::testing::WriteTinyModel(float_dir.path());
  const auto floats = TextModel::Load(float_dir.path(), {.precision = Precision::kF32, .isa = DetectIsa()});
  ASSERT_TRUE(floats.ok());
  std::vector<std::vector<float>> seen;
  for (const Scheme& scheme : {Scheme{}, Scheme{.is_symmetric = false}, Scheme{.is_dynamic = false},
                               Scheme{.is_dynamic = false, .is_symmetric = false}}) {
    const TempDir dir;
    const auto model = LoadTensors(dir, scheme, QuantizedTensors(scheme));
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ((*model)->info().quantization, "unknown");
    EXPECT_GT(CompareOutputs(Task::kEmbedding, Vectors(**floats), Vectors(**model), 32).cosine_min, 0.99);
    for (const auto& vectors : seen) EXPECT_NE(Vectors(**model), vectors) << "two schemes are computed alike";
    seen.push_back(Vectors(**model));
  }
}

TEST(StoredWeightsTest, ScalesComeInEveryShapeAndType) {
  const TempDir plain_dir, dir;
  const auto plain = LoadTensors(plain_dir, {}, QuantizedTensors({}));
  RawTensors tensors = QuantizedTensors({});
  for (auto& [name, tensor] : tensors) {
    if (name.find(".weight_scale") != std::string::npos) tensor.shape = {tensor.shape[0]};
  }
  const auto flat = LoadTensors(dir, {}, tensors);
  ASSERT_TRUE(flat.ok()) << flat.status();
  EXPECT_EQ(Vectors(**flat), Vectors(**plain));
  // One scale for a whole tensor, in BF16.
  tensors["encoder.layer.0.output.dense.weight_scale"] = FloatTensor("BF16", {1}, {0.001f});
  const TempDir one_dir;
  EXPECT_TRUE(LoadTensors(one_dir, {}, tensors).ok());
}

TEST(StoredWeightsTest, IgnoredLayersAreFloats) {
  const Scheme scheme{.ignored = {"encoder.layer.1.output.dense", "bert.encoder.layer.0.intermediate.dense"}};
  RawTensors tensors = QuantizedTensors(scheme);
  for (const std::string layer : {"encoder.layer.1.output.dense", "encoder.layer.0.intermediate.dense"}) {
    tensors[layer + ".weight"] = octet::testing::TinyTensors({})[layer + ".weight"];
    tensors.erase(layer + ".weight_scale");
  }
  const TempDir dir;
  const auto model = LoadTensors(dir, scheme, tensors);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT((*model)->encoder().implementation_names(), ::testing::Contains(::testing::HasSubstr("gemm_f32")));
}

struct Damage {
  const char* name;
  Scheme scheme;
  std::function<void(RawTensors&)> damage;
  const char* message;
};

constexpr char kQuery[] = "encoder.layer.0.attention.self.query";
constexpr char kKey[] = "encoder.layer.0.attention.self.key";
constexpr char kOutput[] = "encoder.layer.1.output.dense";

std::string Name(const char* layer, const char* ending) { return std::string(layer) + ending; }

class StoredWeightsDamageTest : public ::testing::TestWithParam<Damage> {};

TEST_P(StoredWeightsDamageTest, NamesTheTensor) {
  RawTensors tensors = QuantizedTensors(GetParam().scheme);
  GetParam().damage(tensors);
  const TempDir dir;
  const auto model = LoadTensors(dir, GetParam().scheme, tensors);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), absl::StatusCode::kInvalidArgument) << model.status();
  EXPECT_THAT(std::string(model.status().message()), ::testing::HasSubstr(GetParam().message));
}

const Scheme kStatic{.is_dynamic = false, .is_symmetric = false};
const Scheme kFactors{.is_symmetric = false, .quant_method = "octet"};

INSTANTIATE_TEST_SUITE_P(
    Tensors, StoredWeightsDamageTest,
    ::testing::Values(
        Damage{"FloatWeight",
               {},
               [](RawTensors& all) {
                 all[Name(kOutput, ".weight")] = octet::testing::TinyTensors({})[Name(kOutput, ".weight")];
               },
               "1.output.dense.weight\": dtype F32, expected I8"},
        Damage{"NoScale",
               {},
               [](RawTensors& all) { all.erase(Name(kOutput, ".weight_scale")); },
               "1.output.dense.weight_scale\": missing"},
        Damage{"ScaleShape",
               {},
               [](RawTensors& all) {
                 all[Name(kOutput, ".weight_scale")] = FloatTensor("F32", {16, 2}, std::vector<float>(32, 1));
               },
               "weight_scale\": shape [16, 2], expected [32, 1] or [1]"},
        Damage{"NegativeScale",
               {},
               [](RawTensors& all) {
                 all[Name(kOutput, ".weight_scale")] = FloatTensor("F32", {32, 1}, std::vector<float>(32, -1));
               },
               "weight_scale\": holds a value that is not a positive normal number"},
        Damage{"ZeroScale",
               {},
               [](RawTensors& all) { all[Name(kOutput, ".weight_scale")] = FloatTensor("F32", {1}, {0}); },
               "weight_scale\": holds a value that is not a positive normal number"},
        Damage{"NanScale",
               {},
               [](RawTensors& all) {
                 const float nan = std::numeric_limits<float>::quiet_NaN();
                 all[Name(kOutput, ".weight_scale")] = FloatTensor("F32", {1}, {nan});
               },
               "non-finite weight in \"encoder.layer.1.output.dense.weight_scale\""},
        Damage{"NoInputScale", kStatic, [](RawTensors& all) { all.erase(Name(kOutput, ".input_scale")); },
               "input_scale\": missing"},
        Damage{"InputsOfOneProductDiffer", kStatic,
               [](RawTensors& all) { all[Name(kKey, ".input_scale")] = FloatTensor("F32", {1}, {0.07f}); },
               "self.key.input_scale\": differs from that of \"encoder.layer.0.attention.self.query\""},
        Damage{"ZeroPointShape", kStatic,
               [](RawTensors& all) {
                 all[Name(kQuery, ".input_zero_point")] = {"I8", {2}, std::string(2, '\0')};
               },
               "input_zero_point\": shape [2], expected [1]"},
        Damage{"ZeroPointType", kStatic,
               [](RawTensors& all) {
                 all[Name(kQuery, ".input_zero_point")] = {"U8", {1}, std::string(1, '\0')};
               },
               "input_zero_point\": dtype U8, expected I8"},
        Damage{"NoFactors", kFactors, [](RawTensors& all) { all.erase(Name(kOutput, ".input_factors")); },
               "input_factors\": missing"},
        Damage{"FactorOfZero", kFactors,
               [](RawTensors& all) {
                 all[Name(kOutput, ".input_factors")] = FloatTensor("F32", {64}, std::vector<float>(64, 0));
               },
               "input_factors\": holds a value that is not a positive normal number"},
        Damage{"HalfOfAProductIgnored", {.ignored = {kQuery}}, [](RawTensors&) {}, "ignore: has some but not all of"}),
    [](const auto& damage) { return std::string(damage.param.name); });

}  // namespace
}  // namespace octet::model
