// Reads a tokenizer.json event by event. Vocabulary and merges, which are nearly all of a file, go
// straight into a VocabularyCheck; the rest becomes a small tree. Not thread-safe, used once.
#ifndef OCTET_TEXT_TOKENIZER_FILE_READER_H_
#define OCTET_TEXT_TOKENIZER_FILE_READER_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "text/vocabulary_check.h"

namespace octet::text {

class TokenizerFileReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  using Json = nlohmann::json;

  // InvalidArgument for anything that is not JSON, is nested too deep, repeats a key, or has vocabulary
  // or merge entries of a wrong type or value.
  absl::Status Read(absl::string_view json);

  const Json& tree() const { return tree_; }  // without model.vocab and model.merges
  VocabularyCheck& vocabulary() { return vocabulary_; }

  // json_sax; each returns false to stop, with status_ set.
  bool null() override;
  bool boolean(bool value) override;
  bool number_integer(number_integer_t value) override;
  bool number_unsigned(number_unsigned_t value) override;
  bool number_float(number_float_t value, const string_t& text) override;
  bool string(string_t& value) override;
  bool binary(binary_t& value) override;
  bool key(string_t& value) override;
  bool start_object(size_t size) override;
  bool end_object() override;
  bool start_array(size_t size) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string& last_token, const nlohmann::detail::exception& error) override;

 private:
  // Where the innermost open container lies.
  enum class Area { kTree, kVocabMap, kVocabList, kVocabItem, kMergeList, kMergeItem };
  struct Frame {
    Area area = Area::kTree;
    Json* node = nullptr;  // kTree only
    std::string key;       // the last key, objects only
    absl::flat_hash_set<std::string> keys;
  };

  bool Fail(absl::string_view message);
  bool Check(absl::Status status);
  bool Value(Json value);
  bool Open(bool is_object);
  Area AreaOfChild(bool is_object) const;
  Json* Attach(Json value);
  bool FinishVocabItem();
  bool FinishMergeItem();

  Json tree_;
  VocabularyCheck vocabulary_;
  std::vector<Frame> frames_;
  std::vector<Json> item_;  // of the open kVocabItem or kMergeItem
  size_t num_tree_values_ = 0;
  size_t num_vocab_items_ = 0;
  size_t num_merge_items_ = 0;
  absl::Status status_;
};

}  // namespace octet::text

#endif  // OCTET_TEXT_TOKENIZER_FILE_READER_H_
