#include "model/quantization_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::TempDir;
using octet::testing::WriteFile;
using ::testing::HasSubstr;

std::string GateError(const TempDir& dir, const QuantizationGate& gate) {
  const auto directory = ModelDirectory::Open(dir.path());
  return std::string(CheckGate(gate, **directory, "abc").message());
}

QuantizationReport Report() {
  QuantizationReport report;
  report.weights_version = "abc";
  report.held_out_texts = 10;
  report.cosine_mean = 0.9990;
  report.cosine_min = 0.995;
  return report;
}

TEST(QuantizationReportTest, GateAsksNothingUnlessTold) {
  const TempDir dir;
  EXPECT_EQ(GateError(dir, {}), "");
  EXPECT_THAT(GateError(dir, {.require_report = true}), HasSubstr("quantization_report.json: missing"));
}

TEST(QuantizationReportTest, GateChecksLossAndWeights) {
  const TempDir dir;
  WriteFile(dir.File(kQuantizationReportFile), ReportText(Report()));
  EXPECT_EQ(GateError(dir, {.min_cosine_mean = 0.9990, .min_cosine_min = 0.995, .require_report = true}), "");
  EXPECT_THAT(GateError(dir, {.min_cosine_mean = 0.9991}), HasSubstr("cosine_mean: 0.999, the configured gate asks"));
  EXPECT_THAT(GateError(dir, {.min_cosine_min = 0.996}), HasSubstr("cosine_min: 0.995"));
  QuantizationReport other = Report();
  other.weights_version = "def";
  WriteFile(dir.File(kQuantizationReportFile), ReportText(other));
  EXPECT_THAT(GateError(dir, {.require_report = true}), HasSubstr("is of weights \"def\", the directory's are abc"));
}

TEST(QuantizationReportTest, NothingMeasuredIsNotCloseEnough) {
  const TempDir dir;
  QuantizationReport report = Report();
  report.held_out_texts = 0;
  WriteFile(dir.File(kQuantizationReportFile), ReportText(report));
  EXPECT_EQ(GateError(dir, {.require_report = true}), "");
  EXPECT_THAT(GateError(dir, {.min_cosine_mean = 0.5}), HasSubstr("has no cosines to f32"));
  EXPECT_THAT(GateError(dir, {.min_cosine_min = 0.5}), HasSubstr("has no cosines to f32"));
}

TEST(QuantizationReportTest, GateRefusesWhatIsNoReport) {
  const TempDir dir;
  for (const char* text : {"", "{}", "[]", "{\"schema\": \"x\"}",
                           "{\"schema\": \"octet.quantization_report/1\", \"weights_version\": \"abc\"}"}) {
    WriteFile(dir.File(kQuantizationReportFile), text);
    EXPECT_THAT(GateError(dir, {.require_report = true}), HasSubstr(kQuantizationReportFile)) << text;
  }
}

}  // namespace
}  // namespace octet::model
