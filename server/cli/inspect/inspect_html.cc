#include "server/cli/inspect/inspect_html.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/cli/evaluate/report_html.h"
#include "server/cli/inspect/curve_svg.h"
#include "server/cli/inspect/inspect_table.h"
#include "server/report/html_page.h"

namespace octet::cli {
namespace {

// Histograms stand side by side where there is room for both.
constexpr char kStyle[] = R"(
h2 { font-size: 1.2rem; margin-top: 2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .2rem; }
.bars { display: grid; grid-template-columns: max-content minmax(3rem, 1fr) max-content; gap: .15rem .6rem;
        max-width: 760px; font-size: .85rem; align-items: center; font-variant-numeric: tabular-nums; }
.bars i { display: block; height: .8em; min-width: 1px; background: var(--dot); }
.pair { display: flex; flex-wrap: wrap; gap: .5rem 1rem; }
.pair svg { flex: 1 1 300px; max-width: 420px; }
svg .before { fill: var(--dot); fill-opacity: .45; stroke: none; }
svg .after { fill: none; stroke: var(--mark); stroke-width: 1.5; }
svg circle.mark { fill: var(--mark); stroke: var(--mark); }
svg circle.chosen { stroke: currentColor; stroke-width: 2; }
)";

std::string SensitivityBars(const Inspection& inspection) {
  double largest = 0;
  bool is_reported = false;
  for (const LinearInspection& linear : inspection.linears) {
    largest = std::max(largest, linear.sensitivity().value_or(0));
    is_reported = is_reported || linear.reported_sensitivity.has_value();
  }
  if (!(largest > 0)) return "";
  std::string out =
      absl::StrCat("<h2>Sensitivity</h2>\n<p class=\"notes\">1 - mean cosine to f32, ",
                   is_reported ? "of the whole model with only that layer quantized (from its quantization report)."
                               : "of that layer's outputs, its inputs being f32's.",
                   "</p>\n<div class=\"bars\">\n");
  for (const LinearInspection& linear : inspection.linears) {
    // Rounding may bring a cosine above 1.
    const double value = std::max(linear.sensitivity().value_or(0), 0.0);
    absl::StrAppendFormat(&out, "<span>%s</span><i style=\"width:%.1f%%\"></i><span>%s</span>\n",
                          report::EscapeHtml(linear.name), 100 * value / largest,
                          linear.sensitivity().has_value() ? absl::StrFormat("%.2e", value) : "-");
  }
  return out + "</div>\n";
}

std::string Scatters(const Inspection& inspection) {
  std::string out;
  for (const Report& report : inspection.reports) {
    const std::string figure = ScatterFigure(report);
    if (figure.empty()) continue;
    absl::StrAppend(&out, "<h2>",
                    report::EscapeHtml(absl::StrCat("Accuracy, speed and size: ", report.task.name, ", ",
                                                    report.task.num_examples, " ", report.task.example_noun)),
                    "</h2>\n", figure);
  }
  return out;
}

std::string Curve(const Inspection& inspection) {
  if (inspection.curve.empty()) return "";
  const std::optional<MixedCurvePoint> marked = FirstPointAt(inspection.curve, kMarkedCosine);
  return absl::StrCat(
      "<h2>Mixed precision</h2>\n",
      report::HtmlFigure(CurveSvg(inspection.curve),
                         absl::StrCat("Each circle is a number of layers in floats, from none to all. ",
                                      marked.has_value() ? absl::StrFormat("The first to reach %g has %d of them; ",
                                                                           kMarkedCosine, marked->num_float)
                                                         : absl::StrFormat("None reaches %g; ", kMarkedCosine),
                                      "the model's own has a rim.")));
}

std::string LayerSection(const LinearInspection& linear) {
  std::string about = absl::StrCat(linear.in_dim, " to ", linear.out_dim, ", ", KindName(linear.kind), ", inputs ",
                                   SchemeName(linear), linear.has_factors ? " after factors" : "");
  if (linear.smoothing_strength.has_value()) {
    absl::StrAppendFormat(&about, " of strength %.2f", *linear.smoothing_strength);
  }
  if (linear.output_signal_to_noise_db.has_value()) {
    absl::StrAppendFormat(&about, "; outputs %.1f dB", *linear.output_signal_to_noise_db);
  }
  std::string out =
      absl::StrCat("<h3>", report::EscapeHtml(linear.name), "</h3>\n<p class=\"notes\">", report::EscapeHtml(about),
                   "</p>\n<div class=\"pair\">\n", HistogramSvg(linear.weights.histogram, "weights"));
  if (linear.inputs.has_value()) out += HistogramSvg(linear.inputs->histogram, "inputs");
  return out + "</div>\n";
}

}  // namespace

std::string HtmlInspection(const Inspection& inspection) {
  std::string body =
      absl::StrCat(report::HtmlFacts(FactsOf(inspection)), SensitivityBars(inspection), Scatters(inspection),
                   Curve(inspection), "<h2>Linear layers</h2>\n", report::HtmlTable(TableOf(inspection)),
                   "<h2>Values</h2>\n<p class=\"notes\">Filled: before rounding; line: after it. Counts "
                   "are logarithmic.</p>\n");
  for (const LinearInspection& linear : inspection.linears) body += LayerSection(linear);
  return report::HtmlPage(absl::StrCat("octet inspect: ", inspection.model_name), body, kStyle);
}

}  // namespace octet::cli
