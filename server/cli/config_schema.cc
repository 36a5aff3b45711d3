#include "server/cli/config_schema.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace octet::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

struct Unit {
  const char* name;
  uint64_t factor;
};
constexpr Unit kByteUnits[] = {{"", 1},         {"B", 1},         {"kB", 1000},       {"KB", 1000},    {"KiB", 1 << 10},
                               {"MB", 1000000}, {"MiB", 1 << 20}, {"GB", 1000000000}, {"GiB", 1 << 30}};
constexpr Unit kTimeUnits[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};

template <size_t kNumUnits>
absl::StatusOr<uint64_t> ParseWithUnit(absl::string_view text, const Unit (&units)[kNumUnits], absl::string_view want) {
  const auto wrong = [&] { return absl::InvalidArgumentError(absl::StrCat("want ", want, ", got ", Quoted(text))); };
  size_t digits = 0;
  while (digits < text.size() && absl::ascii_isdigit(text[digits])) ++digits;
  uint64_t number = 0;
  if (digits == 0 || !absl::SimpleAtoi(text.substr(0, digits), &number)) return wrong();
  const absl::string_view suffix = absl::StripAsciiWhitespace(text.substr(digits));
  for (const Unit& unit : units) {
    if (suffix != unit.name) continue;
    if (number > UINT64_MAX / unit.factor) return wrong();
    return number * unit.factor;
  }
  return wrong();
}

absl::StatusOr<uint64_t> ParseNumber(absl::string_view text, const FieldDescriptor& field) {
  if (absl::EndsWith(field.name(), "_bytes")) return ParseBytes(text);
  if (absl::EndsWith(field.name(), "_ms")) return ParseMilliseconds(text);
  uint64_t number = 0;
  const bool is_number = !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  if (!is_number || !absl::SimpleAtoi(text, &number)) {
    return absl::InvalidArgumentError(absl::StrCat("want a whole number, got ", Quoted(text)));
  }
  return number;
}

absl::Status SetNumber(absl::string_view text, const FieldDescriptor& field, Message* message) {
  ASSIGN_OR_RETURN(const uint64_t number, ParseNumber(text, field));
  const config::v1::Rule& rule = field.options().GetExtension(config::v1::rule);
  const uint64_t max = rule.has_max() ? rule.max() : UINT64_MAX;
  if (number < rule.min() || number > max) {
    return absl::InvalidArgumentError(absl::StrCat("want ", rule.min(), " to ", max, ", got ", Quoted(text)));
  }
  message->GetReflection()->SetUInt64(message, &field, number);
  return absl::OkStatus();
}

absl::Status SetReal(absl::string_view text, const FieldDescriptor& field, Message* message) {
  double number = 0;
  if (!absl::SimpleAtod(text, &number) || !std::isfinite(number)) {
    return absl::InvalidArgumentError(absl::StrCat("want a number such as 0.5, got ", Quoted(text)));
  }
  message->GetReflection()->SetDouble(message, &field, number);
  return absl::OkStatus();
}

absl::Status SetBool(absl::string_view text, const FieldDescriptor& field, Message* message) {
  if (text != "true" && text != "false") {
    return absl::InvalidArgumentError(absl::StrCat("want true or false, got ", Quoted(text)));
  }
  message->GetReflection()->SetBool(message, &field, text == "true");
  return absl::OkStatus();
}

absl::Status SetString(absl::string_view text, const FieldDescriptor& field, Message* message) {
  const auto& allowed = field.options().GetExtension(config::v1::rule).one_of();
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), std::string(text)) == allowed.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("want one of ", absl::StrJoin(allowed, ", "), ", got ", Quoted(text)));
  }
  message->GetReflection()->SetString(message, &field, std::string(text));
  return absl::OkStatus();
}

void AddKeys(const Descriptor& message, const ConfigKey& parent, std::vector<ConfigKey>* keys) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor* field = message.field(i);
    ConfigKey key = parent;
    key.path = absl::StrCat(parent.path, parent.path.empty() ? "" : ".", std::string(field->name()));
    key.variable = absl::StrCat("OCTET_", absl::AsciiStrToUpper(absl::StrReplaceAll(key.path, {{".", "_"}})));
    key.fields.push_back(field);
    if (field->message_type() != nullptr && !field->is_repeated()) {
      AddKeys(*field->message_type(), key, keys);
    } else {
      keys->push_back(std::move(key));
    }
  }
}

}  // namespace

std::string Quoted(absl::string_view text) {
  constexpr size_t kMaxShown = 60;
  const bool cut = text.size() > kMaxShown;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kMaxShown)), cut ? "...\"" : "\"");
}

const std::vector<ConfigKey>& ConfigKeys() {
  static const auto* const keys = [] {
    auto* all = new std::vector<ConfigKey>;
    AddKeys(*Config::descriptor(), ConfigKey{}, all);
    return all;
  }();
  return *keys;
}

const ConfigKey* FindConfigKeyOrNull(absl::string_view path) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.path == path) return &key;
  }
  return nullptr;
}

absl::StatusOr<uint64_t> ParseBytes(absl::string_view text) {
  return ParseWithUnit(text, kByteUnits, "a size such as 65536, 64KiB or 2MiB");
}

absl::StatusOr<uint64_t> ParseMilliseconds(absl::string_view text) {
  return ParseWithUnit(text, kTimeUnits, "a duration such as 250ms, 30s or 5m");
}

absl::Status SetScalar(absl::string_view text, const FieldDescriptor& field, Message* message) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT64:
      return SetNumber(text, field, message);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return SetReal(text, field, message);
    case FieldDescriptor::CPPTYPE_BOOL:
      return SetBool(text, field, message);
    case FieldDescriptor::CPPTYPE_STRING:
      return SetString(text, field, message);
    default:
      return absl::InternalError(absl::StrCat("no text form for a ", std::string(field.cpp_type_name())));
  }
}

absl::Status SetKey(const ConfigKey& key, absl::string_view text, Config* config) {
  if (key.path == "models") {
    std::vector<config::v1::Model> models;
    for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipEmpty())) {
      ASSIGN_OR_RETURN(config::v1::Model model, ParseModel(part));
      models.push_back(std::move(model));
    }
    config->clear_models();
    for (config::v1::Model& model : models) *config->add_models() = std::move(model);
    return absl::OkStatus();
  }
  Message* message = config;
  for (size_t i = 0; i + 1 < key.fields.size(); ++i) {
    message = message->GetReflection()->MutableMessage(message, key.fields[i]);
  }
  return SetScalar(text, *key.fields.back(), message);
}

bool IsModelName(absl::string_view name) {
  return !name.empty() && name.size() <= 128 && absl::ascii_isalnum(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '/' || c == '-'; });
}

absl::StatusOr<config::v1::Model> ParseModel(absl::string_view text) {
  config::v1::Model model;
  const size_t equals = text.find('=');
  const absl::string_view directory = equals == text.npos ? text : text.substr(equals + 1);
  if (equals != text.npos) {
    const absl::string_view name = text.substr(0, equals);
    if (!IsModelName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("want NAME=DIR with a NAME of letters, digits and . _ / -, at most 128, got ", Quoted(text)));
    }
    model.set_name(std::string(name));
  } else {
    model.set_name("default");
  }
  if (directory.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("want NAME=DIR or DIR, got ", Quoted(text)));
  }
  model.set_directory(std::string(directory));
  return model;
}

}  // namespace octet::cli
