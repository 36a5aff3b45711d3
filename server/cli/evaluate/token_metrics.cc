#include "server/cli/evaluate/token_metrics.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "base/check.h"

namespace octet::cli {
namespace {

std::optional<EntityPosition> PositionOf(char letter) {
  switch (letter) {
    case 'O':
      return EntityPosition::kOutside;
    case 'B':
      return EntityPosition::kBegin;
    case 'I':
      return EntityPosition::kInside;
    case 'E':
      return EntityPosition::kEnd;
    case 'S':
      return EntityPosition::kSingle;
    default:
      return std::nullopt;
  }
}

// Whether a word with `tag` is part of the entity that the word before it, with `before`, belongs to.
bool Continues(const EntityTag& before, const EntityTag& tag) {
  const bool is_open = before.position == EntityPosition::kBegin || before.position == EntityPosition::kInside;
  const bool goes_on = tag.position == EntityPosition::kInside || tag.position == EntityPosition::kEnd;
  return is_open && goes_on && before.type == tag.type;
}

std::vector<Entity> EntitiesOf(std::span<const uint32_t> labels, std::span<const EntityTag> tags) {
  std::vector<EntityTag> of_words(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] != kNoLabel) of_words[i] = tags[labels[i]];
  }
  return FindEntities(of_words);
}

double Share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::optional<EntityLabel> ParseEntityLabel(absl::string_view label) {
  if (label == "O") return EntityLabel();
  if (label.empty() || (label.size() > 1 && label[1] != '-') || label.size() == 2) return std::nullopt;
  const std::optional<EntityPosition> position = PositionOf(label[0]);
  if (!position.has_value() || *position == EntityPosition::kOutside) return std::nullopt;
  return EntityLabel{.position = *position, .type = label.substr(std::min<size_t>(2, label.size()))};
}

std::vector<EntityTag> EntityTagsOf(std::span<const std::string> labels) {
  absl::flat_hash_map<std::string, uint32_t> types;
  std::vector<EntityTag> tags(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::optional<EntityLabel> label = ParseEntityLabel(labels[i]);
    if (!label.has_value() || label->position == EntityPosition::kOutside) continue;
    const uint32_t next = static_cast<uint32_t>(types.size());
    tags[i] = {.position = label->position, .type = types.try_emplace(std::string(label->type), next).first->second};
  }
  return tags;
}

std::vector<Entity> FindEntities(std::span<const EntityTag> tags) {
  std::vector<Entity> entities;
  for (size_t i = 0; i < tags.size(); ++i) {
    if (tags[i].position == EntityPosition::kOutside) continue;
    if (i > 0 && Continues(tags[i - 1], tags[i])) {
      entities.back().end = i + 1;
    } else {
      entities.push_back({.begin = i, .end = i + 1, .type = tags[i].type});
    }
  }
  return entities;
}

SentenceCounts CountSentence(std::span<const uint32_t> truth, std::span<const uint32_t> predicted,
                             std::span<const EntityTag> tags) {
  OCTET_CHECK(truth.size() == predicted.size());
  SentenceCounts counts;
  counts.words = truth.size();
  for (size_t i = 0; i < truth.size(); ++i) counts.right_words += truth[i] == predicted[i];
  const std::vector<Entity> true_entities = EntitiesOf(truth, tags), predicted_entities = EntitiesOf(predicted, tags);
  counts.true_entities = true_entities.size();
  counts.predicted_entities = predicted_entities.size();
  // In order and apart from each other: at most one entity begins at a word.
  size_t t = 0;
  for (const Entity& entity : predicted_entities) {
    while (t < true_entities.size() && true_entities[t].begin < entity.begin) ++t;
    counts.right_entities += t < true_entities.size() && true_entities[t] == entity;
  }
  return counts;
}

TokenScores ScoreSentences(std::span<const SentenceCounts> sentences, std::span<const uint32_t> sample) {
  OCTET_CHECK(!sample.empty());
  SentenceCounts sum;
  for (const uint32_t i : sample) {
    sum.words += sentences[i].words;
    sum.right_words += sentences[i].right_words;
    sum.true_entities += sentences[i].true_entities;
    sum.predicted_entities += sentences[i].predicted_entities;
    sum.right_entities += sentences[i].right_entities;
  }
  const uint64_t entities = sum.true_entities + sum.predicted_entities;
  return {.accuracy = Share(sum.right_words, sum.words),
          .f1 = entities == 0 ? std::numeric_limits<double>::quiet_NaN() : Share(2 * sum.right_entities, entities),
          .precision = Share(sum.right_entities, sum.predicted_entities),
          .recall = Share(sum.right_entities, sum.true_entities)};
}

}  // namespace octet::cli
