// 20,000 random mutations and truncations of valid files: the reader answers with a status, never crashes,
// and never allocates from a claimed size.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <random>

#include "base/checked_math.h"
#include "base/status_macros.h"
#include "model/encoder_config.h"
#include "model/model_directory.h"
#include "model/strict_json.h"
#include "model/weights.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::ReadFile;
using octet::testing::TempDir;
using octet::testing::WriteFile;
using octet::testing::WriteTinyModel;

absl::Status ReadWeights(const std::string& path, uint64_t* num_values) {
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(path));
  ASSIGN_OR_RETURN(const auto weights, Weights::Open(*directory));
  for (const auto& [name, info] : weights->tensors()) {
    const auto count = CheckedProduct(info.shape);
    if (!count) return absl::InternalError("unchecked shape");
    *num_values += *count;
    if (!IsFloat(info.dtype) || *count > (1 << 20)) continue;
    std::vector<float> values(*count);
    weights->ReadF32(name, info.shape, values).IgnoreError();
  }
  return absl::OkStatus();
}

std::string Mutate(const std::string& valid, size_t header_bytes, std::mt19937_64* random) {
  std::string bytes = valid;
  const size_t num_changes = 1 + (*random)() % 4;
  for (size_t i = 0; i < num_changes; ++i) {
    // Most of the file is numbers that nothing depends on: aim at the header.
    const size_t position = (*random)() % std::min(bytes.size(), header_bytes);
    switch ((*random)() % 5) {
      case 0:
        bytes[position] = static_cast<char>((*random)());
        break;
      case 1:
        bytes[position] = static_cast<char>(bytes[position] ^ (1 << (*random)() % 8));
        break;
      case 2:
        bytes.resize(std::max<size_t>(1, (*random)() % bytes.size()));
        break;
      case 3:
        bytes[position] = "0123456789{}[],:\"-eE."[(*random)() % 21];
        break;
      default:
        bytes.insert(position, bytes, position, (*random)() % 32);
        break;
    }
  }
  return bytes;
}

TEST(HostileFileFuzzTest, MutatedSafetensorsNeverCrash) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.num_layers = 1,
                              .hidden_dim = 8,
                              .num_heads = 2,
                              .intermediate_dim = 8,
                              .vocab_size = 80,
                              .num_positions = 8,
                              .with_text_files = false});
  const std::string path = dir.File("model.safetensors");
  const std::string valid = ReadFile(path);
  std::mt19937_64 random(7);
  size_t num_refused = 0;
  for (int i = 0; i < 15'000; ++i) {
    const std::string bytes = Mutate(valid, 4000, &random);
    WriteFile(path, bytes);
    uint64_t num_values = 0;
    if (!ReadWeights(dir.path(), &num_values).ok()) ++num_refused;
    // One value takes a byte at least: more would be claimed sizes, not real ones.
    ASSERT_LE(num_values, bytes.size()) << "mutation " << i;
  }
  EXPECT_GT(num_refused, 10'000u);  // the mutations do reach the checks
}

TEST(HostileFileFuzzTest, MutatedConfigNeverCrashes) {
  const TempDir dir;
  const std::string valid = octet::testing::TinyConfig({});
  std::mt19937_64 random(11);
  size_t num_refused = 0;
  for (int i = 0; i < 5'000; ++i) {
    WriteFile(dir.File("config.json"), Mutate(valid, valid.size(), &random));
    const auto directory = ModelDirectory::Open(dir.path());
    ASSERT_TRUE(directory.ok());
    const auto config = ReadEncoderConfig(**directory);
    if (!config.ok()) {
      ++num_refused;
    } else {
      EXPECT_EQ(config->hidden_dim % config->num_heads, 0u);
    }
  }
  EXPECT_GT(num_refused, 2'500u);
}

}  // namespace
}  // namespace octet::model
