#include "server/cli/inspect/inspect_table.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace octet::cli {
namespace {

constexpr char kNothing[] = "-";

struct Column {
  const char* title;
  std::string (*cell)(const LinearInspection& linear);
};

std::string Formatted(const absl::FormatSpec<double>& format, const std::optional<double>& value) {
  return value.has_value() ? absl::StrFormat(format, *value) : kNothing;
}

std::string Tenths(const std::optional<double>& value) { return Formatted("%.1f", value); }

// Every column, in order. w: weights, x: inputs, y: outputs.
constexpr Column kColumns[] = {
    {"layer", [](const LinearInspection& l) { return l.name; }},
    {"precision", [](const LinearInspection& l) { return KindName(l.kind); }},
    {"scheme",
     [](const LinearInspection& l) { return absl::StrCat(SchemeName(l), l.has_factors ? " + factors" : ""); }},
    {"smoothing", [](const LinearInspection& l) { return Formatted("%.2f", l.smoothing_strength); }},
    {"w min", [](const LinearInspection& l) { return absl::StrFormat("%.3g", l.weights.summary.min); }},
    {"w max", [](const LinearInspection& l) { return absl::StrFormat("%.3g", l.weights.summary.max); }},
    {"|w| max", [](const LinearInspection& l) { return absl::StrFormat("%.3g", l.weights.summary.abs_max()); }},
    {"w far ppm", [](const LinearInspection& l) { return absl::StrFormat("%.1f", 1e6 * l.weights.summary.far_share); }},
    {"w outliers", [](const LinearInspection& l) { return absl::StrCat(l.weights.summary.num_outlier_channels); }},
    {"x outliers",
     [](const LinearInspection& l) {
       return l.inputs.has_value() ? absl::StrCat(l.inputs->summary.num_outlier_channels) : kNothing;
     }},
    {"w dB", [](const LinearInspection& l) { return Tenths(l.weights.signal_to_noise_db); }},
    {"x dB",
     [](const LinearInspection& l) { return l.inputs.has_value() ? Tenths(l.inputs->signal_to_noise_db) : kNothing; }},
    {"y dB", [](const LinearInspection& l) { return Tenths(l.output_signal_to_noise_db); }},
    {"sensitivity", [](const LinearInspection& l) { return Formatted("%.2e", l.sensitivity()); }},
    {"KiB", [](const LinearInspection& l) { return absl::StrFormat("%.0f", static_cast<double>(l.bytes) / 1024); }},
};

bool HasFactors(const Inspection& inspection) {
  for (const LinearInspection& linear : inspection.linears) {
    if (linear.has_factors) return true;
  }
  return false;
}

}  // namespace

std::string KindName(kernels::LinearKind kind) {
  switch (kind) {
    case kernels::LinearKind::kInt8:
      return "int8";
    case kernels::LinearKind::kBf16:
      return "bf16";
    case kernels::LinearKind::kF32:
      return "f32";
  }
  return "";
}

std::string SchemeName(const LinearInspection& linear) {
  if (linear.kind != kernels::LinearKind::kInt8) return "none";
  switch (linear.range) {
    case kernels::RowRange::kAsymmetric:
      return "token_asymmetric";
    case kernels::RowRange::kSymmetric:
      return "token_symmetric";
    case kernels::RowRange::kFixed:
      return "fixed";
  }
  return "";
}

report::TextTable TableOf(const Inspection& inspection) {
  report::TextTable table;
  for (const Column& column : kColumns) table.header.push_back(column.title);
  for (const LinearInspection& linear : inspection.linears) {
    std::vector<std::string>& row = table.rows.emplace_back();
    for (const Column& column : kColumns) row.push_back(column.cell(linear));
  }
  table.notes.push_back(
      "w: weights, x: inputs, y: outputs. dB: signal to noise of the rounded values, of the outputs against f32; 6 dB "
      "are a factor of two.");
  table.notes.push_back(
      "w far ppm: weights in a million beyond 6 standard deviations. outliers: input channels that reach more than 6 "
      "times what the median one does.");
  table.notes.push_back(
      "sensitivity: 1 - cosine to f32, of the model with only that layer quantized if the quantization report says it, "
      "else of the layer's outputs. KiB: kept in memory.");
  if (HasFactors(inspection)) {
    table.notes.push_back("Weights and inputs are those that the product sees: after the input factors.");
  }
  if (!inspection.calibration.has_value()) {
    table.notes.push_back("Without --calibration FILE nothing is known of inputs and outputs.");
  }
  if (!inspection.has_floats) {
    table.notes.push_back(
        "Without --floats DIR, the directory that this one was made from, nothing is known of what rounding changed.");
  }
  return table;
}

std::vector<std::pair<std::string, std::string>> FactsOf(const Inspection& inspection) {
  std::vector<std::pair<std::string, std::string>> facts;
  facts.emplace_back("model", absl::StrCat(inspection.model_name, ", version ", inspection.model_version));
  facts.emplace_back("quantization", inspection.method);
  if (!inspection.floats_name.empty()) {
    facts.emplace_back("floats", absl::StrCat(inspection.floats_name, ", version ", inspection.floats_version));
  }
  if (inspection.calibration.has_value()) {
    const CalibrationSummary& c = *inspection.calibration;
    facts.emplace_back("calibration", absl::StrCat(inspection.calibration_name, ", ", c.num_texts, " texts, ",
                                                   c.num_tokens, " tokens, sha256 ", c.sha256));
  }
  uint64_t bytes = 0, f32_bytes = 0;
  for (const LinearInspection& linear : inspection.linears) {
    bytes += linear.bytes;
    f32_bytes += linear.f32_bytes;
  }
  const auto mebibytes = [](uint64_t b) { return static_cast<double>(b) / (1 << 20); };
  facts.emplace_back("linear layers", absl::StrFormat("%d, %.1f MiB kept, %.1f MiB in f32", inspection.linears.size(),
                                                      mebibytes(bytes), mebibytes(f32_bytes)));
  facts.emplace_back("machine", inspection.isa);
  facts.emplace_back("octet",
                     absl::StrCat(inspection.octet_version,
                                  inspection.octet_commit.empty() ? "" : ", commit " + inspection.octet_commit));
  return facts;
}

std::string TerminalInspection(const Inspection& inspection) {
  return report::TerminalText(FactsOf(inspection), TableOf(inspection));
}

}  // namespace octet::cli
