// Files that the tokenizer tests read.
#ifndef OCTET_TESTS_TEXT_TEST_FILES_H_
#define OCTET_TESTS_TEXT_TEST_FILES_H_

#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "text/tokenizer.h"

namespace octet::text {

inline std::optional<std::string> ReadFileOrNull(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// The default model's tokenizer.json; the set-up installs it, so its absence is a failure.
inline std::string DefaultTokenizerJson() {
  auto json = ReadFileOrNull(OCTET_DEFAULT_MODEL "/tokenizer.json");
  EXPECT_TRUE(json.has_value()) << "no default model: run make setup";
  return json.value_or("");
}

// Null, with a failure, when it does not load.
inline std::unique_ptr<Tokenizer> LoadDefaultTokenizer(const TokenizerOptions& options = {}) {
  auto tokenizer = Tokenizer::FromJson(DefaultTokenizerJson(), options);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status();
  return tokenizer.ok() ? *std::move(tokenizer) : nullptr;
}

}  // namespace octet::text

#endif  // OCTET_TESTS_TEXT_TEST_FILES_H_
