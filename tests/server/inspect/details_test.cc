// Reading quantization_report.json and the reports of octet evaluate: what is taken, and what is refused.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/quantization_report.h"
#include "server/cli/evaluate/report_json.h"
#include "server/cli/evaluate/report_reader.h"
#include "server/cli/inspect/quantization_details.h"
#include "tests/model/tiny_model.h"

namespace octet::cli {
namespace {

using ::testing::HasSubstr;

class QuantizationDetailsTest : public ::testing::Test {
 protected:
  absl::StatusOr<QuantizationDetails> Read(const std::string& text) {
    octet::testing::WriteFile(directory_.File(model::kQuantizationReportFile), text);
    return ReadQuantizationDetails(**model::ModelDirectory::Open(directory_.path()), "0123456789ab");
  }
  static model::QuantizationReport Sample() {
    model::QuantizationReport report;
    report.source_version = "source";
    report.weights_version = "0123456789ab";
    report.layers.push_back({{"layer", "layer 0 output"}, {"smoothing_alpha", 0.55}, {"sensitivity", 1e-4}});
    report.layers.push_back({{"layer", "layer 1 output"}, {"smoothing_alpha", nullptr}});
    report.curve.push_back({{"float_layers", 3},
                            {"cosine_mean", 0.9999},
                            {"cosine_min", 0.999},
                            {"relative_time", 1.25},
                            {"chosen", true}});
    return report;
  }
  const octet::testing::TempDir directory_;
};

TEST_F(QuantizationDetailsTest, TakesLayersAndCurve) {
  const auto details = Read(model::ReportText(Sample()));
  ASSERT_TRUE(details.ok()) << details.status();
  EXPECT_EQ(details->source_version, "source");
  EXPECT_EQ(details->layers.at("layer 0 output").smoothing_strength, 0.55);
  EXPECT_EQ(details->layers.at("layer 0 output").sensitivity, 1e-4);
  EXPECT_FALSE(details->layers.at("layer 1 output").smoothing_strength.has_value());
  ASSERT_EQ(details->curve.size(), 1u);
  EXPECT_EQ(details->curve[0].num_float, 3u);
  EXPECT_EQ(details->curve[0].relative_time, 1.25);
  EXPECT_TRUE(details->curve[0].is_chosen);
}

TEST_F(QuantizationDetailsTest, NoReportIsNoDetails) {
  const auto details = ReadQuantizationDetails(**model::ModelDirectory::Open(directory_.path()), "0123456789ab");
  ASSERT_TRUE(details.ok()) << details.status();
  EXPECT_TRUE(details->layers.empty() && details->curve.empty() && details->source_version.empty());
}

TEST_F(QuantizationDetailsTest, RefusesWhatIsNoReportOfTheseWeights) {
  model::QuantizationReport other = Sample();
  other.weights_version = "ba9876543210";
  EXPECT_THAT(Read(model::ReportText(other)).status().message(), HasSubstr("weights_version: got \"ba9876543210\""));
  model::QuantizationReport curve = Sample();
  curve.curve[0]["cosine_mean"] = "high";
  EXPECT_THAT(Read(model::ReportText(curve)).status().message(), HasSubstr("curve: 0: cosine_mean: got \"high\""));
  model::QuantizationReport layers = Sample();
  layers.layers.push_back(1);
  EXPECT_THAT(Read(model::ReportText(layers)).status().message(), HasSubstr("layers: 2: not an object"));
  EXPECT_THAT(Read("{}").status().message(), HasSubstr("schema"));
  EXPECT_THAT(Read("{").status().message(), HasSubstr("not valid JSON"));
}

Report EvaluateReport() {
  Report report;
  report.octet_version = "1";
  report.isa = report.machine_isa = "avx2";
  report.model_name = "m";
  report.task = {.name = "similarity",
                 .example_noun = "pairs",
                 .num_examples = 10,
                 .main_metric = "spearman",
                 .flip_noun = "",
                 .files = {{.name = "data", .sha256 = std::string(64, 'a'), .num_bytes = 1}}};
  Measurement m;
  m.model_version = "0123456789ab";
  m.precision = "int8";
  m.metrics = {{"spearman", 0.8}, {"pearson", 0.7}};
  m.comparison = Comparison{.difference = -0.01,
                            .difference_interval = Interval{.low = -0.02, .high = 0.005},
                            .cosine_mean = 0.99,
                            .cosine_min = 0.9,
                            .num_flips = {}};
  m.num_texts = 20;
  m.num_tokens = 200;
  m.seconds = 0.5;
  m.weight_bytes = uint64_t{5} << 32;
  report.variants = {{.name = "dynamic", .not_run = "", .measurement = m},
                     {.name = "bf16", .not_run = "no BF16", .measurement = {}}};
  return report;
}

TEST(ReportReaderTest, ReadsWhatWasWritten) {
  const auto report = ParseReport(JsonReport(EvaluateReport()), "r.json");
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->task.main_metric, "spearman");
  EXPECT_EQ(report->task.num_examples, 10u);
  ASSERT_EQ(report->variants.size(), 2u);
  const Measurement& m = *report->variants[0].measurement;
  EXPECT_EQ(report->variants[0].name, "dynamic");
  EXPECT_EQ(m.metrics.at(0).value, 0.8);
  EXPECT_EQ(m.texts_per_second(), 40);
  EXPECT_EQ(m.weight_bytes, uint64_t{5} << 32);
  EXPECT_EQ(m.comparison->difference_interval->high, 0.005);
  EXPECT_EQ(report->variants[1].not_run, "no BF16");
}

TEST(ReportReaderTest, NamesWhatIsWrong) {
  const std::string text = JsonReport(EvaluateReport());
  const auto error_of = [&](const std::string& key, const model::Json& value) {
    model::Json json = model::Json::parse(text);
    json[model::Json::json_pointer(key)] = value;
    return std::string(ParseReport(json.dump(), "r.json").status().message());
  };
  EXPECT_THAT(error_of("/schema", "octet.evaluate/9"), HasSubstr("r.json: schema: got \"octet.evaluate/9\""));
  EXPECT_THAT(error_of("/variants/0/status", "lost"), HasSubstr("r.json: variants: 0: status: got \"lost\""));
  EXPECT_THAT(error_of("/variants/0/metrics", 1), HasSubstr("variants: 0: metrics: got 1, allowed an object"));
  EXPECT_THAT(error_of("/variants/0/metrics/spearman", nullptr), HasSubstr("metrics: spearman"));
  EXPECT_THAT(error_of("/variants/0/speed/seconds", 0), HasSubstr("speed: seconds: got 0"));
  EXPECT_THAT(error_of("/variants/0/weight_bytes", 0), HasSubstr("weight_bytes: got 0"));
  EXPECT_THAT(error_of("/variants", 3), HasSubstr("variants: got 3, allowed an array"));
  EXPECT_THAT(ParseReport("[]", "r.json").status().message(), HasSubstr("r.json: not a JSON object"));
}

TEST(ReportReaderTest, MergesReportsOfOneSettingOnly) {
  Report other_data = EvaluateReport(), other_isa = EvaluateReport();
  other_data.task.files[0].sha256 = std::string(64, 'b');
  other_isa.isa = "avx512";
  const auto merged = MergeReports({EvaluateReport(), other_data, EvaluateReport(), other_isa});
  ASSERT_EQ(merged.size(), 3u);
  ASSERT_EQ(merged[0].variants.size(), 4u);
  EXPECT_EQ(merged[0].variants[2].name, "dynamic (2)");
  EXPECT_EQ(merged[1].variants.size(), 2u);
}

}  // namespace
}  // namespace octet::cli
