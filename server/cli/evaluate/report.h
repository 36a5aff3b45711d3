// What `octet evaluate` found out, apart from how it is written: report_table.h (terminal and Markdown), report_json.h
// and report_html.h. Values of metrics are shares, not percent.
#ifndef OCTET_SERVER_CLI_EVALUATE_REPORT_H_
#define OCTET_SERVER_CLI_EVALUATE_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/cli/evaluate/answer_texts.h"
#include "server/cli/evaluate/bootstrap.h"
#include "server/cli/evaluate/data_file.h"
#include "server/cli/evaluate/task.h"

namespace octet::cli {

// Against the f32 variant, on the same examples.
struct Comparison {
  double difference = 0;  // of the main metric
  std::optional<Interval> difference_interval;
  // Of the same text's (or word's) answers; nothing when the two variants' have different widths.
  std::optional<double> cosine_mean, cosine_min;
  std::optional<uint64_t> num_flips;  // nothing when the task decides nothing
};

struct Measurement {
  std::string model_version;  // TextModel's
  std::string precision;
  std::vector<Metric> metrics;  // the main one first
  std::optional<Interval> interval;
  std::optional<Comparison> comparison;  // nothing for f32 itself, or when it did not run
  uint64_t num_texts = 0, num_tokens = 0, num_clipped = 0;
  std::optional<uint64_t> num_clipped_words;  // Scores'
  double seconds = 0;                         // of one pass over the texts
  Latency latency;
  uint64_t weight_bytes = 0;  // resident: weights and embedding tables
  uint64_t file_bytes = 0;

  double texts_per_second() const { return static_cast<double>(num_texts) / seconds; }
  double tokens_per_second() const { return static_cast<double>(num_tokens) / seconds; }
};

struct VariantResult {
  std::string name;
  std::string not_run;  // why there is no measurement
  std::optional<Measurement> measurement;
};

struct Report {
  std::string octet_version, octet_commit;
  std::string machine_isa, isa;  // what the CPU has, and what was used
  int num_threads = 1;
  std::string model_name;  // the directory's last part
  TaskDescription task;
  BootstrapOptions bootstrap;
  std::vector<Metric> settings;
  std::vector<std::pair<std::string, std::string>> options;  // as given, by flag
  std::vector<VariantResult> variants;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_REPORT_H_
