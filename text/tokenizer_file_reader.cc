#include "text/tokenizer_file_reader.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"

namespace octet::text {
namespace {

// Real files nest 7 deep; the library's parser recurses.
constexpr size_t kMaxDepth = 32;

// Values outside vocabulary and merges: nine for each added token, a hundred or so for the rest.
constexpr size_t kMaxTreeValues = 1'000'000;

// Ids beyond int64 are as far above the limit as INT64_MAX is; VocabularyCheck refuses both.
int64_t ClampToInt64(uint64_t value) {
  return value > static_cast<uint64_t>(INT64_MAX) ? INT64_MAX : static_cast<int64_t>(value);
}

}  // namespace

absl::Status TokenizerFileReader::Read(absl::string_view json) {
  try {
    if (Json::sax_parse(json.begin(), json.end(), this)) return absl::OkStatus();
  } catch (const std::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat("tokenizer.json: ", e.what()));
  }
  if (status_.ok()) return absl::InvalidArgumentError("tokenizer.json: not JSON");
  return status_;
}

bool TokenizerFileReader::Fail(absl::string_view message) {
  status_ = absl::InvalidArgumentError(message);
  return false;
}

bool TokenizerFileReader::Check(absl::Status status) {
  if (status.ok()) return true;
  status_ = std::move(status);
  return false;
}

bool TokenizerFileReader::null() { return Value(nullptr); }
bool TokenizerFileReader::boolean(bool value) { return Value(value); }
bool TokenizerFileReader::number_integer(number_integer_t value) { return Value(value); }
bool TokenizerFileReader::number_unsigned(number_unsigned_t value) { return Value(value); }
bool TokenizerFileReader::number_float(number_float_t value, const string_t&) { return Value(value); }
bool TokenizerFileReader::string(string_t& value) { return Value(std::move(value)); }
bool TokenizerFileReader::binary(binary_t&) { return Fail("tokenizer.json: binary value"); }
bool TokenizerFileReader::start_object(size_t) { return Open(/*is_object=*/true); }
bool TokenizerFileReader::start_array(size_t) { return Open(/*is_object=*/false); }

bool TokenizerFileReader::parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
  // The library's own message quotes the file around the error.
  return Fail(absl::StrCat("tokenizer.json: not valid JSON at byte ", position));
}

bool TokenizerFileReader::key(string_t& value) {
  Frame& frame = frames_.back();
  if (!frame.keys.insert(value).second) {
    return Fail(absl::StrCat(frame.area == Area::kVocabMap ? "model.vocab" : "tokenizer.json", ": key ",
                             QuoteToken(value), " is repeated"));
  }
  frame.key = std::move(value);
  return true;
}

bool TokenizerFileReader::Value(Json value) {
  if (frames_.empty()) return Fail("tokenizer.json: not an object");
  switch (frames_.back().area) {
    case Area::kTree:
      if (++num_tree_values_ > kMaxTreeValues) {
        return Fail(absl::StrCat("tokenizer.json: too many values, limit ", kMaxTreeValues));
      }
      Attach(std::move(value));
      return true;
    case Area::kVocabMap: {
      const std::string& token = frames_.back().key;
      if (value.is_number_unsigned()) {
        return Check(vocabulary_.AddToken(token, ClampToInt64(value.get<uint64_t>())));
      }
      if (value.is_number_integer()) return Check(vocabulary_.AddToken(token, value.get<int64_t>()));
      return Fail(absl::StrCat("model.vocab: ", QuoteToken(token), ": id is not an integer"));
    }
    case Area::kVocabList:
      return Fail(absl::StrCat("model.vocab[", num_vocab_items_, "]: not a [token, score] pair"));
    case Area::kMergeList:
      item_.clear();
      item_.push_back(std::move(value));
      return FinishMergeItem();
    case Area::kVocabItem:
    case Area::kMergeItem:
      if (item_.size() < 3) item_.push_back(std::move(value));
      return true;
  }
  return false;
}

TokenizerFileReader::Area TokenizerFileReader::AreaOfChild(bool is_object) const {
  const Frame& frame = frames_.back();
  if (frame.area == Area::kVocabList) return Area::kVocabItem;
  if (frame.area == Area::kMergeList) return Area::kMergeItem;
  // The object under the root's key "model".
  if (frames_.size() == 2 && frames_[0].key == "model" && frame.node->is_object()) {
    if (frame.key == "vocab") return is_object ? Area::kVocabMap : Area::kVocabList;
    if (frame.key == "merges" && !is_object) return Area::kMergeList;
  }
  return Area::kTree;
}

bool TokenizerFileReader::Open(bool is_object) {
  if (frames_.size() >= kMaxDepth) {
    return Fail(absl::StrCat("tokenizer.json: nested deeper than ", kMaxDepth));
  }
  Frame frame;
  if (!frames_.empty()) {
    frame.area = AreaOfChild(is_object);
    const Area outer = frames_.back().area;
    const bool item = frame.area == Area::kVocabItem || frame.area == Area::kMergeItem;
    if ((item && is_object) || outer == Area::kVocabMap || outer == Area::kVocabItem || outer == Area::kMergeItem) {
      return Fail(outer == Area::kMergeList || outer == Area::kMergeItem
                      ? absl::StrCat("model.merges[", num_merge_items_, "]: not two tokens")
                      : absl::StrCat("model.vocab: an entry is not a token with its id or score"));
    }
    item_.clear();
  } else if (!is_object) {
    return Fail("tokenizer.json: not an object");
  }
  if (frame.area == Area::kTree) {
    if (++num_tree_values_ > kMaxTreeValues) {
      return Fail(absl::StrCat("tokenizer.json: too many values, limit ", kMaxTreeValues));
    }
    frame.node = Attach(is_object ? Json::object() : Json::array());
  }
  frames_.push_back(std::move(frame));
  return true;
}

// Adds to the innermost open container of the tree. The pointer is valid while that container's later
// elements are not yet added, which is as long as the new one is open.
nlohmann::json* TokenizerFileReader::Attach(Json value) {
  if (frames_.empty()) {
    tree_ = std::move(value);
    return &tree_;
  }
  Json& outer = *frames_.back().node;
  if (outer.is_object()) return &(outer[frames_.back().key] = std::move(value));
  outer.push_back(std::move(value));
  return &outer.back();
}

bool TokenizerFileReader::end_object() {
  frames_.pop_back();
  return true;
}

bool TokenizerFileReader::end_array() {
  const Area area = frames_.back().area;
  frames_.pop_back();
  if (area == Area::kVocabItem) return FinishVocabItem();
  if (area == Area::kMergeItem) return FinishMergeItem();
  return true;
}

bool TokenizerFileReader::FinishVocabItem() {
  if (item_.size() != 2 || !item_[0].is_string() || !item_[1].is_number()) {
    return Fail(absl::StrCat("model.vocab[", num_vocab_items_, "]: not a [token, score] pair"));
  }
  const size_t id = num_vocab_items_++;
  return Check(vocabulary_.AddToken(item_[0].get_ref<const std::string&>(), static_cast<int64_t>(id)));
}

bool TokenizerFileReader::FinishMergeItem() {
  const size_t idx = num_merge_items_++;
  if (item_.size() == 2 && item_[0].is_string() && item_[1].is_string()) {
    const size_t second = item_[1].get_ref<const std::string&>().size();
    return Check(vocabulary_.AddMerge(item_[0].get_ref<const std::string&>().size() + second, second));
  }
  if (item_.size() == 1 && item_[0].is_string()) {  // the older form "first second"
    const std::string& merge = item_[0].get_ref<const std::string&>();
    const size_t space = merge.find(' ');
    if (space == std::string::npos) {
      // The library skips a "#version" line and refuses everything else by itself.
      return true;
    }
    return Check(vocabulary_.AddMerge(merge.size() - 1, merge.size() - space - 1));
  }
  return Fail(absl::StrCat("model.merges[", idx, "]: not two tokens"));
}

}  // namespace octet::text
