#include "model/strict_json.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/quote.h"

namespace octet::model {
namespace {

// nlohmann's SAX interface (its parser keeps its own stack, so depth costs no recursion). Builds the
// value and stops at the first thing that is not allowed.
class StrictBuilder {
 public:
  explicit StrictBuilder(const JsonLimits& limits) : limits_(limits) {}

  // The members below are the names that the library calls.
  bool null() { return Add(nullptr) != nullptr; }
  bool boolean(bool value) { return Add(value) != nullptr; }
  bool number_integer(Json::number_integer_t value) { return Add(value) != nullptr; }
  bool number_unsigned(Json::number_unsigned_t value) {
    if (value <= static_cast<uint64_t>(INT64_MAX)) return Add(value) != nullptr;
    if (!limits_.rounds_huge_integers) return Refuse("integer above 2^63");
    return Add(static_cast<double>(value)) != nullptr;
  }
  bool number_float(Json::number_float_t value, const std::string& digits) {
    // The library turns integers beyond 64 bits into floats.
    if (!limits_.rounds_huge_integers && digits.find_first_of(".eE") == std::string::npos) {
      return Refuse("integer above 2^63");
    }
    return Add(value) != nullptr;
  }
  bool string(std::string& value) {
    if (value.find('\0') != std::string::npos) return Refuse("NUL in a string");
    return Add(std::move(value)) != nullptr;
  }
  bool binary(Json::binary_t&) { return Refuse("binary value"); }
  bool start_object(size_t) { return Push(Json::object()); }
  bool start_array(size_t) { return Push(Json::array()); }
  bool end_object() { return Pop(); }
  bool end_array() { return Pop(); }
  bool key(std::string& name) {
    Json& object = *open_.back();
    if (name.find('\0') != std::string::npos) return Refuse("NUL in a key");
    if (object.size() >= limits_.max_keys) {
      return Refuse(absl::StrCat("more than ", limits_.max_keys, " keys in one object"));
    }
    const auto [entry, added] = object.get_ref<Json::object_t&>().emplace(name, nullptr);
    if (!added) return Refuse(absl::StrCat("duplicate key ", Quote(name)));
    member_ = &entry->second;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) {
    // 3.11: "[json.exception.parse_error.101] parse error at line 1, column 2: <reason>"; lines and columns
    // say little in one-line files, the byte position is ours.
    absl::string_view reason = error.what();
    const size_t colon = reason.find(": ");
    if (colon != absl::string_view::npos) reason.remove_prefix(colon + 2);
    constexpr size_t kMaxReason = 120;  // it may quote the input
    error_ = absl::StrCat("byte ", position, ": not valid JSON: ", absl::CHexEscape(reason.substr(0, kMaxReason)));
    return false;
  }

  const std::string& error() const { return error_; }
  Json TakeRoot() { return std::move(root_); }

 private:
  bool Refuse(absl::string_view reason) {
    error_ = std::string(reason);
    return false;
  }

  // Puts a value where the parser stands; null after a refusal.
  Json* Add(Json value) {
    if (++num_values_ > limits_.max_values) {
      Refuse(absl::StrCat("more than ", limits_.max_values, " values"));
      return nullptr;
    }
    Json* place = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      place = &open_.back()->emplace_back(nullptr);
    } else if (!open_.empty()) {
      place = member_;
    }
    *place = std::move(value);
    return place;
  }

  bool Push(Json value) {
    if (open_.size() >= limits_.max_depth) {
      return Refuse(absl::StrCat("nested deeper than ", limits_.max_depth));
    }
    Json* const place = Add(std::move(value));
    if (place == nullptr) return false;
    open_.push_back(place);
    return true;
  }

  bool Pop() {
    open_.pop_back();
    return true;
  }

  const JsonLimits limits_;
  Json root_;
  // Open containers, outermost first. Pointers stay valid: only the innermost one grows.
  std::vector<Json*> open_;
  Json* member_ = nullptr;  // of the innermost object, after its key
  size_t num_values_ = 0;
  std::string error_;
};

absl::StatusOr<Json> ReadJson(const ModelDirectory& directory, absl::string_view name) {
  ASSIGN_OR_RETURN(const std::string text, directory.ReadSmallFile(name, kMaxConfigBytes));
  return ParseStrictJson(text, name);
}

}  // namespace

absl::StatusOr<Json> ParseStrictJson(absl::string_view text, absl::string_view what, const JsonLimits& limits) {
  StrictBuilder builder(limits);
  try {
    if (Json::sax_parse(text.data(), text.data() + text.size(), &builder)) {
      return builder.TakeRoot();
    }
  } catch (const std::exception& error) {  // std::bad_alloc is the only one known
    return absl::ResourceExhaustedError(absl::StrCat(what, ": ", error.what()));
  }
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", builder.error()));
}

absl::StatusOr<Json> ReadJsonObject(const ModelDirectory& directory, absl::string_view name) {
  ASSIGN_OR_RETURN(Json value, ReadJson(directory, name));
  if (!value.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": got ", ShowJson(value), ", expected an object"));
  }
  return value;
}

absl::StatusOr<Json> ReadJsonArray(const ModelDirectory& directory, absl::string_view name) {
  ASSIGN_OR_RETURN(Json value, ReadJson(directory, name));
  if (!value.is_array()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": got ", ShowJson(value), ", expected an array"));
  }
  return value;
}

std::string ShowJson(const Json& value) {
  if (value.is_string()) return Quote(value.get_ref<const std::string&>());
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  return value.dump();  // numbers, booleans and null cannot fail and are short
}

const Json* JsonReader::Find(absl::string_view key) const {
  const auto it = object_.find(std::string(key));
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

absl::Status JsonReader::Error(absl::string_view key, absl::string_view allowed) const {
  const Json* const value = Find(key);
  return absl::InvalidArgumentError(
      value == nullptr ? absl::StrCat(file_, ": ", key, ": missing, allowed ", allowed)
                       : absl::StrCat(file_, ": ", key, ": got ", ShowJson(*value), ", allowed ", allowed));
}

absl::StatusOr<uint32_t> JsonReader::Integer(absl::string_view key, uint32_t min, uint32_t max,
                                             std::optional<uint32_t> fallback) const {
  const Json* const value = Find(key);
  if (value == nullptr && fallback) return *fallback;
  // Strings and floats ("384", 384.0) are refused: the reference would not read them as a size either.
  if (value == nullptr || !value->is_number_integer() || value->get<int64_t>() < int64_t{min} ||
      value->get<int64_t>() > int64_t{max}) {
    return Error(key, absl::StrCat("whole numbers from ", min, " to ", max));
  }
  return static_cast<uint32_t>(value->get<int64_t>());
}

absl::StatusOr<double> JsonReader::Number(absl::string_view key, double min, double max, double fallback) const {
  const Json* const value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !(value->get<double>() >= min && value->get<double>() <= max)) {
    return Error(key, absl::StrCat("numbers from ", min, " to ", max));
  }
  return value->get<double>();
}

absl::StatusOr<bool> JsonReader::Bool(absl::string_view key, bool fallback) const {
  const Json* const value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) return Error(key, "true or false");
  return value->get<bool>();
}

absl::StatusOr<std::string> JsonReader::String(absl::string_view key, std::optional<std::string> fallback) const {
  const Json* const value = Find(key);
  if (value == nullptr && fallback) return *std::move(fallback);
  if (value == nullptr || !value->is_string()) return Error(key, "a string");
  return value->get<std::string>();
}

}  // namespace octet::model
