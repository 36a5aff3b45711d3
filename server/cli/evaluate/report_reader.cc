#include "server/cli/evaluate/report_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/strict_json.h"
#include "server/cli/evaluate/data_file.h"
#include "server/cli/evaluate/report_json.h"
#include "server/cli/report/json_members.h"

namespace octet::cli {
namespace {

using model::Json;
using model::JsonReader;

// Whole numbers above this are not exact in the JSON of some writers.
constexpr double kMaxCount = 9007199254740992.0;

absl::StatusOr<uint64_t> Count(const JsonReader& reader, absl::string_view key, double min) {
  ASSIGN_OR_RETURN(const double value, RequiredNumber(reader, key, min, kMaxCount));
  return static_cast<uint64_t>(value);
}

absl::StatusOr<JsonReader> Object(const std::string& what, const JsonReader& parent, const std::string& key) {
  ASSIGN_OR_RETURN(const Json* const member, RequiredMember(parent, key, Json::value_t::object));
  return JsonReader(absl::StrCat(what, ": ", key), *member);
}

absl::StatusOr<std::optional<Comparison>> ComparisonOf(const std::string& what, const JsonReader& variant) {
  if (!variant.Has("comparison")) return std::optional<Comparison>();
  ASSIGN_OR_RETURN(const JsonReader reader, Object(what, variant, "comparison"));
  Comparison comparison;
  ASSIGN_OR_RETURN(comparison.difference, RequiredNumber(reader, "difference", -2, 2));
  if (reader.Has("difference_interval")) {
    ASSIGN_OR_RETURN(const JsonReader ends, Object(what, reader, "difference_interval"));
    Interval interval;
    ASSIGN_OR_RETURN(interval.low, RequiredNumber(ends, "low", -2, 2));
    ASSIGN_OR_RETURN(interval.high, RequiredNumber(ends, "high", -2, 2));
    comparison.difference_interval = interval;
  }
  return std::optional<Comparison>(comparison);
}

absl::StatusOr<Measurement> MeasurementOf(const std::string& what, const JsonReader& variant,
                                          const std::string& main_metric) {
  Measurement m;
  ASSIGN_OR_RETURN(const JsonReader metrics, Object(what, variant, "metrics"));
  ASSIGN_OR_RETURN(const double value, RequiredNumber(metrics, main_metric, -1, 1));
  m.metrics.push_back({.name = main_metric, .value = value});
  ASSIGN_OR_RETURN(m.comparison, ComparisonOf(what, variant));
  ASSIGN_OR_RETURN(m.num_texts, Count(variant, "texts", 1));
  ASSIGN_OR_RETURN(const JsonReader speed, Object(what, variant, "speed"));
  ASSIGN_OR_RETURN(m.seconds, RequiredNumber(speed, "seconds", 1e-9, kMaxCount));
  ASSIGN_OR_RETURN(m.weight_bytes, Count(variant, "weight_bytes", 1));
  return m;
}

absl::StatusOr<VariantResult> VariantOf(const std::string& what, const JsonReader& reader,
                                        const std::string& main_metric) {
  VariantResult variant;
  ASSIGN_OR_RETURN(variant.name, reader.String("name", std::nullopt));
  ASSIGN_OR_RETURN(const std::string status, reader.String("status", std::nullopt));
  if (status == "measured") {
    ASSIGN_OR_RETURN(variant.measurement, MeasurementOf(what, reader, main_metric));
    return variant;
  }
  if (status != "not_run") return reader.Error("status", "\"measured\" or \"not_run\"");
  ASSIGN_OR_RETURN(variant.not_run, reader.String("reason", std::nullopt));
  return variant;
}

absl::Status ReadSetting(const std::string& what, const JsonReader& root, Report* report) {
  ASSIGN_OR_RETURN(const JsonReader machine, Object(what, root, "machine"));
  ASSIGN_OR_RETURN(report->isa, machine.String("used_isa", std::nullopt));
  ASSIGN_OR_RETURN(const uint32_t threads, machine.Integer("threads", 1, 1 << 20));
  report->num_threads = static_cast<int>(threads);
  ASSIGN_OR_RETURN(const JsonReader model, Object(what, root, "model"));
  ASSIGN_OR_RETURN(report->model_name, model.String("name", std::nullopt));
  ASSIGN_OR_RETURN(const JsonReader task, Object(what, root, "task"));
  ASSIGN_OR_RETURN(report->task.name, task.String("name", std::nullopt));
  ASSIGN_OR_RETURN(report->task.example_noun, task.String("example_unit", std::nullopt));
  ASSIGN_OR_RETURN(report->task.num_examples, Count(task, "examples", 1));
  ASSIGN_OR_RETURN(report->task.main_metric, task.String("main_metric", std::nullopt));
  return absl::OkStatus();
}

// Calls `read` with each object of the array `key` and what errors call it.
template <typename F>
absl::Status ForEachObject(const std::string& what, const JsonReader& parent, const std::string& key, F read) {
  ASSIGN_OR_RETURN(const Json* const array, RequiredMember(parent, key, Json::value_t::array));
  for (size_t i = 0; i < array->size(); ++i) {
    const std::string element = absl::StrCat(what, ": ", key, ": ", i);
    if (!(*array)[i].is_object()) return absl::InvalidArgumentError(absl::StrCat(element, ": not an object"));
    RETURN_IF_ERROR(read(element, JsonReader(element, (*array)[i])));
  }
  return absl::OkStatus();
}

bool IsSameSetting(const Report& a, const Report& b) {
  const auto same_file = [](const FileDigest& x, const FileDigest& y) { return x.sha256 == y.sha256; };
  return a.task.name == b.task.name && a.task.main_metric == b.task.main_metric &&
         a.task.num_examples == b.task.num_examples && a.isa == b.isa && a.num_threads == b.num_threads &&
         std::equal(a.task.files.begin(), a.task.files.end(), b.task.files.begin(), b.task.files.end(), same_file);
}

void AddVariant(VariantResult variant, std::vector<VariantResult>* variants) {
  const auto is_taken = [&](const std::string& name) {
    return std::any_of(variants->begin(), variants->end(), [&](const VariantResult& v) { return v.name == name; });
  };
  std::string name = variant.name;
  for (int number = 2; is_taken(name); ++number) name = absl::StrCat(variant.name, " (", number, ")");
  variant.name = std::move(name);
  variants->push_back(std::move(variant));
}

}  // namespace

absl::StatusOr<Report> ParseReport(absl::string_view text, absl::string_view what_view) {
  const std::string what(what_view);
  ASSIGN_OR_RETURN(const Json json, model::ParseStrictJson(text, what));
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(what, ": not a JSON object"));
  const JsonReader root(what, json);
  ASSIGN_OR_RETURN(const std::string schema, root.String("schema", ""));
  if (schema != kReportSchema) return root.Error("schema", absl::StrCat("\"", kReportSchema, "\""));
  Report report;
  RETURN_IF_ERROR(ReadSetting(what, root, &report));
  RETURN_IF_ERROR(ForEachObject(what, root, "data", [&](const std::string&, const JsonReader& file) -> absl::Status {
    FileDigest digest;
    ASSIGN_OR_RETURN(digest.name, file.String("name", std::nullopt));
    ASSIGN_OR_RETURN(digest.sha256, file.String("sha256", std::nullopt));
    report.task.files.push_back(std::move(digest));
    return absl::OkStatus();
  }));
  const auto add = [&](const std::string& element, const JsonReader& reader) -> absl::Status {
    ASSIGN_OR_RETURN(VariantResult variant, VariantOf(element, reader, report.task.main_metric));
    report.variants.push_back(std::move(variant));
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(ForEachObject(what, root, "variants", add));
  return report;
}

absl::StatusOr<Report> ReadReport(const std::string& path) {
  ASSIGN_OR_RETURN(const DataFile file, ReadDataFile(path));
  return ParseReport(file.content, path);
}

std::vector<Report> MergeReports(const std::vector<Report>& reports) {
  std::vector<Report> merged;
  for (const Report& report : reports) {
    auto same = std::find_if(merged.begin(), merged.end(), [&](const Report& r) { return IsSameSetting(r, report); });
    if (same == merged.end()) {
      merged.push_back(report);
      continue;
    }
    for (const VariantResult& variant : report.variants) AddVariant(variant, &same->variants);
  }
  return merged;
}

}  // namespace octet::cli
