#include "server/cli/evaluate/evaluation.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/cosine.h"
#include "base/status_macros.h"
#include "server/cli/evaluate/load_variant.h"

namespace octet::cli {
namespace {

// A small data set is run again, or its speed would be that of a few milliseconds.
constexpr absl::Duration kMinTime = absl::Seconds(2);

// What the other variants are compared with.
struct Baseline {
  Answers answers;
  Scores scores;
};

void CompareAnswers(const Answers& answers, const Answers& baseline, Comparison* comparison) {
  if (answers.width != baseline.width) return;
  double sum = 0, smallest = 1;
  size_t num_compared = 0;
  for (size_t i = 0; i < answers.num_rows; ++i) {
    const std::span<const float> a = answers.view().Row(i), b = baseline.view().Row(i);
    if (std::isnan(a[0]) || std::isnan(b[0])) continue;  // words without an answer
    const double cosine = Cosine(a, b);
    sum += cosine;
    smallest = std::min(smallest, cosine);
    ++num_compared;
  }
  if (num_compared == 0) return;
  comparison->cosine_mean = sum / static_cast<double>(num_compared);
  comparison->cosine_min = smallest;
}

Comparison Compare(const Answers& answers, const Scores& scores, const Baseline& baseline) {
  Comparison comparison;
  comparison.difference = scores.metrics.front().value - baseline.scores.metrics.front().value;
  comparison.difference_interval = DifferenceInterval(scores.replicates, baseline.scores.replicates);
  CompareAnswers(answers, baseline.answers, &comparison);
  if (!scores.decisions.empty()) {
    uint64_t num_flips = 0;
    for (size_t i = 0; i < scores.decisions.size(); ++i) {
      num_flips += scores.decisions[i] != baseline.scores.decisions[i];
    }
    comparison.num_flips = num_flips;
  }
  return comparison;
}

class Evaluation {
 public:
  Evaluation(const EvaluationOptions& options, Task* task, Progress* progress, EvaluationStep* step)
      : options_(options), task_(task), progress_(progress), step_(step) {}

  absl::StatusOr<Measurement> Measure(const std::string& name, std::string label) {
    phase_ = std::move(label);
    *step_ = EvaluationStep::kLoading;
    ASSIGN_OR_RETURN(
        const LoadedVariant variant,
        LoadVariant(options_.model_directory, name,
                    {.isa = options_.isa, .progress = [&](absl::string_view phase, uint64_t done, uint64_t total) {
                       progress_->Update(absl::StrCat(phase_, ": ", phase), done, total, "");
                     }}));
    const EmbedModel& model = variant.loaded;
    RETURN_IF_ERROR(task_->CheckModel(*model.model));
    *step_ = EvaluationStep::kMeasuring;
    num_threads_ = variant.depends_on_history ? 1 : options_.num_threads;
    const bool is_baseline = name == kBaselineVariant;
    if (is_baseline && !task_->dev_texts().empty()) {
      ASSIGN_OR_RETURN(const Answers dev,
                       AnswerTexts(model, task_->dev_texts(), AnswerOptionsOf(absl::ZeroDuration())));
      RETURN_IF_ERROR(task_->Calibrate(dev.view()));
    }
    ASSIGN_OR_RETURN(Answers answers, AnswerTexts(model, task_->texts(), AnswerOptionsOf(kMinTime)));
    ASSIGN_OR_RETURN(Scores scores, task_->Score(answers.view()));
    ASSIGN_OR_RETURN(Measurement measurement, Describe(variant, answers, scores));
    if (is_baseline) {
      baseline_ = Baseline{.answers = std::move(answers), .scores = std::move(scores)};
    } else if (baseline_.has_value()) {
      measurement.comparison = Compare(answers, scores, *baseline_);
    }
    return measurement;
  }

 private:
  AnswerOptions AnswerOptionsOf(absl::Duration min_time) {
    return {.num_threads = num_threads_, .min_time = min_time, .progress = [this](uint64_t done, uint64_t total) {
              progress_->Update(phase_, done, total, absl::StrCat(done, " of ", total, " texts"));
            }};
  }

  absl::StatusOr<Measurement> Describe(const LoadedVariant& variant, const Answers& answers, const Scores& scores) {
    const model::TextModel& model = *variant.loaded.model;
    Measurement measurement;
    measurement.model_version = model.info().version;
    measurement.precision = std::string(model::PrecisionName(model.info().precision));
    measurement.metrics = scores.metrics;
    measurement.interval = PercentileInterval(scores.replicates);
    measurement.num_texts = answers.num_texts;
    measurement.num_tokens = answers.num_tokens;
    measurement.num_clipped = answers.num_clipped;
    measurement.num_clipped_words = scores.num_clipped_words;
    measurement.seconds = answers.seconds_per_pass;
    ASSIGN_OR_RETURN(measurement.latency, MeasureLatency(variant.loaded, task_->texts(), num_threads_));
    measurement.weight_bytes = model.memory().weight_bytes + model.memory().embedding_bytes;
    measurement.file_bytes = variant.file_bytes;
    return measurement;
  }

  const EvaluationOptions& options_;
  Task* const task_;
  Progress* const progress_;
  EvaluationStep* const step_;  // what is being done
  std::string phase_;
  int num_threads_ = 1;  // of the variant being measured
  std::optional<Baseline> baseline_;
};

}  // namespace

absl::StatusOr<std::vector<VariantResult>> RunEvaluation(const EvaluationOptions& options, Task* task,
                                                         Progress* progress, EvaluationStep* failed_step) {
  std::vector<std::string> names = options.variants;
  std::stable_partition(names.begin(), names.end(), [](const std::string& name) { return name == kBaselineVariant; });
  Evaluation evaluation(options, task, progress, failed_step);
  std::vector<VariantResult> results;
  for (const std::string& name : names) {
    VariantResult result{.name = VariantLabel(name), .not_run = "", .measurement = std::nullopt};
    absl::StatusOr<Measurement> measurement =
        evaluation.Measure(name, absl::StrCat(result.name, " (", results.size() + 1, " of ", names.size(), ")"));
    if (measurement.ok()) {
      result.measurement = *std::move(measurement);
    } else if (absl::IsUnimplemented(measurement.status()) && names.size() > 1) {
      result.not_run = std::string(measurement.status().message());
    } else {
      return measurement.status();
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace octet::cli
