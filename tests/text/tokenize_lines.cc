// tokenize_lines TOKENIZER_JSON: reads JSON lines {"first", "second"?, "max_tokens"?, "side"?, "special"?},
// writes [ids, type_ids, offsets] for each. With --time N: encodes each line N times, ids only, and
// prints the mean time instead. For tools/tokenizer_diff.py.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "nlohmann/json.hpp"
#include "text/tokenizer.h"

namespace octet::text {
namespace {

using Json = nlohmann::json;

absl::StatusOr<Encoding> EncodeRow(const Tokenizer& tokenizer, const Json& row) {
  EncodeOptions options;
  options.max_tokens = row.value("max_tokens", size_t{0});
  options.side = row.value("side", "right") == "left" ? TruncationSide::kLeft : TruncationSide::kRight;
  options.add_special_tokens = row.value("special", true);
  options.with_offsets = true;
  const std::string& first = row["first"].get_ref<const std::string&>();
  if (!row.contains("second")) return tokenizer.Encode(first, options);
  return tokenizer.EncodePair(first, row["second"].get_ref<const std::string&>(), options);
}

int Compare(const Tokenizer& tokenizer) {
  for (std::string line; std::getline(std::cin, line);) {
    const auto encoding = EncodeRow(tokenizer, Json::parse(line));
    if (!encoding.ok()) {
      std::cerr << encoding.status() << "\n";
      return 1;
    }
    std::vector<uint32_t> offsets;
    for (const TokenOffset& offset : encoding->offsets) {
      offsets.push_back(offset.begin);
      offsets.push_back(offset.end);
    }
    std::cout << Json{encoding->ids, encoding->type_ids, offsets}.dump() << "\n";
  }
  return 0;
}

int Time(const Tokenizer& tokenizer, int repetitions) {
  std::vector<std::string> texts;
  for (std::string line; std::getline(std::cin, line);) texts.push_back(Json::parse(line)["first"]);
  size_t tokens = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < repetitions; ++i) {
    for (const std::string& text : texts) {
      const auto encoding = tokenizer.Encode(text, EncodeOptions());
      if (!encoding.ok()) return 1;
      tokens += encoding->ids.size();
    }
  }
  const std::chrono::duration<double, std::micro> elapsed = std::chrono::steady_clock::now() - begin;
  const double count = static_cast<double>(texts.size()) * repetitions;
  std::printf("%.0f encodings, %.1f tokens a text, %.2f us a text\n", count, tokens / count, elapsed.count() / count);
  return 0;
}

int Main(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    std::cerr << "usage: tokenize_lines TOKENIZER_JSON [--time N] < rows\n";
    return 2;
  }
  std::ifstream in(argv[1], std::ios::binary);
  const std::string json(std::istreambuf_iterator<char>(in), {});
  const auto tokenizer = Tokenizer::FromJson(json);
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status() << "\n";
    return 1;
  }
  return argc == 2 ? Compare(**tokenizer) : Time(**tokenizer, std::atoi(argv[3]));
}

}  // namespace
}  // namespace octet::text

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  return octet::text::Main(argc, argv);
}
