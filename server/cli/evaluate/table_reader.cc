#include "server/cli/evaluate/table_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "nlohmann/json.hpp"
#include "server/cli/evaluate/quoted_list.h"
#include "server/cli/evaluate/record_scanner.h"

namespace octet::cli {
namespace {

struct Where {
  std::string column, value;
};

absl::StatusOr<std::optional<Where>> ParseWhere(const std::string& text) {
  if (text.empty()) return std::optional<Where>();
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(absl::StrCat("--where: ", model::Quote(text), ": want COLUMN=VALUE"));
  }
  return std::optional<Where>(Where{.column = text.substr(0, equals), .value = text.substr(equals + 1)});
}

std::optional<size_t> PositionOf(const std::string& column) {
  size_t position;
  if (!absl::SimpleAtoi(column, &position) || position == 0) return std::nullopt;
  return position - 1;
}

// Takes the wanted fields out of records, once it knows from the first line where they are.
class ColumnPicker {
 public:
  ColumnPicker(const DataFile* file, const TableOptions* options, std::optional<Where> where)
      : file_(file), options_(options), where_(std::move(where)) {}

  // `first`: the fields of the first line. True when it is a header.
  absl::StatusOr<bool> Settle(const std::vector<std::string>& first) {
    num_fields_ = first.size();
    std::vector<std::string> asked = options_->columns;
    if (where_.has_value()) asked.push_back(where_->column);
    bool has_header = std::any_of(asked.begin(), asked.end(), [](const auto& c) { return !PositionOf(c).has_value(); });
    if (options_->columns.empty()) {
      ASSIGN_OR_RETURN(const bool named, SettleByUsualNames(first, has_header));
      has_header = has_header || named;
    } else {
      for (const std::string& column : options_->columns) {
        ASSIGN_OR_RETURN(const size_t position, Find(column, first, has_header));
        positions_.push_back(position);
      }
    }
    if (where_.has_value()) {
      ASSIGN_OR_RETURN(where_position_, Find(where_->column, first, has_header));
    }
    return has_header;
  }

  // False when the record is not among those of --where.
  absl::StatusOr<bool> Pick(std::vector<std::string> fields, Record* record) const {
    if (fields.size() != num_fields_) {
      return LineError(file_->path, record->line,
                       absl::StrCat(fields.size(), " columns, the first line has ", num_fields_));
    }
    if (where_.has_value() && fields[where_position_] != where_->value) return false;
    for (const std::optional<size_t>& position : positions_) {
      record->fields.push_back(position.has_value() ? fields[*position] : "");
    }
    return true;
  }

 private:
  absl::StatusOr<size_t> Find(const std::string& column, const std::vector<std::string>& first, bool has_header) const {
    if (has_header) {
      const auto it = std::find(first.begin(), first.end(), column);
      if (it != first.end()) return static_cast<size_t>(it - first.begin());
    }
    const std::optional<size_t> position = PositionOf(column);
    if (position.has_value() && *position < first.size()) return *position;
    return LineError(file_->path, 1,
                     absl::StrCat("no column ", model::Quote(column), "; ",
                                  has_header ? absl::StrCat("the header has ", QuotedList(first))
                                             : absl::StrCat("the line has ", first.size(), " columns")));
  }

  absl::StatusOr<bool> SettleByUsualNames(const std::vector<std::string>& first, bool has_header) {
    bool all_found = true;
    std::vector<std::string> preferred;
    for (const WantedColumn& wanted : options_->wanted) {
      const auto it = std::find_if(first.begin(), first.end(), [&](const std::string& name) {
        return std::find(wanted.names.begin(), wanted.names.end(), name) != wanted.names.end();
      });
      positions_.push_back(it == first.end() ? std::nullopt
                                             : std::optional<size_t>(static_cast<size_t>(it - first.begin())));
      all_found = all_found && (it != first.end() || wanted.optional);
      preferred.push_back(wanted.names.front());
    }
    if (all_found) return true;
    const size_t num_wanted = options_->wanted.size();
    const bool fits =
        options_->headless_fields == 0 ? first.size() >= num_wanted : first.size() == options_->headless_fields;
    if (has_header || !fits) {
      return LineError(file_->path, 1,
                       absl::StrCat("no columns ", QuotedList(preferred), " among ", QuotedList(first),
                                    "; name them with --columns"));
    }
    for (size_t i = 0; i < num_wanted; ++i) positions_[i] = i;
    return false;
  }

  const DataFile* const file_;
  const TableOptions* const options_;
  const std::optional<Where> where_;
  size_t num_fields_ = 0, where_position_ = 0;
  std::vector<std::optional<size_t>> positions_;
};

// A string, a number, or an array of those; nothing for another kind.
std::optional<std::string> FieldOf(const nlohmann::json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return value.dump();
  if (!value.is_array()) return std::nullopt;
  std::vector<std::string> parts;
  for (const nlohmann::json& part : value) {
    if (!part.is_string() && !part.is_number()) return std::nullopt;
    parts.push_back(*FieldOf(part));
  }
  return absl::StrJoin(parts, ",");
}

// The field of the first of `names` that the object has; `names` is not empty.
absl::StatusOr<std::string> JsonField(const nlohmann::json& object, const std::vector<std::string>& names,
                                      bool optional) {
  for (const std::string& name : names) {
    const auto it = object.find(name);
    if (it == object.end()) continue;
    std::optional<std::string> field = FieldOf(*it);
    if (field.has_value()) return *std::move(field);
    return absl::InvalidArgumentError(
        absl::StrCat(model::Quote(name), ": ", it->type_name(), ", want a string, a number or an array of those"));
  }
  if (optional) return "";
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return absl::InvalidArgumentError(
      absl::StrCat("no ", model::Quote(names.front()), " among the keys ", QuotedList(keys)));
}

absl::StatusOr<bool> PickJson(const std::string& line, const TableOptions& options, const std::optional<Where>& where,
                              Record* record) {
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("not a JSON object");
  if (where.has_value()) {
    ASSIGN_OR_RETURN(const std::string value, JsonField(object, {where->column}, /*optional=*/false));
    if (value != where->value) return false;
  }
  for (size_t i = 0; i < options.wanted.size(); ++i) {
    const WantedColumn& wanted = options.wanted[i];
    const bool is_named = !options.columns.empty();
    ASSIGN_OR_RETURN(std::string field,
                     JsonField(object, is_named ? std::vector<std::string>{options.columns[i]} : wanted.names,
                               wanted.optional && !is_named));
    record->fields.push_back(std::move(field));
  }
  return true;
}

absl::Status CheckOptions(const TableOptions& options) {
  if (options.columns.empty() || options.columns.size() == options.wanted.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--columns: ", options.columns.size(), " given, this task reads ", options.wanted.size()));
}

}  // namespace

absl::StatusOr<std::vector<Record>> ReadTable(const DataFile& file, const TableOptions& options) {
  RETURN_IF_ERROR(CheckOptions(options));
  ASSIGN_OR_RETURN(const std::optional<Where> where, ParseWhere(options.where));
  RecordScanner scanner(&file);
  ColumnPicker picker(&file, &options, where);
  std::vector<Record> records;
  std::vector<std::string> fields;
  for (bool is_first = true; options.limit == 0 || records.size() < options.limit; is_first = false) {
    ASSIGN_OR_RETURN(const bool found, scanner.Next(&fields));
    if (!found) break;
    Record record{.line = scanner.line(), .fields = {}};
    absl::StatusOr<bool> picked;
    if (scanner.format() == DataFormat::kJsonLines) {
      picked = PickJson(fields.front(), options, where, &record);
      if (!picked.ok()) return LineError(file.path, record.line, picked.status().message());
    } else {
      if (is_first) {
        ASSIGN_OR_RETURN(const bool is_header, picker.Settle(fields));
        if (is_header) continue;
      }
      ASSIGN_OR_RETURN(picked, picker.Pick(std::move(fields), &record));
    }
    if (*picked) records.push_back(std::move(record));
  }
  if (records.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path, ": no records", where.has_value() ? absl::StrCat(" with ", options.where) : ""));
  }
  return records;
}

}  // namespace octet::cli
