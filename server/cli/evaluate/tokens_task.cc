#include "server/cli/evaluate/tokens_task.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "server/cli/evaluate/classification_metrics.h"
#include "server/cli/evaluate/quoted_list.h"
#include "text/split_words.h"

namespace octet::cli {
namespace {

bool IsEntity(const std::optional<EntityLabel>& label) {
  return label.has_value() && label->position != EntityPosition::kOutside;
}

// Entity labels throughout, and at least one that marks an entity.
bool MarkEntities(const std::vector<std::string>& labels) {
  return std::all_of(labels.begin(), labels.end(), [](const auto& l) { return ParseEntityLabel(l).has_value(); }) &&
         std::any_of(labels.begin(), labels.end(), [](const auto& l) { return IsEntity(ParseEntityLabel(l)); });
}

bool HasType(const std::vector<std::string>& labels, absl::string_view type) {
  return std::any_of(labels.begin(), labels.end(), [&](const std::string& name) {
    const std::optional<EntityLabel> label = ParseEntityLabel(name);
    return IsEntity(label) && label->type == type;
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<TokensTask>> TokensTask::Load(const TaskOptions& options) {
  auto task = std::unique_ptr<TokensTask>(new TokensTask());
  task->bootstrap_ = options.bootstrap;
  task->path_ = options.data;
  std::vector<FileDigest> files;
  ASSIGN_OR_RETURN(const LabelIndices names, LoadLabelNames(options.labels, &files));
  ASSIGN_OR_RETURN(const DataFile file, ReadDataFile(options.data));
  ASSIGN_OR_RETURN(const std::vector<LabelledSentence> sentences, ReadTokenData(file, names, options.limit));
  files.push_back(file.digest);
  for (const LabelledSentence& sentence : sentences) task->AddSentence(sentence);
  task->has_entities_ = MarkEntities(task->data_labels_);
  task->description_ = {.name = "tokens",
                        .example_noun = "sentences",
                        .num_examples = task->texts_.size(),
                        .main_metric = task->has_entities_ ? "entity_f1" : "accuracy",
                        .flip_noun = "words with another label than with f32",
                        .files = std::move(files)};
  return task;
}

void TokensTask::AddSentence(const LabelledSentence& sentence) {
  text::JoinedWords joined = text::JoinWords(sentence.words);
  texts_.push_back({.text = std::move(joined.text),
                    .prompt_name = {},
                    .origin = absl::StrCat(path_, ":", sentence.lines.front()),
                    .words = std::move(joined.words)});
  for (size_t i = 0; i < sentence.labels.size(); ++i) {
    const auto next = static_cast<uint32_t>(data_labels_.size());
    const auto [it, is_new] = data_label_idx_.try_emplace(sentence.labels[i], next);
    if (is_new) {
      data_labels_.push_back(sentence.labels[i]);
      data_label_lines_.push_back(sentence.lines[i]);
    }
    truth_.push_back(it->second);
  }
}

absl::Status TokensTask::FitLabels(const std::vector<std::string>& labels) {
  if (!model_labels_.empty()) {
    if (labels == model_labels_) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("id2label: got ", QuotedList(labels),
                                                   ", but a variant before it has ", QuotedList(model_labels_),
                                                   "; want the same labels in the same order"));
  }
  std::vector<std::string> all = labels;
  std::vector<uint32_t> fitted;
  for (size_t i = 0; i < data_labels_.size(); ++i) {
    const std::string& label = data_labels_[i];
    const auto found = std::find(labels.begin(), labels.end(), label);
    if (found != labels.end()) {
      fitted.push_back(static_cast<uint32_t>(found - labels.begin()));
      continue;
    }
    const std::optional<EntityLabel> entity = has_entities_ ? ParseEntityLabel(label) : std::nullopt;
    if (!IsEntity(entity) || !HasType(labels, entity->type)) {
      return LineError(
          path_, data_label_lines_[i],
          absl::StrCat("label ", model::Quote(label), ": not one of the model's, which are ", QuotedList(labels)));
    }
    fitted.push_back(static_cast<uint32_t>(all.size()));
    all.push_back(label);
  }
  tags_ = EntityTagsOf(all);
  fitted_idx_ = std::move(fitted);
  model_labels_ = labels;
  return absl::OkStatus();
}

absl::StatusOr<Scores> TokensTask::Score(MatrixView<const float> answers) const {
  OCTET_CHECK(answers.rows() == truth_.size() && answers.cols() == model_labels_.size());
  Scores scores;
  scores.decisions = LargestLabels(answers);
  scores.num_clipped_words = 0;
  std::vector<uint32_t> truth(truth_.size()), predicted(truth_.size(), kNoLabel);
  for (size_t i = 0; i < truth.size(); ++i) {
    truth[i] = fitted_idx_[truth_[i]];
    if (std::isnan(answers.Row(i)[0])) {
      scores.decisions[i].clear();
      ++*scores.num_clipped_words;
    } else {
      predicted[i] = scores.decisions[i].front();
    }
  }
  std::vector<SentenceCounts> sentences;
  size_t begin = 0;
  for (const TaskText& text : texts_) {
    const size_t num_words = text.words.size();
    sentences.push_back(CountSentence(std::span(truth).subspan(begin, num_words),
                                      std::span(predicted).subspan(begin, num_words), tags_));
    begin += num_words;
  }
  std::vector<uint32_t> all(sentences.size());
  std::iota(all.begin(), all.end(), 0u);
  const TokenScores of_all = ScoreSentences(sentences, all);
  if (has_entities_) {
    scores.metrics = {{"entity_f1", of_all.f1}, {"precision", of_all.precision}, {"recall", of_all.recall}};
  }
  scores.metrics.push_back({"accuracy", of_all.accuracy});
  scores.replicates = BootstrapReplicates(all.size(), bootstrap_, [&](std::span<const uint32_t> sample) {
    const TokenScores of_sample = ScoreSentences(sentences, sample);
    return has_entities_ ? of_sample.f1 : of_sample.accuracy;
  });
  return scores;
}

}  // namespace octet::cli
