#include "server/cli/evaluate/report_json.h"

#include <cmath>

#include "nlohmann/json.hpp"
#include "server/cli/evaluate/load_variant.h"

namespace octet::cli {
namespace {

using json = nlohmann::ordered_json;

template <typename T>
json OrNull(const std::optional<T>& value) {
  return value.has_value() ? json(*value) : json(nullptr);
}

json IntervalJson(const std::optional<Interval>& interval) {
  if (!interval.has_value()) return nullptr;
  return {{"low", interval->low}, {"high", interval->high}};
}

json MetricsJson(const std::vector<Metric>& metrics) {
  json object = json::object();
  // NaN, as Pearson may be where Spearman is not, is null in JSON.
  for (const Metric& metric : metrics)
    object[metric.name] = std::isnan(metric.value) ? json(nullptr) : json(metric.value);
  return object;
}

json ComparisonJson(const std::optional<Comparison>& comparison) {
  if (!comparison.has_value()) return nullptr;
  return {{"baseline", kBaselineVariant},
          {"difference", comparison->difference},
          {"difference_interval", IntervalJson(comparison->difference_interval)},
          {"cosine_mean", OrNull(comparison->cosine_mean)},
          {"cosine_min", OrNull(comparison->cosine_min)},
          {"flips", OrNull(comparison->num_flips)}};
}

json VariantJson(const VariantResult& variant) {
  if (!variant.measurement.has_value()) {
    return {{"name", variant.name}, {"status", "not_run"}, {"reason", variant.not_run}};
  }
  const Measurement& m = *variant.measurement;
  return {{"name", variant.name},
          {"status", "measured"},
          {"model_version", m.model_version},
          {"precision", m.precision},
          {"metrics", MetricsJson(m.metrics)},
          {"interval", IntervalJson(m.interval)},
          {"comparison", ComparisonJson(m.comparison)},
          {"texts", m.num_texts},
          {"tokens", m.num_tokens},
          {"clipped_texts", m.num_clipped},
          {"clipped_words", OrNull(m.num_clipped_words)},
          {"speed",
           {{"seconds", m.seconds},
            {"texts_per_second", m.texts_per_second()},
            {"tokens_per_second", m.tokens_per_second()},
            {"latency_texts", m.latency.num_texts},
            {"latency_p50_ms", m.latency.p50_ms},
            {"latency_p99_ms", m.latency.p99_ms}}},
          {"weight_bytes", m.weight_bytes},
          {"file_bytes", m.file_bytes}};
}

}  // namespace

std::string JsonReport(const Report& report) {
  json files = json::array();
  for (const FileDigest& file : report.task.files) {
    files.push_back({{"name", file.name}, {"bytes", file.num_bytes}, {"sha256", file.sha256}});
  }
  json options = json::object();
  for (const auto& [flag, value] : report.options) options[flag] = value;
  json variants = json::array();
  for (const VariantResult& variant : report.variants) variants.push_back(VariantJson(variant));
  const json root = {
      {"schema", kReportSchema},
      {"octet", {{"version", report.octet_version}, {"commit", report.octet_commit}}},
      {"machine", {{"isa", report.machine_isa}, {"used_isa", report.isa}, {"threads", report.num_threads}}},
      {"model", {{"name", report.model_name}}},
      {"task",
       {{"name", report.task.name},
        {"examples", report.task.num_examples},
        {"example_unit", report.task.example_noun},
        {"main_metric", report.task.main_metric},
        {"settings", MetricsJson(report.settings)}}},
      {"data", std::move(files)},
      {"bootstrap",
       {{"resamples", report.bootstrap.num_resamples}, {"seed", report.bootstrap.seed}, {"confidence", kConfidence}}},
      {"options", std::move(options)},
      {"variants", std::move(variants)}};
  return root.dump(2, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + "\n";
}

}  // namespace octet::cli
