#include "server/cli/inspect/inspect_json.h"

#include "nlohmann/json.hpp"
#include "server/cli/inspect/inspect_table.h"

namespace octet::cli {
namespace {

using json = nlohmann::ordered_json;

json OrNull(const std::optional<double>& value) { return value.has_value() ? json(*value) : json(nullptr); }

json ValuesJson(const ValueInspection& values) {
  const Histogram& histogram = values.histogram;
  return {{"min", values.summary.min},
          {"max", values.summary.max},
          {"abs_max", values.summary.abs_max()},
          {"share_beyond_6_deviations", values.summary.far_share},
          {"outlier_channels", values.summary.num_outlier_channels},
          {"signal_to_noise_db", OrNull(values.signal_to_noise_db)},
          {"histogram",
           {{"low", histogram.low},
            {"high", histogram.high},
            {"original", histogram.original.empty() ? json(nullptr) : json(histogram.original)},
            {"rounded", histogram.rounded}}}};
}

json SensitivityJson(const LinearInspection& linear) {
  if (!linear.sensitivity().has_value()) return nullptr;
  return {{"value", *linear.sensitivity()},
          {"source", linear.reported_sensitivity.has_value() ? "quantization_report" : "output_cosine"}};
}

json LinearJson(const LinearInspection& linear) {
  return {{"layer", linear.name},
          {"inputs_dim", linear.in_dim},
          {"outputs_dim", linear.out_dim},
          {"precision", KindName(linear.kind)},
          {"scheme", SchemeName(linear)},
          {"input_factors", linear.has_factors},
          {"smoothing_alpha", OrNull(linear.smoothing_strength)},
          {"weights", ValuesJson(linear.weights)},
          {"inputs", linear.inputs.has_value() ? ValuesJson(*linear.inputs) : json(nullptr)},
          {"outputs",
           {{"signal_to_noise_db", OrNull(linear.output_signal_to_noise_db)},
            {"cosine_mean", OrNull(linear.output_cosine)}}},
          {"sensitivity", SensitivityJson(linear)},
          {"bytes", linear.bytes},
          {"f32_bytes", linear.f32_bytes}};
}

json CalibrationJson(const Inspection& inspection) {
  if (!inspection.calibration.has_value()) return nullptr;
  const CalibrationSummary& summary = *inspection.calibration;
  return {{"name", inspection.calibration_name},
          {"sha256", summary.sha256},
          {"texts", summary.num_texts},
          {"tokens", summary.num_tokens},
          {"truncated", summary.num_truncated}};
}

json FloatsJson(const Inspection& inspection) {
  if (inspection.floats_name.empty()) return nullptr;
  return {{"name", inspection.floats_name}, {"version", inspection.floats_version}};
}

}  // namespace

std::string JsonInspection(const Inspection& inspection) {
  json layers = json::array(), curve = json::array();
  for (const LinearInspection& linear : inspection.linears) layers.push_back(LinearJson(linear));
  for (const MixedCurvePoint& point : inspection.curve) {
    curve.push_back({{"float_layers", point.num_float},
                     {"cosine_mean", point.cosine_mean},
                     {"cosine_min", point.cosine_min},
                     {"relative_time", point.relative_time},
                     {"chosen", point.is_chosen}});
  }
  const json root = {
      {"schema", kInspectionSchema},
      {"octet", {{"version", inspection.octet_version}, {"commit", inspection.octet_commit}}},
      {"used_isa", inspection.isa},
      {"model",
       {{"name", inspection.model_name}, {"version", inspection.model_version}, {"quantization", inspection.method}}},
      {"floats", FloatsJson(inspection)},
      {"calibration", CalibrationJson(inspection)},
      {"layers", std::move(layers)},
      {"curve", std::move(curve)}};
  return root.dump(2, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace) + "\n";
}

}  // namespace octet::cli
