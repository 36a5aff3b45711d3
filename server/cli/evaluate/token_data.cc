#include "server/cli/evaluate/token_data.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "nlohmann/json.hpp"
#include "server/cli/evaluate/quoted_list.h"
#include "server/cli/evaluate/record_scanner.h"

namespace octet::cli {
namespace {

using nlohmann::json;

constexpr absl::string_view kDocumentStart = "-DOCSTART-";

std::vector<absl::string_view> ColumnsOf(absl::string_view line) {
  if (line.find('\t') != absl::string_view::npos) return absl::StrSplit(line, '\t');
  return absl::StrSplit(line, ' ', absl::SkipEmpty());
}

class TokenDataReader {
 public:
  TokenDataReader(const DataFile* file, const LabelIndices* names, uint64_t limit)
      : file_(*file), names_(*names), limit_(limit), name_of_(names->size()) {
    for (const auto& [name, index] : names_) name_of_[index] = name;
  }

  absl::StatusOr<std::vector<LabelledSentence>> Read() {
    const bool is_json = DetectFormat(file_.content) == DataFormat::kJsonLines;
    for (absl::string_view line : absl::StrSplit(file_.content, '\n')) {
      ++line_;
      line = absl::StripSuffix(line, "\r");
      absl::Status status = is_json ? AddJson(line) : AddConll(line);
      if (!status.ok()) return LineError(file_.path, line_, status.message());
      if (is_full()) break;
    }
    EndSentence();
    if (sentences_.empty()) return absl::InvalidArgumentError(absl::StrCat(file_.path, ": no sentences"));
    return std::move(sentences_);
  }

 private:
  bool is_full() const { return limit_ != 0 && sentences_.size() == limit_; }

  void EndSentence() {
    if (!sentence_.words.empty() && !is_full()) sentences_.push_back(std::move(sentence_));
    sentence_ = {};
  }

  absl::Status AddWord(absl::string_view word, absl::string_view label) {
    if (word.empty()) return absl::InvalidArgumentError("empty word");
    ASSIGN_OR_RETURN(std::string name, NameOf(label));
    sentence_.words.emplace_back(word);
    sentence_.labels.push_back(std::move(name));
    sentence_.lines.push_back(line_);
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> NameOf(absl::string_view label) const {
    if (absl::StripAsciiWhitespace(label).empty()) return absl::InvalidArgumentError("empty label");
    if (names_.empty()) return std::string(label);
    ASSIGN_OR_RETURN(const LabelSet labels, ParseLabels(std::string(label), names_));
    if (labels.size() == 1) return name_of_[labels.front()];
    return absl::InvalidArgumentError(
        absl::StrCat("label ", model::Quote(label), ": ", labels.size(), " labels, want one for a word"));
  }

  absl::Status AddConll(absl::string_view line) {
    if (absl::StripAsciiWhitespace(line).empty()) {
      EndSentence();
      return absl::OkStatus();
    }
    const std::vector<absl::string_view> columns = ColumnsOf(line);
    if (columns.front() == kDocumentStart) {
      EndSentence();
      return absl::OkStatus();
    }
    if (columns.size() < 2) return absl::InvalidArgumentError("1 column, want a word and its label");
    if (num_columns_ == 0) num_columns_ = columns.size();
    if (columns.size() != num_columns_) {
      return absl::InvalidArgumentError(absl::StrCat(columns.size(), " columns, the first word has ", num_columns_));
    }
    return AddWord(columns.front(), columns.back());
  }

  absl::Status AddJson(absl::string_view line) {
    if (absl::StripAsciiWhitespace(line).empty()) return absl::OkStatus();
    const json object = json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    if (!object.is_object()) return absl::InvalidArgumentError("not a JSON object");
    ASSIGN_OR_RETURN(const json* tokens, ArrayOf(object, {"tokens"}));
    ASSIGN_OR_RETURN(const json* labels, ArrayOf(object, {"labels", "ner_tags"}));
    if (tokens->size() != labels->size()) {
      return absl::InvalidArgumentError(
          absl::StrCat(tokens->size(), " tokens, but ", labels->size(), " labels; want as many"));
    }
    if (tokens->empty()) return absl::InvalidArgumentError("no tokens; leave the sentence out");
    for (size_t i = 0; i < tokens->size(); ++i) RETURN_IF_ERROR(AddJsonWord((*tokens)[i], (*labels)[i]));
    EndSentence();
    return absl::OkStatus();
  }

  absl::Status AddJsonWord(const json& token, const json& label) {
    if (!token.is_string()) {
      return absl::InvalidArgumentError(absl::StrCat("\"tokens\": ", token.type_name(), ", want strings"));
    }
    const std::string& word = token.get_ref<const std::string&>();
    if (label.is_string()) return AddWord(word, label.get_ref<const std::string&>());
    if (!label.is_number_unsigned()) {
      return absl::InvalidArgumentError(
          absl::StrCat("labels: ", label.type_name(), " ", label.dump().substr(0, 32), ", want names or indices"));
    }
    if (names_.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("label ", label.dump(), ": an index needs --labels FILE"));
    }
    return AddWord(word, label.dump());
  }

  // The first of `keys` that the object has.
  static absl::StatusOr<const json*> ArrayOf(const json& object, const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      const auto it = object.find(key);
      if (it == object.end()) continue;
      if (it->is_array()) return &*it;
      return absl::InvalidArgumentError(absl::StrCat(model::Quote(key), ": ", it->type_name(), ", want an array"));
    }
    std::vector<std::string> found;
    for (const auto& item : object.items()) found.push_back(item.key());
    return absl::InvalidArgumentError(absl::StrCat("no ", QuotedList(keys), " among the keys ", QuotedList(found)));
  }

  const DataFile& file_;
  const LabelIndices& names_;
  const uint64_t limit_;
  std::vector<std::string> name_of_;  // by index
  uint64_t line_ = 0;
  size_t num_columns_ = 0;  // 0: no word yet
  LabelledSentence sentence_;
  std::vector<LabelledSentence> sentences_;
};

}  // namespace

absl::StatusOr<std::vector<LabelledSentence>> ReadTokenData(const DataFile& file, const LabelIndices& names,
                                                            uint64_t limit) {
  return TokenDataReader(&file, &names, limit).Read();
}

}  // namespace octet::cli
