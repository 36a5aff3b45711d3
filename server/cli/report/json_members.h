// Members of reports that must be there, on top of model::JsonReader.
#ifndef OCTET_SERVER_CLI_REPORT_JSON_MEMBERS_H_
#define OCTET_SERVER_CLI_REPORT_JSON_MEMBERS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"
#include "model/strict_json.h"

namespace octet::cli {

// A number in [min, max]; InvalidArgument when it is missing or another.
inline absl::StatusOr<double> RequiredNumber(const model::JsonReader& reader, absl::string_view key, double min,
                                             double max) {
  if (!reader.Has(key)) return reader.Error(key, absl::StrCat("a number in [", min, ", ", max, "]"));
  return reader.Number(key, min, max, min);
}

// Nothing when it is missing or null.
inline absl::StatusOr<std::optional<double>> OptionalNumber(const model::JsonReader& reader, absl::string_view key,
                                                            double min, double max) {
  if (!reader.Has(key)) return std::optional<double>();
  ASSIGN_OR_RETURN(const double value, reader.Number(key, min, max, min));
  return std::optional<double>(value);
}

// The member, which must be an object or an array as `type` says.
inline absl::StatusOr<const model::Json*> RequiredMember(const model::JsonReader& reader, absl::string_view key,
                                                         model::Json::value_t type) {
  const model::Json* const member = reader.Find(key);
  if (member == nullptr || member->type() != type) {
    return reader.Error(key, type == model::Json::value_t::array ? "an array" : "an object");
  }
  return member;
}

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_REPORT_JSON_MEMBERS_H_
