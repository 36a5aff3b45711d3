#include "server/cli/evaluate/report_table.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace octet::cli {
namespace {

constexpr char kNothing[] = "-";

std::string Hundredfold(double share) { return absl::StrFormat("%.2f", 100 * share); }
std::string Signed(double share) { return absl::StrFormat("%+.2f", 100 * share); }
std::string Mebibytes(uint64_t bytes) { return absl::StrFormat("%.1f", static_cast<double>(bytes) / (1 << 20)); }

std::string IntervalText(const std::optional<Interval>& interval, std::string (*format)(double)) {
  if (!interval.has_value()) return kNothing;
  return absl::StrCat(format(interval->low), " .. ", format(interval->high));
}

std::string CosineText(const std::optional<double>& cosine) {
  return cosine.has_value() ? absl::StrFormat("%.5f", *cosine) : kNothing;
}

// A column of the table: its title and what it says of a measured variant.
struct Column {
  std::string title;
  std::function<std::string(const Measurement&)> cell;
};

// f32 itself has no comparison.
template <typename F>
std::function<std::string(const Measurement&)> OfComparison(F cell) {
  return [cell](const Measurement& m) { return m.comparison.has_value() ? cell(*m.comparison) : kNothing; };
}

void AddAccuracyColumns(const Measurement& first, std::vector<Column>* columns) {
  for (size_t i = 0; i < first.metrics.size(); ++i) {
    columns->push_back(
        {MetricTitle(first.metrics[i].name), [i](const Measurement& m) { return Hundredfold(m.metrics[i].value); }});
    if (i != 0) continue;
    columns->push_back({"95 %", [](const Measurement& m) { return IntervalText(m.interval, Hundredfold); }});
    columns->push_back({"vs f32", OfComparison([](const Comparison& c) { return Signed(c.difference); })});
    columns->push_back(
        {"95 %", OfComparison([](const Comparison& c) { return IntervalText(c.difference_interval, Signed); })});
  }
  columns->push_back({"cosine mean", OfComparison([](const Comparison& c) { return CosineText(c.cosine_mean); })});
  columns->push_back({"min", OfComparison([](const Comparison& c) { return CosineText(c.cosine_min); })});
}

std::vector<Column> ColumnsOf(const Report& report, const Measurement& first) {
  std::vector<Column> columns;
  AddAccuracyColumns(first, &columns);
  if (!report.task.flip_noun.empty()) {
    columns.push_back({"flips", OfComparison([](const Comparison& c) {
                         return c.num_flips.has_value() ? absl::StrCat(*c.num_flips) : std::string(kNothing);
                       })});
  }
  const auto add = [&](const char* title, std::string (*cell)(const Measurement&)) {
    columns.push_back({title, cell});
  };
  add("clipped", [](const Measurement& m) { return absl::StrCat(m.num_clipped); });
  if (first.num_clipped_words.has_value()) {
    add("clipped words", [](const Measurement& m) { return absl::StrCat(m.num_clipped_words.value_or(0)); });
  }
  add("texts/s", [](const Measurement& m) { return absl::StrFormat("%.0f", m.texts_per_second()); });
  add("tokens/s", [](const Measurement& m) { return absl::StrFormat("%.0f", m.tokens_per_second()); });
  add("p50 ms", [](const Measurement& m) { return absl::StrFormat("%.2f", m.latency.p50_ms); });
  add("p99 ms", [](const Measurement& m) { return absl::StrFormat("%.2f", m.latency.p99_ms); });
  add("weights MiB", [](const Measurement& m) { return Mebibytes(m.weight_bytes); });
  add("files MiB", [](const Measurement& m) { return Mebibytes(m.file_bytes); });
  return columns;
}

// Everything that means something in Markdown or the HTML within it.
std::string EscapeMarkdown(const std::string& text) {
  std::string escaped;
  for (const char c : report::Printable(text)) {
    if (absl::string_view("\\`*_[]<>|&#~").find(c) != absl::string_view::npos) escaped.push_back('\\');
    escaped.push_back(c);
  }
  return escaped;
}

std::string MarkdownRow(const std::vector<std::string>& cells) {
  return absl::StrCat(
      "| ",
      absl::StrJoin(cells, " | ", [](std::string* out, const std::string& cell) { *out += EscapeMarkdown(cell); }),
      " |\n");
}

}  // namespace

std::string MetricTitle(absl::string_view name) {
  constexpr std::pair<absl::string_view, absl::string_view> kTitles[] = {
      {"spearman", "Spearman"},  {"pearson", "Pearson"},        {"micro_f1", "micro F1"}, {"macro_f1", "macro F1"},
      {"ndcg_at_10", "nDCG@10"}, {"recall_at_10", "recall@10"}, {"mrr_at_10", "MRR@10"},  {"entity_f1", "entity F1"},
  };
  const auto it = std::find_if(std::begin(kTitles), std::end(kTitles), [&](const auto& t) { return t.first == name; });
  return std::string(it == std::end(kTitles) ? name : it->second);
}

report::TextTable TableOf(const Report& report) {
  report::TextTable table;
  const auto ran = std::find_if(report.variants.begin(), report.variants.end(),
                                [](const VariantResult& v) { return v.measurement.has_value(); });
  const std::vector<Column> columns =
      ran == report.variants.end() ? std::vector<Column>() : ColumnsOf(report, *ran->measurement);
  table.header.push_back("variant");
  for (const Column& column : columns) table.header.push_back(column.title);
  for (const VariantResult& variant : report.variants) {
    std::vector<std::string> row = {variant.name};
    for (const Column& column : columns) {
      row.push_back(variant.measurement.has_value() ? column.cell(*variant.measurement) : kNothing);
    }
    table.rows.push_back(std::move(row));
    if (!variant.measurement.has_value()) {
      table.notes.push_back(absl::StrCat(variant.name, " did not run: ", variant.not_run));
    }
  }
  table.notes.push_back(absl::StrCat("Metrics times 100. 95 %: percentile bootstrap over the ",
                                     report.task.example_noun, ", ", report.bootstrap.num_resamples,
                                     " resamples, seed ", report.bootstrap.seed,
                                     "; of the difference to f32 on the same resamples."));
  const bool has_words = ran != report.variants.end() && ran->measurement->num_clipped_words.has_value();
  table.notes.push_back(absl::StrCat("Cosine: of a ", has_words ? "word" : "text",
                                     "'s answer to f32's. clipped: texts cut to the model's limit",
                                     has_words ? ", and the words without an answer, which count as wrong." : "."));
  if (!report.task.flip_noun.empty()) table.notes.push_back(absl::StrCat("flips: ", report.task.flip_noun, "."));
  table.notes.push_back(
      "Speed: all texts on all threads; p50 and p99: one text at a time. weights: resident in memory.");
  return table;
}

std::vector<std::pair<std::string, std::string>> FactsOf(const Report& report) {
  std::vector<std::pair<std::string, std::string>> facts;
  facts.emplace_back("task",
                     absl::StrCat(report.task.name, ", ", report.task.num_examples, " ", report.task.example_noun));
  std::string versions;
  for (const VariantResult& variant : report.variants) {
    if (!variant.measurement.has_value()) continue;
    absl::StrAppend(&versions, versions.empty() ? "" : ", ", variant.name, " ", variant.measurement->model_version);
  }
  facts.emplace_back("model", absl::StrCat(report.model_name, "; versions: ", versions));
  for (const FileDigest& file : report.task.files) {
    facts.emplace_back("data", absl::StrCat(file.name, ", ", file.num_bytes, " bytes, sha256 ", file.sha256));
  }
  for (const Metric& setting : report.settings)
    facts.emplace_back(setting.name, absl::StrFormat("%.2f", setting.value));
  facts.emplace_back(
      "machine",
      absl::StrCat(report.isa,
                   report.isa == report.machine_isa ? "" : absl::StrCat(" (the CPU has ", report.machine_isa, ")"),
                   ", ", report.num_threads, " threads"));
  facts.emplace_back("octet", absl::StrCat(report.octet_version,
                                           report.octet_commit.empty() ? "" : ", commit " + report.octet_commit));
  for (const auto& [flag, value] : report.options) facts.emplace_back(flag, value);
  return facts;
}

std::string TerminalReport(const Report& report) { return report::TerminalText(FactsOf(report), TableOf(report)); }

std::string MarkdownReport(const Report& report) {
  const report::TextTable table = TableOf(report);
  std::string out = "# octet evaluate\n\n";
  for (const auto& [label, value] : FactsOf(report)) {
    absl::StrAppend(&out, "- ", EscapeMarkdown(label), ": ", EscapeMarkdown(value), "\n");
  }
  absl::StrAppend(&out, "\n", MarkdownRow(table.header), "|---|");
  for (size_t i = 1; i < table.header.size(); ++i) out += "---:|";
  out += "\n";
  for (const std::vector<std::string>& row : table.rows) out += MarkdownRow(row);
  out += "\n";
  for (const std::string& note : table.notes) absl::StrAppend(&out, "- ", EscapeMarkdown(note), "\n");
  return out;
}

}  // namespace octet::cli
