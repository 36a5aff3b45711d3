// Reports of octet inspect: what is in them, what stands for what is not known, and that hostile names do no harm.
#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/cli/inspect/inspect_html.h"
#include "server/cli/inspect/inspect_json.h"
#include "server/cli/inspect/inspect_table.h"

namespace octet::cli {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHostile[] = "<script>\"&'|*\x1b[31m\n";

ValueInspection Values(bool is_known) {
  const std::vector<float> original = {-1, 0.5f, 2}, rounded = {-1, 0.51f, 2};
  return InspectValues(is_known ? original : std::vector<float>(), rounded, 1, {});
}

LinearInspection KnownLinear() {
  LinearInspection linear;
  linear.name = "layer 0 query_key_value";
  linear.in_dim = 32;
  linear.out_dim = 96;
  linear.range = kernels::RowRange::kFixed;
  linear.has_factors = true;
  linear.smoothing_strength = 0.55;
  linear.weights = Values(true);
  linear.inputs = Values(true);
  linear.output_signal_to_noise_db = 31.26;
  linear.output_cosine = 0.9995;
  linear.bytes = 4096;
  linear.f32_bytes = 16384;
  return linear;
}

Inspection Sample() {
  Inspection inspection;
  inspection.octet_version = "1.2.3";
  inspection.isa = "avx2";
  inspection.model_name = kHostile;
  inspection.model_version = "0123456789ab";
  inspection.method = "mixed";
  inspection.calibration_name = kHostile;
  inspection.calibration =
      CalibrationSummary{.sha256 = std::string(64, 'a'), .num_texts = 7, .num_tokens = 70, .num_truncated = 1};
  LinearInspection unknown;
  unknown.name = "layer 0 attention_output";
  unknown.kind = kernels::LinearKind::kBf16;
  unknown.weights = Values(false);
  unknown.bytes = unknown.f32_bytes = 4096;
  inspection.linears = {KnownLinear(), unknown};
  inspection.curve = {{.num_float = 1, .cosine_mean = 0.9999, .cosine_min = 0.999, .relative_time = 1.5}};
  return inspection;
}

TEST(InspectTableTest, HasARowForEveryLayerAndNothingInvented) {
  const report::TextTable table = TableOf(Sample());
  ASSERT_EQ(table.rows.size(), 2u);
  const auto cell = [&](size_t row, const std::string& title) {
    return table.rows[row][std::find(table.header.begin(), table.header.end(), title) - table.header.begin()];
  };
  EXPECT_EQ(cell(0, "precision"), "int8");
  EXPECT_EQ(cell(0, "scheme"), "fixed + factors");
  EXPECT_EQ(cell(0, "smoothing"), "0.55");
  EXPECT_EQ(cell(0, "w min"), "-1");
  EXPECT_EQ(cell(0, "|w| max"), "2");
  EXPECT_EQ(cell(0, "y dB"), "31.3");
  EXPECT_EQ(cell(0, "sensitivity"), "5.00e-04");
  EXPECT_EQ(cell(0, "KiB"), "4");
  EXPECT_EQ(cell(1, "precision"), "bf16");
  EXPECT_EQ(cell(1, "scheme"), "none");
  for (const char* title : {"smoothing", "x outliers", "w dB", "x dB", "y dB", "sensitivity"}) {
    EXPECT_EQ(cell(1, title), "-") << title;
  }
  EXPECT_THAT(table.notes, Contains(HasSubstr("Without --floats DIR")));
  EXPECT_THAT(table.notes, Not(Contains(HasSubstr("Without --calibration"))));
}

TEST(InspectTableTest, TerminalShowsNoControlCharacters) {
  const std::string out = TerminalInspection(Sample());
  EXPECT_THAT(out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(out, HasSubstr("7 texts, 70 tokens"));
}

TEST(InspectJsonTest, SaysEverythingInNumbers) {
  const auto root = nlohmann::json::parse(JsonInspection(Sample()));
  EXPECT_EQ(root["schema"], "octet.inspect/1");
  EXPECT_TRUE(root["floats"].is_null());
  EXPECT_EQ(root["calibration"]["texts"], 7);
  const auto &known = root["layers"][0], &unknown = root["layers"][1];
  EXPECT_EQ(known["sensitivity"]["source"], "output_cosine");
  EXPECT_EQ(known["weights"]["abs_max"], 2);
  EXPECT_EQ(known["weights"]["histogram"]["original"].size(), kHistogramBins);
  EXPECT_TRUE(unknown["weights"]["histogram"]["original"].is_null());
  EXPECT_TRUE(unknown["inputs"].is_null() && unknown["sensitivity"].is_null());
  EXPECT_EQ(root["curve"][0]["relative_time"], 1.5);
}

TEST(InspectJsonTest, ReportedSensitivityComesFirst) {
  Inspection inspection = Sample();
  inspection.linears[0].reported_sensitivity = 0.25;
  const auto root = nlohmann::json::parse(JsonInspection(inspection));
  EXPECT_EQ(root["layers"][0]["sensitivity"]["source"], "quantization_report");
  EXPECT_EQ(root["layers"][0]["sensitivity"]["value"], 0.25);
}

TEST(InspectHtmlTest, EscapesEverythingAndNeedsNothingElse) {
  const std::string out = HtmlInspection(Sample());
  EXPECT_THAT(out, HasSubstr("&lt;script&gt;&quot;&amp;&#39;|*\xEF\xBF\xBD[31m"));
  for (const char* forbidden : {"<script", "http:", "https:", "src=", "href=", "@import", "url("}) {
    EXPECT_THAT(out, Not(HasSubstr(forbidden)));
  }
  EXPECT_THAT(out, HasSubstr("<h2>Sensitivity</h2>"));
  EXPECT_THAT(out, HasSubstr("The first to reach 0.9998 has 1 of them"));
}

TEST(InspectHtmlTest, LeavesOutWhatThereIsNothingToDrawFor) {
  Inspection inspection = Sample();
  inspection.curve.clear();
  inspection.linears.erase(inspection.linears.begin());
  const std::string out = HtmlInspection(inspection);
  EXPECT_THAT(out, Not(HasSubstr("<h2>Sensitivity")));
  EXPECT_THAT(out, Not(HasSubstr("<h2>Mixed")));
  EXPECT_THAT(out, HasSubstr("class=\"after\""));
  EXPECT_THAT(out, Not(HasSubstr("class=\"before\"")));
}

}  // namespace
}  // namespace octet::cli
