#include "model/quantization_report.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace octet::model {
namespace {

absl::Status TooMuchLoss(absl::string_view what, double got, double limit) {
  return absl::FailedPreconditionError(
      absl::StrCat(kQuantizationReportFile, ": ", what, ": ", got, ", the configured gate asks for at least ", limit));
}

}  // namespace

std::string ReportText(const QuantizationReport& report) {
  const bool is_measured = report.held_out_texts > 0;
  const Json json = {{"schema", kQuantizationReportSchema},
                     {"octet_version", report.octet_version},
                     {"isa", report.isa},
                     {"method", report.method},
                     {"source_version", report.source_version},
                     {"weights_version", report.weights_version},
                     {"options", report.options},
                     {"calibration",
                      {{"sha256", report.calibration_sha256},
                       {"texts", report.calibration_texts},
                       {"tokens", report.calibration_tokens},
                       {"truncated", report.calibration_truncated}}},
                     {"fidelity",
                      {{"held_out_texts", report.held_out_texts},
                       {"cosine_mean", is_measured ? Json(report.cosine_mean) : Json(nullptr)},
                       {"cosine_min", is_measured ? Json(report.cosine_min) : Json(nullptr)}}},
                     {"layers", report.layers},
                     {"curve", report.curve}};
  return absl::StrCat(json.dump(2), "\n");
}

absl::Status CheckGate(const QuantizationGate& gate, const ModelDirectory& directory,
                       const std::string& weights_version) {
  if (!gate.is_on()) return absl::OkStatus();
  if (!directory.Exists(kQuantizationReportFile)) {
    return absl::FailedPreconditionError(
        absl::StrCat(kQuantizationReportFile, ": missing, and the configured gate asks for it"));
  }
  ASSIGN_OR_RETURN(const Json object, ReadJsonObject(directory, kQuantizationReportFile));
  const JsonReader report(kQuantizationReportFile, object);
  ASSIGN_OR_RETURN(const std::string schema, report.String("schema", ""));
  if (schema != kQuantizationReportSchema)
    return report.Error("schema", absl::StrCat("\"", kQuantizationReportSchema, "\""));
  ASSIGN_OR_RETURN(const std::string version, report.String("weights_version", ""));
  if (version != weights_version) {
    return absl::FailedPreconditionError(absl::StrCat(kQuantizationReportFile, ": is of weights \"", version,
                                                      "\", the directory's are ", weights_version));
  }
  const Json* const fidelity = report.Find("fidelity");
  if (fidelity == nullptr || !fidelity->is_object()) return report.Error("fidelity", "an object");
  if (gate.min_cosine_mean == 0 && gate.min_cosine_min == 0) return absl::OkStatus();
  const JsonReader values(absl::StrCat(kQuantizationReportFile, ": fidelity"), *fidelity);
  if (!values.Has("cosine_mean") || !values.Has("cosine_min")) {
    return absl::FailedPreconditionError(
        absl::StrCat(kQuantizationReportFile,
                     ": has no cosines to f32, which the configured gate asks for; quantize with a "
                     "calibration file of at least 8 texts"));
  }
  ASSIGN_OR_RETURN(const double mean, values.Number("cosine_mean", -1, 1.000001, -1));
  ASSIGN_OR_RETURN(const double min, values.Number("cosine_min", -1, 1.000001, -1));
  if (mean < gate.min_cosine_mean) return TooMuchLoss("cosine_mean", mean, gate.min_cosine_mean);
  if (min < gate.min_cosine_min) return TooMuchLoss("cosine_min", min, gate.min_cosine_min);
  return absl::OkStatus();
}

}  // namespace octet::model
