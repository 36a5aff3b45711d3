#include "server/cli/evaluate/answer_texts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/thread_team.h"
#include "server/cli/batch_runner.h"
#include "server/cli/embed_scheduler.h"
#include "text/split_words.h"

namespace octet::cli {
namespace {

// Enough for every worker to have touched weights and scratch.
constexpr size_t kWarmUpTexts = 128;
constexpr size_t kWarmUpCalls = 20;

// Texts [begin, ...) up to `end` or as many as a window takes.
std::unique_ptr<EmbedWindow> NextWindow(const std::vector<TaskText>& texts, size_t begin, size_t end) {
  auto window = std::make_unique<EmbedWindow>();
  size_t bytes = 0;
  for (size_t i = begin; i < end && window->items.size() < kWindowTexts && bytes < kWindowBytes; ++i) {
    EmbedItem item;
    item.input.text = texts[i].text;
    item.prompt_name = texts[i].prompt_name;
    item.number = i;
    bytes += texts[i].text.size();
    window->items.push_back(std::move(item));
  }
  return window;
}

// Runs texts [0, num_texts) once; counts into `answers`, whose rows the scheduler's deliver fills.
absl::Status RunPass(const std::vector<TaskText>& texts, size_t num_texts, EmbedScheduler* scheduler,
                     const AnswerOptions& options, Answers* answers) {
  size_t next = 0, done = 0;
  while (done < num_texts) {
    while (next < num_texts && scheduler->num_windows() < kMaxWindows) {
      auto window = NextWindow(texts, next, num_texts);
      next += window->items.size();
      scheduler->Submit(std::move(window));
    }
    const std::unique_ptr<EmbedWindow> window = scheduler->TakeOldest();
    for (const EmbedItem& item : window->items) {
      if (!item.status.ok()) {
        return absl::Status(item.status.code(), absl::StrCat(texts[item.number].origin, ": ", item.status.message()));
      }
      answers->num_tokens += item.num_tokens;
      answers->num_clipped += item.truncated;
    }
    done += window->items.size();
    options.progress(done, num_texts);
  }
  return absl::OkStatus();
}

bool AnswersWords(const model::TextModel& model) { return model.info().task == model::Task::kTokenClassification; }

// Where the rows of each text's answer begin, and how many there are in all: [num_texts + 1].
std::vector<size_t> RowStarts(const std::vector<TaskText>& texts, bool answers_words) {
  std::vector<size_t> starts = {0};
  for (const TaskText& text : texts) starts.push_back(starts.back() + (answers_words ? text.words.size() : 1));
  return starts;
}

// Of the answers for all tokens, [num_tokens, width], those for each word's first one; words without one are left as
// they are. rows: [words.size(), width].
void TakeWords(std::span<const float> answer, std::span<const text::TokenOffset> tokens,
               std::span<const text::TokenOffset> words, size_t width, float* rows) {
  const std::vector<std::optional<size_t>> first = text::FirstTokensOfWords(tokens, words);
  for (size_t i = 0; i < words.size(); ++i) {
    if (first[i].has_value()) std::copy_n(answer.data() + *first[i] * width, width, rows + i * width);
  }
}

// The value at the nearest rank: the smallest that is at least as large as `share` of all.
double Percentile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<size_t>(rank, 1) - 1];
}

}  // namespace

absl::StatusOr<Answers> AnswerTexts(const EmbedModel& model, const std::vector<TaskText>& texts,
                                    const AnswerOptions& options) {
  Answers answers;
  const bool answers_words = AnswersWords(*model.model);
  const std::vector<size_t> row_starts = RowStarts(texts, answers_words);
  answers.width = model.model->head().OutputSize(1);
  answers.num_rows = row_starts.back();
  answers.values.assign(answers.num_rows * answers.width, std::numeric_limits<float>::quiet_NaN());
  EmbedScheduler scheduler(model.model.get(),
                           {.num_threads = options.num_threads,
                            .max_batch_tokens = model.max_batch_tokens,
                            .truncate = true,
                            .with_offsets = answers_words,
                            .deliver = [&](EmbedItem* item, std::span<const float> answer) {
                              float* const rows = answers.values.data() + row_starts[item->number] * answers.width;
                              if (answers_words) {
                                TakeWords(answer, item->offsets, texts[item->number].words, answers.width, rows);
                              } else {
                                std::copy(answer.begin(), answer.end(), rows);
                              }
                            }});
  RETURN_IF_ERROR(RunPass(texts, std::min(texts.size(), kWarmUpTexts), &scheduler, options, &answers));
  absl::Duration elapsed;
  int num_passes = 0;
  do {
    answers.num_tokens = answers.num_clipped = 0;
    const MonotonicTime start = SteadyClock::Get().Now();
    RETURN_IF_ERROR(RunPass(texts, texts.size(), &scheduler, options, &answers));
    elapsed += SteadyClock::Get().Now() - start;
    ++num_passes;
  } while (elapsed < options.min_time);
  answers.num_texts = texts.size();
  answers.seconds_per_pass = absl::ToDoubleSeconds(elapsed) / num_passes;
  return answers;
}

absl::StatusOr<Latency> MeasureLatency(const EmbedModel& model, const std::vector<TaskText>& texts, int num_threads) {
  const model::TextModel& text_model = *model.model;
  const bool with_offsets = AnswersWords(text_model);
  kernels::ThreadTeam team(num_threads);
  BatchRunner runner(&text_model, &team);
  std::vector<float> values;
  const auto answer = [&](const TaskText& text) -> absl::Status {
    ASSIGN_OR_RETURN(const text::Encoding encoding,
                     text_model.Tokenize(
                         text.text, {.truncate = true, .prompt_name = text.prompt_name, .with_offsets = with_offsets}));
    const uint32_t starts[] = {0, static_cast<uint32_t>(encoding.ids.size())};
    values.resize(text_model.head().OutputSize(encoding.ids.size()));
    RETURN_IF_ERROR(runner.Run({.ids = encoding.ids, .type_ids = encoding.type_ids, .starts = starts}, values));
    return runner.Finish(values);
  };
  const size_t num_texts = std::min(kLatencyTexts, texts.size());
  for (size_t i = 0; i < kWarmUpCalls; ++i) RETURN_IF_ERROR(answer(texts[i % texts.size()]));
  std::vector<double> times_ms;
  for (size_t i = 0; i < num_texts; ++i) {
    const MonotonicTime start = SteadyClock::Get().Now();
    RETURN_IF_ERROR(answer(texts[i * texts.size() / num_texts]));
    times_ms.push_back(absl::ToDoubleMilliseconds(SteadyClock::Get().Now() - start));
  }
  std::sort(times_ms.begin(), times_ms.end());
  return Latency{.num_texts = num_texts, .p50_ms = Percentile(times_ms, 0.5), .p99_ms = Percentile(times_ms, 0.99)};
}

}  // namespace octet::cli
