// How well predicted labels of words fit the true ones: accuracy of words, and F1 of the entities that labels such as
// "B-PER" mark. Pure functions, thread-safe.
// Source of what an entity is: Sang and De Meulder (2003), "Introduction to the CoNLL-2003 Shared Task", and their
// conlleval; seqeval's default (lenient) mode, which has the same rules and E- and S- labels besides.
#ifndef OCTET_SERVER_CLI_EVALUATE_TOKEN_METRICS_H_
#define OCTET_SERVER_CLI_EVALUATE_TOKEN_METRICS_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace octet::cli {

enum class EntityPosition { kOutside, kBegin, kInside, kEnd, kSingle };

struct EntityLabel {
  EntityPosition position = EntityPosition::kOutside;
  absl::string_view type;  // part of the label; "" when it has none
};

// "O", or "B", "I", "E" or "S", alone or with "-" and a type. Nothing for any other label.
std::optional<EntityLabel> ParseEntityLabel(absl::string_view label);

// An EntityLabel with a number for its type.
struct EntityTag {
  EntityPosition position = EntityPosition::kOutside;
  uint32_t type = 0;
};

// Of labels, by index; equal types get equal numbers. What is no entity label marks no entity.
std::vector<EntityTag> EntityTagsOf(std::span<const std::string> labels);

// Words [begin, end) of a sentence.
struct Entity {
  size_t begin = 0, end = 0;
  uint32_t type = 0;

  friend bool operator==(const Entity&, const Entity&) = default;
};

// The entities of a sentence from its words' tags, in order. Lenient: a word with I or E goes on with the entity before
// it if that has its type and was not ended by E or S; otherwise it begins one. B and S always begin one.
std::vector<Entity> FindEntities(std::span<const EntityTag> tags);

// The label of a word that the model does not answer: never right, and no entity.
inline constexpr uint32_t kNoLabel = std::numeric_limits<uint32_t>::max();

// What a sentence adds to the scores.
struct SentenceCounts {
  uint64_t words = 0, right_words = 0;
  uint64_t true_entities = 0, predicted_entities = 0;
  uint64_t right_entities = 0;  // the same words and type
};

// truth, predicted: labels of the sentence's words, indices into `tags`, or kNoLabel.
SentenceCounts CountSentence(std::span<const uint32_t> truth, std::span<const uint32_t> predicted,
                             std::span<const EntityTag> tags);

struct TokenScores {
  double accuracy = 0;  // share of words whose label is exactly right
  // Over the entities of all types (micro). F1: 2 right / (true + predicted), NaN without either; precision and recall
  // are 0 where they have nothing to count, as in conlleval.
  double f1 = 0, precision = 0, recall = 0;
};

// Of the sentences sample[0], sample[1], ..., which may repeat; at least one.
TokenScores ScoreSentences(std::span<const SentenceCounts> sentences, std::span<const uint32_t> sample);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_TOKEN_METRICS_H_
