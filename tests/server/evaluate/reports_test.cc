// How `octet evaluate` writes its reports: escaping, what is there and what is not, whole files or none.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/cli/evaluate/report_html.h"
#include "server/cli/evaluate/report_json.h"
#include "server/cli/evaluate/report_table.h"
#include "server/cli/evaluate/scatter_svg.h"
#include "server/cli/report/report_file.h"
#include "server/cli/report/svg_plot.h"
#include "server/report/text_table.h"

namespace octet::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHostile[] = "<script>\"&'|*\x1b[31m\n";

Measurement MeasurementOf(double accuracy, double seconds) {
  Measurement m;
  m.model_version = "0123456789ab";
  m.precision = "f32";
  m.metrics = {{"accuracy", accuracy}, {"micro_f1", 0.5}};
  m.interval = Interval{.low = accuracy - 0.02, .high = accuracy + 0.02};
  m.num_texts = 100;
  m.num_tokens = 2000;
  m.num_clipped = 3;
  m.seconds = seconds;
  m.latency = {.num_texts = 100, .p50_ms = 1.5, .p99_ms = 4};
  m.weight_bytes = 20 << 20;
  m.file_bytes = 40 << 20;
  return m;
}

Report SampleReport() {
  Report report;
  report.octet_version = "1.2.3";
  report.machine_isa = "avx512";
  report.isa = "avx2";
  report.num_threads = 2;
  report.model_name = kHostile;
  report.task = {.name = "classification",
                 .example_noun = "texts",
                 .num_examples = 100,
                 .main_metric = "accuracy",
                 .flip_noun = "texts with other labels",
                 .files = {{.name = kHostile, .sha256 = std::string(64, 'a'), .num_bytes = 12}}};
  report.settings = {{"threshold", 0.3}};
  report.options = {{"where", kHostile}};
  Measurement fast = MeasurementOf(0.8, 0.5);
  fast.weight_bytes = 5 << 20;
  fast.comparison = Comparison{.difference = -0.01,
                               .difference_interval = Interval{.low = -0.03, .high = 0.01},
                               .cosine_mean = 0.9985,
                               .cosine_min = 0.99,
                               .num_flips = 4};
  report.variants = {{.name = "f32", .not_run = "", .measurement = MeasurementOf(0.81, 1)},
                     {.name = "bf16", .not_run = "needs avx512_bf16, this is avx2", .measurement = {}},
                     {.name = kHostile, .not_run = "", .measurement = fast}};
  return report;
}

TEST(ReportTableTest, HasARowForEveryVariantAndNothingInvented) {
  const report::TextTable table = TableOf(SampleReport());
  ASSERT_EQ(table.rows.size(), 3u);
  for (const auto& row : table.rows) ASSERT_EQ(row.size(), table.header.size());
  const auto cell = [&](size_t row, const std::string& title) {
    return table.rows[row][std::find(table.header.begin(), table.header.end(), title) - table.header.begin()];
  };
  EXPECT_EQ(cell(0, "accuracy"), "81.00");
  EXPECT_EQ(cell(0, "95 %"), "79.00 .. 83.00");
  EXPECT_EQ(cell(0, "vs f32"), "-");
  EXPECT_EQ(cell(0, "micro F1"), "50.00");
  EXPECT_EQ(cell(1, "accuracy"), "-");
  EXPECT_EQ(cell(1, "texts/s"), "-");
  EXPECT_EQ(cell(2, "vs f32"), "-1.00");
  EXPECT_EQ(cell(2, "cosine mean"), "0.99850");
  EXPECT_EQ(cell(2, "flips"), "4");
  EXPECT_EQ(cell(2, "clipped"), "3");
  EXPECT_EQ(cell(2, "texts/s"), "200");
  EXPECT_EQ(cell(2, "tokens/s"), "4000");
  EXPECT_EQ(cell(2, "weights MiB"), "5.0");
  EXPECT_THAT(table.notes, testing::Contains("bf16 did not run: needs avx512_bf16, this is avx2"));
}

TEST(ReportTableTest, WordsWithoutAnAnswerAreTheirOwnColumn) {
  Report report = SampleReport();
  for (VariantResult& variant : report.variants) {
    if (variant.measurement.has_value()) variant.measurement->num_clipped_words = 17;
  }
  const report::TextTable table = TableOf(report);
  const auto at = std::find(table.header.begin(), table.header.end(), "clipped words") - table.header.begin();
  ASSERT_LT(static_cast<size_t>(at), table.header.size());
  EXPECT_EQ(table.rows[0][at], "17");
  EXPECT_EQ(table.rows[1][at], "-");
  EXPECT_THAT(table.notes, testing::Contains(HasSubstr("words without an answer, which count as wrong")));
  EXPECT_EQ(nlohmann::json::parse(JsonReport(report))["variants"][0]["clipped_words"], 17);
  const Report texts = SampleReport();
  EXPECT_TRUE(nlohmann::json::parse(JsonReport(texts))["variants"][0]["clipped_words"].is_null());
  const report::TextTable plain = TableOf(texts);
  EXPECT_EQ(std::count(plain.header.begin(), plain.header.end(), "clipped words"), 0);
}

TEST(ReportTableTest, TerminalShowsNoControlCharacters) {
  const std::string out = TerminalReport(SampleReport());
  EXPECT_THAT(out, Not(HasSubstr("\x1b")));
  EXPECT_THAT(out, HasSubstr("\\x1b[31m\\x0a"));
  EXPECT_THAT(out, HasSubstr("avx2 (the CPU has avx512), 2 threads"));
  EXPECT_THAT(out, HasSubstr("threshold: 0.30"));
  EXPECT_THAT(out, HasSubstr(std::string(64, 'a')));
}

TEST(ReportTableTest, MarkdownEscapesWhatWouldBeMarkup) {
  const std::string out = MarkdownReport(SampleReport());
  EXPECT_THAT(out, Not(HasSubstr("<script>")));
  EXPECT_THAT(out, HasSubstr("| \\<script\\>\"\\&'\\|\\*\\\\x1b\\[31m\\\\x0a |"));
  // Every line of the table has the same number of cells.
  std::istringstream lines(out);
  std::ptrdiff_t bars = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() != '|') continue;
    std::ptrdiff_t here = 0;
    for (size_t i = 0; i < line.size(); ++i) here += line[i] == '|' && (i == 0 || line[i - 1] != '\\');
    EXPECT_TRUE(bars == 0 || here == bars) << line;
    bars = here;
  }
  EXPECT_GT(bars, 10);
}

TEST(ReportJsonTest, SaysEverythingInNumbers) {
  const auto root = nlohmann::json::parse(JsonReport(SampleReport()));
  EXPECT_EQ(root["schema"], "octet.evaluate/1");
  EXPECT_EQ(root["machine"]["isa"], "avx512");
  EXPECT_EQ(root["task"]["main_metric"], "accuracy");
  EXPECT_EQ(root["task"]["settings"]["threshold"], 0.3);
  EXPECT_EQ(root["data"][0]["sha256"], std::string(64, 'a'));
  EXPECT_EQ(root["bootstrap"]["resamples"], 2000);
  EXPECT_EQ(root["options"]["where"], kHostile);
  const auto& variants = root["variants"];
  EXPECT_EQ(variants[0]["metrics"]["accuracy"], 0.81);
  EXPECT_TRUE(variants[0]["comparison"].is_null());
  EXPECT_EQ(variants[1]["status"], "not_run");
  EXPECT_EQ(variants[2]["comparison"]["difference"], -0.01);
  EXPECT_EQ(variants[2]["comparison"]["flips"], 4);
  EXPECT_EQ(variants[2]["speed"]["texts_per_second"], 200);
}

TEST(ReportJsonTest, ReplacesBytesThatAreNotUtf8AndNaN) {
  Report report = SampleReport();
  report.model_name = "\xff";
  report.variants[0].measurement->metrics[1].value = std::nan("");
  const auto root = nlohmann::json::parse(JsonReport(report));
  EXPECT_EQ(root["model"]["name"], "\xEF\xBF\xBD");
  EXPECT_TRUE(root["variants"][0]["metrics"]["micro_f1"].is_null());
}

TEST(ReportHtmlTest, EscapesEverythingAndNeedsNothingElse) {
  const std::string out = HtmlReport(SampleReport());
  EXPECT_THAT(out, HasSubstr("&lt;script&gt;&quot;&amp;&#39;|*\xEF\xBF\xBD[31m"));
  for (const char* forbidden : {"<script", "http:", "https:", "src=", "href=", "@import", "url("}) {
    EXPECT_THAT(out, Not(HasSubstr(forbidden)));
  }
  EXPECT_THAT(out, HasSubstr("<table>"));
  EXPECT_THAT(out, HasSubstr("</svg>"));
}

TEST(ScatterSvgTest, AreaFollowsWeightAndHeightFollowsValue) {
  const std::string svg =
      ScatterSvg({{.label = "big", .x = 100, .y = 80, .weight = 4, .y_interval = {}},
                  {.label = "small", .x = 200, .y = 81, .weight = 1, .y_interval = Interval{80, 82}}},
                 {.x_title = "x", .y_title = "y"});
  double big_x, big_y, big_r, small_x, small_y, small_r;
  const char* format = "<circle cx=\"%lf\" cy=\"%lf\" r=\"%lf\"";
  const size_t first = svg.find("<circle"), second = svg.find("<circle", first + 1);
  ASSERT_NE(second, std::string::npos);
  ASSERT_EQ(std::sscanf(svg.c_str() + first, format, &big_x, &big_y, &big_r), 3);
  ASSERT_EQ(std::sscanf(svg.c_str() + second, format, &small_x, &small_y, &small_r), 3);
  EXPECT_NEAR(big_r, 2 * small_r, 0.1);
  EXPECT_LT(big_x, small_x);
  EXPECT_GT(big_y, small_y);  // y grows downwards
  EXPECT_THAT(svg, HasSubstr("class=\"interval\""));
}

TEST(SvgPlotTest, TicksAreRoundAndFew) {
  EXPECT_DOUBLE_EQ(TickStep(1), 0.2);
  EXPECT_DOUBLE_EQ(TickStep(1.7), 0.5);
  EXPECT_DOUBLE_EQ(TickStep(9), 2);
  for (double span = 0.011; span < 5e6; span *= 1.37) {
    const double marks = span / TickStep(span);
    EXPECT_GE(marks, 3) << span;
    EXPECT_LE(marks, 8) << span;
  }
}

class ReportFileTest : public testing::Test {
 protected:
  ReportFileTest() { fs::create_directories(folder_); }
  ~ReportFileTest() override { fs::remove_all(folder_); }
  std::string Read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  const std::string folder_ = testing::TempDir() + "/evaluate_reports_" + std::to_string(getpid());
};

TEST_F(ReportFileTest, WritesAllAndLeavesNothingElse) {
  const std::string path = folder_ + "/report.json";
  ASSERT_TRUE(CheckReportFile(path, false).ok());
  EXPECT_FALSE(fs::exists(path));
  ASSERT_TRUE(WriteReportFile(path, "first").ok());
  EXPECT_EQ(CheckReportFile(path, false).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(CheckReportFile(path, true).ok());
  ASSERT_TRUE(WriteReportFile(path, "second").ok());
  EXPECT_EQ(Read(path), "second");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(ReportFileTest, SaysWhyItCannotWrite) {
  EXPECT_EQ(CheckReportFile(folder_, true).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(CheckReportFile(folder_ + "/none/report.json", false).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(WriteReportFile(folder_ + "/none/report.json", "x").code(), absl::StatusCode::kUnavailable);
  // A folder in the file's place: the rename fails, and the file under the other name goes away again.
  EXPECT_EQ(WriteReportFile(folder_, "x").code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(fs::is_empty(folder_));
  for (const auto& entry : fs::directory_iterator(testing::TempDir())) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr(folder_ + ".")));
  }
}

}  // namespace
}  // namespace octet::cli
