#include "server/cli/inspect/quantization_details.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/quantization_report.h"
#include "model/strict_json.h"
#include "server/cli/report/json_members.h"

namespace octet::cli {
namespace {

using model::Json;
using model::JsonReader;

absl::StatusOr<MixedCurvePoint> PointOf(const JsonReader& reader) {
  MixedCurvePoint point;
  ASSIGN_OR_RETURN(const double num_float, RequiredNumber(reader, "float_layers", 0, 1e6));
  point.num_float = static_cast<uint64_t>(num_float);
  ASSIGN_OR_RETURN(point.cosine_mean, RequiredNumber(reader, "cosine_mean", -1.000001, 1.000001));
  ASSIGN_OR_RETURN(point.cosine_min, RequiredNumber(reader, "cosine_min", -1.000001, 1.000001));
  ASSIGN_OR_RETURN(point.relative_time, RequiredNumber(reader, "relative_time", 1e-6, 1e6));
  ASSIGN_OR_RETURN(point.is_chosen, reader.Bool("chosen", false));
  return point;
}

absl::StatusOr<LayerDetails> LayerOf(const JsonReader& reader) {
  LayerDetails details;
  ASSIGN_OR_RETURN(details.smoothing_strength, OptionalNumber(reader, "smoothing_alpha", 0, 1));
  ASSIGN_OR_RETURN(details.sensitivity, OptionalNumber(reader, "sensitivity", -1, 2));
  return details;
}

absl::Status AddLayers(const JsonReader& report, QuantizationDetails* details) {
  ASSIGN_OR_RETURN(const Json* const layers, RequiredMember(report, "layers", Json::value_t::array));
  for (size_t i = 0; i < layers->size(); ++i) {
    const std::string what = absl::StrCat(model::kQuantizationReportFile, ": layers: ", i);
    if (!(*layers)[i].is_object()) return absl::InvalidArgumentError(absl::StrCat(what, ": not an object"));
    const JsonReader reader(what, (*layers)[i]);
    ASSIGN_OR_RETURN(const std::string name, reader.String("layer", std::nullopt));
    ASSIGN_OR_RETURN(details->layers[name], LayerOf(reader));
  }
  return absl::OkStatus();
}

absl::Status AddCurve(const JsonReader& report, QuantizationDetails* details) {
  ASSIGN_OR_RETURN(const Json* const curve, RequiredMember(report, "curve", Json::value_t::array));
  for (size_t i = 0; i < curve->size(); ++i) {
    const std::string what = absl::StrCat(model::kQuantizationReportFile, ": curve: ", i);
    if (!(*curve)[i].is_object()) return absl::InvalidArgumentError(absl::StrCat(what, ": not an object"));
    ASSIGN_OR_RETURN(const MixedCurvePoint point, PointOf(JsonReader(what, (*curve)[i])));
    details->curve.push_back(point);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<QuantizationDetails> ReadQuantizationDetails(const model::ModelDirectory& directory,
                                                            const std::string& weights_version) {
  QuantizationDetails details;
  if (!directory.Exists(model::kQuantizationReportFile)) return details;
  ASSIGN_OR_RETURN(const Json object, model::ReadJsonObject(directory, model::kQuantizationReportFile));
  const JsonReader report(model::kQuantizationReportFile, object);
  ASSIGN_OR_RETURN(const std::string schema, report.String("schema", ""));
  if (schema != model::kQuantizationReportSchema) {
    return report.Error("schema", absl::StrCat("\"", model::kQuantizationReportSchema, "\""));
  }
  ASSIGN_OR_RETURN(const std::string version, report.String("weights_version", ""));
  if (version != weights_version) {
    return report.Error("weights_version", absl::StrCat("\"", weights_version, "\", the version of the directory's"));
  }
  ASSIGN_OR_RETURN(details.source_version, report.String("source_version", ""));
  RETURN_IF_ERROR(AddLayers(report, &details));
  RETURN_IF_ERROR(AddCurve(report, &details));
  return details;
}

}  // namespace octet::cli
