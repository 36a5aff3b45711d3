// Accuracy of the default model on the golden sentences, in every precision, at the instruction-set
// level of OCTET_ISA (else the machine's highest), without a server. The f32 vectors were made by
// tools/make_goldens.py; goldens.json names tool and versions.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/thread_team.h"
#include "model/precision.h"
#include "model/quantize/load_with_technique.h"
#include "model/sha256.h"
#include "model/text_model.h"
#include "nlohmann/json.hpp"

namespace octet::model {
namespace {

constexpr size_t kDim = 384;
constexpr float kF32Tolerance = 1e-4F;
// int8 as served.
constexpr double kInt8MinCosine = 0.993, kInt8MinMean = 0.9985;
constexpr double kDynamicMinCosine = 0.990;
// An exact int8 engine without factors loses what the method loses (goldens.json, emulated in float64); beyond that
// only the roundings differ that fall the other way because f32 sums are not float64 sums.
constexpr double kDynamicMeanSlack = 0.0003;
// BF16 keeps 8 bits: half a unit in the last place is 0.2 % of each factor, and errors average out.
constexpr double kBf16MinCosine = 0.9995;
// The scalar reference is hundreds of times slower: every sixteenth sentence.
constexpr size_t kScalarStride = 16;

std::string ReadFile(const std::string& name) {
  std::ifstream file(OCTET_SOURCE_DIR "/tests/golden/" + name, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

struct Goldens {
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> token_ids;
  std::vector<float> embeddings;  // [num_texts, kDim], normalized
  double int8_method_mean = 0;
};

// The part of the .npy format (version 1) that numpy writes for a C-ordered little-endian f32
// array.
std::vector<float> ReadNpyF32(const std::string& bytes) {
  EXPECT_EQ(bytes.substr(0, 6), "\x93NUMPY");
  EXPECT_NE(bytes.find("'descr': '<f4', 'fortran_order': False"), std::string::npos);
  const size_t begin = 10 + static_cast<uint8_t>(bytes[8]) + 256 * static_cast<uint8_t>(bytes[9]);
  std::vector<float> values((bytes.size() - begin) / sizeof(float));
  std::memcpy(values.data(), bytes.data() + begin, values.size() * sizeof(float));
  return values;
}

const Goldens& TheGoldens() {
  static const Goldens* const goldens = [] {
    auto* g = new Goldens;
    std::istringstream lines(ReadFile("sentences.jsonl"));
    for (std::string line; std::getline(lines, line);) {
      g->texts.push_back(nlohmann::json::parse(line)["text"].get<std::string>());
    }
    g->token_ids = nlohmann::json::parse(ReadFile("token_ids.json")).get<std::vector<std::vector<int32_t>>>();
    g->embeddings = ReadNpyF32(ReadFile("embeddings.npy"));
    g->int8_method_mean = nlohmann::json::parse(ReadFile("goldens.json"))["int8_method_cosine"]["mean"];
    return g;
  }();
  return *goldens;
}

double Cosine(const float* a, const float* b) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < kDim; ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(GoldenFilesTest, AreComplete) {
  const Goldens& goldens = TheGoldens();
  EXPECT_GE(goldens.texts.size(), 200U);
  EXPECT_EQ(goldens.token_ids.size(), goldens.texts.size());
  EXPECT_EQ(goldens.embeddings.size(), goldens.texts.size() * kDim);
}

struct Served {
  const char* name;
  Precision precision;
  Technique technique = kTechniqueAtLoad;
};
constexpr Served kServed[] = {{"int8", Precision::kInt8},
                              {"int8_dynamic", Precision::kInt8, Technique::kDynamic},
                              {"f32", Precision::kF32},
                              {"bf16", Precision::kBf16}};
void PrintTo(const Served& served, std::ostream* out) { *out << served.name; }

class GoldenTest : public testing::TestWithParam<Served> {
 protected:
  // Normalized vectors of every `stride`-th sentence, in batches of about 2,000 tokens.
  void Embed(Isa isa, size_t stride) {
    TextModelOptions options;
    options.isa = isa;
    options.precision = GetParam().precision;
    options.max_batch_tokens = 2048;
    const auto model = LoadWithTechnique(OCTET_DEFAULT_MODEL, GetParam().technique, options);
    ASSERT_TRUE(model.ok()) << model.status();
    kernels::ThreadTeam team(1);
    const auto workspace = (*model)->NewWorkspace(&team);
    std::vector<int32_t> ids;
    std::vector<uint32_t> starts = {0};
    const auto flush = [&] {
      const size_t num_texts = starts.size() - 1;
      const size_t offset = embeddings_.size();
      embeddings_.resize(offset + num_texts * kDim);
      ASSERT_TRUE((*model)
                      ->Embed({.ids = ids, .type_ids = {}, .starts = starts}, workspace.get(),
                              MatrixView<float>(embeddings_.data() + offset, num_texts, kDim))
                      .ok());
      ids.clear();
      starts = {0};
    };
    for (size_t i = 0; i < TheGoldens().texts.size(); i += stride) {
      const auto encoding =
          (*model)->Tokenize(TheGoldens().texts[i], {.truncate = true, .side = {}, .prompt_name = {}});
      ASSERT_TRUE(encoding.ok()) << encoding.status();
      EXPECT_EQ(encoding->ids, TheGoldens().token_ids[i]) << TheGoldens().texts[i];
      if (ids.size() + encoding->ids.size() > options.max_batch_tokens) flush();
      ids.insert(ids.end(), encoding->ids.begin(), encoding->ids.end());
      starts.push_back(static_cast<uint32_t>(ids.size()));
      sentence_idx_.push_back(i);
    }
    flush();
    for (size_t row = 0; row < sentence_idx_.size(); ++row) {
      FinishEmbedding(std::span(embeddings_).subspan(row * kDim, kDim), kDim, /*normalize=*/true);
    }
  }

  std::vector<size_t> sentence_idx_;  // of each row
  std::vector<float> embeddings_;     // [rows, kDim]
};

TEST_P(GoldenTest, StaysWithinTheBoundsOfItsPrecision) {
  const absl::StatusOr<Isa> isa = IsaFromEnvironment();
  if (!isa.ok()) GTEST_SKIP() << "SKIPPED: " << isa.status();
  if (GetParam().precision == Precision::kBf16 && *isa < Isa::kAvx512Bf16) {
    GTEST_SKIP() << "SKIPPED: no BF16 dot products at " << std::string(IsaName(*isa));
  }
  ASSERT_NO_FATAL_FAILURE(Embed(*isa, *isa == Isa::kScalar ? kScalarStride : 1));
  double sum = 0, min = 1;
  float largest_difference = 0;
  size_t worst = 0;
  for (size_t row = 0; row < sentence_idx_.size(); ++row) {
    const float* got = &embeddings_[row * kDim];
    const float* expected = &TheGoldens().embeddings[sentence_idx_[row] * kDim];
    for (size_t i = 0; i < kDim; ++i) {
      largest_difference = std::max(largest_difference, std::abs(got[i] - expected[i]));
    }
    const double cosine = Cosine(got, expected);
    sum += cosine;
    if (cosine < min) std::tie(min, worst) = std::pair(cosine, sentence_idx_[row]);
  }
  const double mean = sum / static_cast<double>(sentence_idx_.size());
  std::printf("cosine mean %.5f min %.5f, largest difference %.3g\n", mean, min, largest_difference);
  const std::string& worst_text = TheGoldens().texts[worst];
  switch (GetParam().precision) {
    case Precision::kF32:
      EXPECT_LE(largest_difference, kF32Tolerance) << worst_text;
      break;
    case Precision::kBf16:
      EXPECT_GE(min, kBf16MinCosine) << worst_text;
      break;
    case Precision::kInt8: {
      const bool is_dynamic = GetParam().technique == Technique::kDynamic;
      EXPECT_GE(min, is_dynamic ? kDynamicMinCosine : kInt8MinCosine) << worst_text;
      if (*isa != Isa::kScalar) {
        EXPECT_GE(mean, is_dynamic ? TheGoldens().int8_method_mean - kDynamicMeanSlack : kInt8MinMean);
      }
      break;
    }
  }
}

// A vector may be compared with one from another machine: products in int8 are exact, those in f32 are one chain of
// fused multiply-adds, and sums have a fixed number of lanes. BF16 instructions round in their own way, and the
// scalar reference uses the C library's functions.
TEST_P(GoldenTest, HasTheSameBitsOnEveryVectorLevel) {
  const absl::StatusOr<Isa> isa = IsaFromEnvironment();
  if (!isa.ok()) GTEST_SKIP() << "SKIPPED: " << isa.status();
  if (*isa == Isa::kScalar || GetParam().precision == Precision::kBf16) {
    GTEST_SKIP() << "SKIPPED: no bits promised across levels";
  }
  ASSERT_NO_FATAL_FAILURE(Embed(*isa, 1));
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(embeddings_)));
  EXPECT_EQ(hash.FinishHex(),
            nlohmann::json::parse(ReadFile("vector_bits.json"))["sha256"].at(GetParam().name).get<std::string>());
}

INSTANTIATE_TEST_SUITE_P(EveryPrecision, GoldenTest, testing::ValuesIn(kServed),
                         [](const auto& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace octet::model
