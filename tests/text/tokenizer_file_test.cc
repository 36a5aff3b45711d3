// Faults F20-F23 of the reliability table: damaged tokenizer.json files are refused with one line that
// names the entry, or give a bounded answer; never a crash, a hang or an allocation from a claimed size.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "text/tokenizer.h"
#include "text/tokenizer_file.h"

namespace octet::text {
namespace {

std::string Repeat(const std::string& unit, size_t count) {
  std::string s;
  for (size_t i = 0; i < count; ++i) s += unit;
  return s;
}

std::string File(const std::string& model, const std::string& added = "[]", const std::string& pre_tokenizer = "null",
                 const std::string& post = "null") {
  return absl::StrCat(R"({"version":"1.0","truncation":null,"padding":null,"added_tokens":)", added,
                      R"(,"normalizer":null,"pre_tokenizer":)", pre_tokenizer, R"(,"post_processor":)", post,
                      R"(,"decoder":null,"model":)", model, "}");
}

std::string WordPiece(const std::string& vocab, const std::string& unk = "[UNK]") {
  return absl::StrCat(R"({"type":"WordPiece","unk_token":")", unk,
                      R"(","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":)", vocab, "}");
}

std::string Bpe(const std::string& vocab, const std::string& merges, const std::string& prefix = "null") {
  return absl::StrCat(R"({"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":)", prefix,
                      R"(,"end_of_word_suffix":null,"fuse_unk":false,"vocab":)", vocab, R"(,"merges":)", merges, "}");
}

std::string Added(const std::string& content, const std::string& id) {
  return absl::StrCat(R"({"id":)", id, R"(,"content":")", content,
                      R"(","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,)",
                      R"("special":true})");
}

std::string Split(const std::string& regex) {
  return absl::StrCat(R"({"type":"Split","pattern":{"Regex":")", regex, R"("},"behavior":"Isolated","invert":false})");
}

const char kVocab[] = R"({"[UNK]":0,"a":1,"##a":2})";

struct FaultCase {
  const char* name;  // starts with the row's id
  std::string json;
  const char* reason;  // part of the message; empty: the file loads
};

std::ostream& operator<<(std::ostream& out, const FaultCase& c) { return out << c.name; }

std::vector<FaultCase> Cases() {
  const std::string good = WordPiece(kVocab);
  return {
      {"F20_Control", File(good), ""},
      {"F20_Empty", "", "not valid JSON at byte"},
      {"F20_NotAnObject", "[]", "not an object"},
      {"F20_Scalar", "7", "not an object"},
      {"F20_CutShort", File(good).substr(0, 150), "not valid JSON"},
      {"F20_TrailingGarbage", File(good) + "x", "not valid JSON"},
      {"F20_TooLarge", std::string(kMaxTokenizerFileBytes + 1, ' '), "limit 67108864"},
      {"F20_DeepArrays", Repeat("[", 100000), "not an object"},
      {"F20_DeepInObject", "{\"x\":" + Repeat("[", 100000), "nested deeper than 32"},
      {"F20_DeepObjects", Repeat("{\"a\":", 100000), "nested deeper than 32"},
      {"F20_NegativeId", File(WordPiece(R"({"[UNK]":0,"a":-1})")), "\"a\": id -1 is negative"},
      {"F20_RepeatedId", File(WordPiece(R"({"[UNK]":0,"a":1,"b":1})")), "id 1 is repeated"},
      {"F20_RepeatedToken", File(WordPiece(R"({"[UNK]":0,"a":1,"\u0061":2})")), "key \"a\" is repeated"},
      {"F20_FractionalId", File(WordPiece(R"({"[UNK]":0,"a":1.5})")), "id is not an integer"},
      {"F20_StringId", File(WordPiece(R"({"[UNK]":0,"a":"1"})")), "id is not an integer"},
      {"F20_ObjectId", File(WordPiece(R"({"[UNK]":0,"a":{}})")), "not a token with its id"},
      {"F20_LargestInt32", File(WordPiece(R"({"[UNK]":0,"a":2147483647})")), "id 2147483647, limit"},
      {"F20_AboveInt64", File(WordPiece(R"({"[UNK]":0,"a":18446744073709551615})")), "limit 2147483646"},
      {"F20_AboveUint64", File(WordPiece(R"({"[UNK]":0,"a":99999999999999999999})")), "not an integer"},
      {"F20_HugeGap", File(WordPiece(R"({"[UNK]":0,"a":2147483646})")), "largest id 2147483646"},
      {"F20_SmallGap", File(WordPiece(R"({"[UNK]":0,"a":7})")), ""},
      {"F20_EmptyVocabulary", File(WordPiece("{}")), "model.vocab: empty"},
      {"F20_NoModel", R"({"version":"1.0"})", "model: missing"},
      {"F20_RepeatedModel", absl::StrReplaceAll(File(good), {{"\"decoder\":null", "\"model\":{}"}}),
       "key \"model\" is repeated"},
      {"F20_MissingUnk", File(WordPiece(R"({"a":0})")), "model.unk_token: \"[UNK]\" is not in"},
      {"F20_UnigramMissingUnk", File(R"({"type":"Unigram","unk_id":null,"vocab":[["a",0.0]]})"),
       "model.unk_id: missing"},
      {"F20_UnigramUnkBeyond", File(R"({"type":"Unigram","unk_id":5,"vocab":[["a",0.0]]})"), "model.unk_id: 5 is not"},
      {"F20_UnigramBadPiece", File(R"({"type":"Unigram","unk_id":0,"vocab":[["a",0.0],["b"]]})"), "model.vocab[1]"},
      {"F20_MissingSeparator", File(good, "[]", "null", R"({"type":"BertProcessing","sep":["[SEP]",2],"cls":["a",1]})"),
       "post_processor.sep: \"[SEP]\" is not in the vocabulary"},
      {"F20_ClassTokenHasOtherId", File(good, "[]", "null", R"({"type":"BertProcessing","sep":["a",1],"cls":["a",0]})"),
       "post_processor.cls: \"a\" has id 1, not 0"},
      {"F21_EmptyContent", File(good, "[" + Added("", "3") + "]"), "added_tokens[0]: content is empty"},
      {"F21_HugeContent", File(good, "[" + Added(std::string(10'000'000, 'x'), "3") + "]"),
       "content of 10000000 bytes, limit 4096"},
      {"F21_Overlapping", File(good, "[" + Added("aa", "3") + "," + Added("aaa", "4") + "," + Added("aaaa", "5") + "]"),
       ""},
      {"F21_SameContentTwice", File(good, "[" + Added("x", "3") + "," + Added("x", "4") + "]"),
       "repeats added_tokens[0]"},
      {"F21_SameIdTwice", File(good, "[" + Added("x", "3") + "," + Added("y", "3") + "]"),
       "also the id of added_tokens[0]"},
      {"F21_IdOfAnotherToken", File(good, "[" + Added("x", "1") + "]"), "is the id of \"a\""},
      {"F21_OtherIdThanInVocabulary", File(good, "[" + Added("a", "3") + "]"), "model.vocab has 1"},
      {"F21_IdTheLibraryWouldChange", File(good, "[" + Added("x", "9") + "]"), "has id 3, not 9"},
      {"F21_NegativeId", File(good, "[" + Added("x", "-1") + "]"), "id -1 is negative"},
      {"F22_NestedQuantifier", File(good, "[]", Split("(a+)+")), ""},
      {"F22_Backtracking", File(good, "[]", Split("(?=(a+)+$)(a+)+b")), ""},
      {"F22_BackReference", File(good, "[]", Split("(a+)+\\\\1b")), ""},
      {"F22_UnbalancedRegex", File(good, "[]", Split("(((")), "tokenizer.json: "},
      {"F22_DeepRegex", File(good, "[]", Split(Repeat("(", 5000) + Repeat(")", 5000))), "tokenizer.json: "},
      {"F22_HugeRegex", File(good, "[]", Split(std::string(100'000, 'a'))), "limit 16384"},
      {"F22_HugeRepeat", File(good, "[]", Split("(((a{1000}){1000}){1000})")), "tokenizer.json: "},
      {"F23_MergeLongerThanAnyToken", File(Bpe(R"({"a":0,"bb":1})", R"([["a","bb"]])")),
       "model.merges[0]: 3 bytes, longer than any token"},
      {"F23_OlderFormToo", File(Bpe(R"({"a":0,"bb":1})", R"(["a bb"])")), "model.merges[0]: 3 bytes"},
      {"F23_MergeOutOfVocabulary", File(Bpe(R"({"a":0,"b":1,"xyz":2})", R"([["a","b"]])")), "tokenizer.json: "},
      {"F23_SecondShorterThanPrefix", File(Bpe(R"({"a":0,"aab":1})", R"([["a","a"]])", "\"##\"")),
       "model.merges[0]: second token is shorter"},
      {"F23_NotTwoTokens", File(Bpe(R"({"a":0})", R"([["a","a","a"]])")), "model.merges[0]: not two"},
      {"F23_NestedMerge", File(Bpe(R"({"a":0})", R"([["a",["a"]]])")), "model.merges[0]: not two"},
  };
}

class TokenizerFileTest : public testing::TestWithParam<FaultCase> {};

TEST_P(TokenizerFileTest, IsRefusedByNameOrBounded) {
  const FaultCase& c = GetParam();
  const auto tokenizer = Tokenizer::FromJson(c.json);
  if (*c.reason != '\0') {
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_EQ(tokenizer.status().code(), absl::StatusCode::kInvalidArgument);
    const std::string message(tokenizer.status().message());
    EXPECT_TRUE(absl::StrContains(message, c.reason)) << message;
    EXPECT_FALSE(absl::StrContains(message, "\n")) << message;
    EXPECT_LE(message.size(), 256u);
    return;
  }
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.status();
  // The worst text for each pattern and each set of added tokens above.
  for (const std::string& text : {std::string(30'000, 'a'), std::string(30'000, 'a') + "!"}) {
    const auto encoding = (*tokenizer)->Encode(text, {.max_tokens = 64});
    if (encoding.ok()) {
      EXPECT_LE(encoding->ids.size(), 64u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, TokenizerFileTest, testing::ValuesIn(Cases()),
                         [](const auto& param_info) { return std::string(param_info.param.name); });

}  // namespace
}  // namespace octet::text
