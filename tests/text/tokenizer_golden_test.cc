// Ids, type ids and byte offsets equal to those of the reference (the `tokenizers` wheel), recorded by
// tools/tokenizer_goldens.py.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/text/test_files.h"
#include "text/tokenizer.h"

namespace octet::text {
namespace {

using Json = nlohmann::json;

std::vector<uint32_t> Flat(const std::vector<TokenOffset>& offsets) {
  std::vector<uint32_t> flat;
  for (const TokenOffset& offset : offsets) {
    flat.push_back(offset.begin);
    flat.push_back(offset.end);
  }
  return flat;
}

EncodeOptions OptionsOf(const Json& row) {
  EncodeOptions options;
  options.max_tokens = row.value("max_tokens", size_t{0});
  options.side = row.value("side", "right") == "left" ? TruncationSide::kLeft : TruncationSide::kRight;
  options.add_special_tokens = row.value("special", true);
  return options;
}

void ExpectRow(const Tokenizer& tokenizer, const Json& texts, const Json& row) {
  SCOPED_TRACE(row.dump());
  const std::string first = texts[row["first"].get<size_t>()];
  EncodeOptions options = OptionsOf(row);
  for (const bool with_offsets : {false, true}) {
    options.with_offsets = with_offsets;
    const auto encoding =
        row.contains("second")
            ? tokenizer.EncodePair(first, texts[row["second"].get<size_t>()].get<std::string>(), options)
            : tokenizer.Encode(first, options);
    ASSERT_TRUE(encoding.ok()) << encoding.status();
    ASSERT_EQ(encoding->ids, row["ids"].get<std::vector<int32_t>>());
    const auto type_ids = row.contains("type_ids") ? row["type_ids"].get<std::vector<int32_t>>()
                                                   : std::vector<int32_t>(encoding->ids.size(), 0);
    ASSERT_EQ(encoding->type_ids, type_ids);
    ASSERT_EQ(encoding->offsets.size(), with_offsets ? encoding->ids.size() : 0);
    if (with_offsets && row.contains("offsets")) {
      ASSERT_EQ(Flat(encoding->offsets), row["offsets"].get<std::vector<uint32_t>>());
    }
    if (options.max_tokens == 0) {
      EXPECT_FALSE(encoding->truncated());
    }
  }
}

void ExpectGoldens(const std::string& name, const std::string& tokenizer_json) {
  const auto file = ReadFileOrNull(OCTET_SOURCE_DIR "/tests/text/golden/" + name + ".json");
  ASSERT_TRUE(file.has_value());
  const Json golden = Json::parse(*file);
  const auto tokenizer = Tokenizer::FromJson(tokenizer_json);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  EXPECT_EQ((*tokenizer)->vocab_size(), golden["vocab_size"].get<size_t>());
  ASSERT_GT(golden["cases"].size(), 300u);
  for (const Json& row : golden["cases"]) {
    ExpectRow(**tokenizer, golden["texts"], row);
    if (testing::Test::HasFatalFailure()) return;
  }
}

TEST(TokenizerGoldenTest, DefaultModelEqualsReference) { ExpectGoldens("all-MiniLM-L6-v2", DefaultTokenizerJson()); }

class SharedTokenizerGoldenTest : public testing::TestWithParam<const char*> {};

TEST_P(SharedTokenizerGoldenTest, EqualsReference) {
  const std::string path =
      std::string(OCTET_SOURCE_DIR) + "/../shared/data/tokenizers-ortx/" + GetParam() + "/tokenizer.json";
  const auto json = ReadFileOrNull(path);
  if (!json.has_value()) GTEST_SKIP() << "NOT CHECKED, no such file: " << path;
  ExpectGoldens(GetParam(), *json);
}

INSTANTIATE_TEST_SUITE_P(, SharedTokenizerGoldenTest, testing::Values("roberta-base", "t5-small"),
                         [](const auto& param_info) {
                           return std::string(param_info.param) == "t5-small" ? "T5Unigram" : "RobertaBpe";
                         });

}  // namespace
}  // namespace octet::text
