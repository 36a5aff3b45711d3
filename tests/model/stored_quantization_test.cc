// quantization_config in config.json: what is understood, and that everything else is refused by name.
#include "model/stored_quantization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace octet::model {
namespace {

using kernels::RowRange;

// As the compressed-tensors package writes it for W8A8 with ranges made at run time.
Json Config() {
  return Json::parse(R"({"quantization_config": {
    "quant_method": "compressed-tensors", "format": "int-quantized", "quantization_status": "compressed",
    "global_compression_ratio": null, "kv_cache_scheme": null, "version": "0.20.0",
    "ignore": ["bert.pooler.dense", "encoder.layer.0.output.dense"],
    "config_groups": {"group_0": {
      "targets": ["Linear"], "output_activations": null, "format": "int-quantized",
      "weights": {"num_bits": 8, "type": "int", "symmetric": true, "group_size": null, "strategy": "channel",
                  "dynamic": false, "observer": "memoryless_minmax"},
      "input_activations": {"num_bits": 8, "type": "int", "symmetric": true, "group_size": null, "strategy": "token",
                            "dynamic": true}}}}})");
}

absl::StatusOr<StoredQuantization> Read(const Json& config) {
  return ReadStoredQuantization(JsonReader("config.json", config), "bert.");
}

TEST(StoredQuantizationTest, ReadsWhatCompressedTensorsWrites) {
  const auto stored = Read(Config());
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->activation_range, RowRange::kSymmetric);
  EXPECT_FALSE(stored->has_factors());
  EXPECT_EQ(stored->technique, "unknown");
  EXPECT_FALSE(stored->IsQuantized("pooler.dense"));
  EXPECT_FALSE(stored->IsQuantized("encoder.layer.0.output.dense"));
  EXPECT_TRUE(stored->IsQuantized("encoder.layer.1.output.dense"));
}

TEST(StoredQuantizationTest, HonoursTheActivationScheme) {
  Json config = Config();
  Json& activations = config["quantization_config"]["config_groups"]["group_0"]["input_activations"];
  activations["symmetric"] = false;
  EXPECT_EQ(Read(config)->activation_range, RowRange::kAsymmetric);
  activations["dynamic"] = false;
  activations["strategy"] = "tensor";
  EXPECT_EQ(Read(config)->activation_range, RowRange::kFixed);
  config["quantization_config"]["quant_method"] = "octet";
  EXPECT_TRUE(Read(config)->has_factors());
}

TEST(StoredQuantizationTest, TechniqueNamesAreFitForALog) {
  Json config = Config();
  config[kQuantizationMethodKey] = "smooth";
  EXPECT_EQ(Read(config)->technique, "smooth");
  for (const std::string& name : {std::string("a\nforged line"), std::string(33, 'a'), std::string("A b")}) {
    config[kQuantizationMethodKey] = name;
    EXPECT_THAT(std::string(Read(config).status().message()), ::testing::HasSubstr("octet_quantization_method: got"));
  }
}

struct Refused {
  const char* pointer;  // JSON pointer beneath quantization_config
  const char* value;    // "" removes it
  const char* message;
};

class StoredQuantizationRefusalTest : public ::testing::TestWithParam<Refused> {};

TEST_P(StoredQuantizationRefusalTest, NamesTheKey) {
  Json config = Config();
  const Json::json_pointer pointer(std::string("/quantization_config") + GetParam().pointer);
  if (GetParam().value[0] == '\0') {
    config[pointer.parent_pointer()].erase(pointer.back());
  } else {
    config[pointer] = Json::parse(GetParam().value);
  }
  const auto stored = Read(config);
  ASSERT_FALSE(stored.ok());
  EXPECT_EQ(stored.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(stored.status().message()), ::testing::HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Schemes, StoredQuantizationRefusalTest,
    ::testing::Values(
        Refused{"/quant_method", "\"gptq\"", "quant_method: got \"gptq\", allowed \"compressed-tensors\" or \"octet\""},
        Refused{"/quant_method", "", "quant_method"}, Refused{"/format", "\"pack-quantized\"", "format: got"},
        Refused{"/quantization_status", "\"frozen\"", "quantization_status: got"},
        Refused{"/kv_cache_scheme", "{\"num_bits\": 8}", "kv_cache_scheme: got"},
        Refused{"/new_key", "1", "new_key: got 1"},
        Refused{"/ignore", "[\"re:.*dense\"]", "ignore: got \"re:.*dense\""},
        Refused{"/ignore", "[7]", "ignore: got 7"}, Refused{"/ignore", "{}", "ignore: got"},
        Refused{"/config_groups", "{}", "config_groups: got"}, Refused{"/config_groups", "", "config_groups"},
        Refused{"/config_groups/group_1", "{}", "one group"},
        Refused{"/config_groups/group_0/targets", "[\"re:.*\"]", "targets: got"},
        Refused{"/config_groups/group_0/output_activations", "{\"num_bits\": 8}", "output_activations: got"},
        Refused{"/config_groups/group_0/input_activations", "null", "input_activations: missing"},
        Refused{"/config_groups/group_0/input_activations/num_bits", "4", "num_bits: got 4, allowed 8"},
        Refused{"/config_groups/group_0/input_activations/type", "\"float\"", "type: got \"float\""},
        Refused{"/config_groups/group_0/input_activations/strategy", "\"tensor\"", "strategy: got \"tensor\""},
        Refused{"/config_groups/group_0/input_activations/dynamic", "\"local\"", "dynamic: got \"local\""},
        Refused{"/config_groups/group_0/weights", "null", "weights: missing"},
        Refused{"/config_groups/group_0/weights/num_bits", "4", "num_bits: got 4"},
        Refused{"/config_groups/group_0/weights/symmetric", "false", "symmetric: got false"},
        Refused{"/config_groups/group_0/weights/strategy", "\"group\"", "strategy: got \"group\""},
        Refused{"/config_groups/group_0/weights/group_size", "128", "group_size: got 128"},
        Refused{"/config_groups/group_0/weights/dynamic", "true", "dynamic: got true"}));

}  // namespace
}  // namespace octet::model
