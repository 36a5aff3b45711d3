// The metrics of labelled words by hand, and against values that seqeval 1.2.2 computed in its default mode.
#include "server/cli/evaluate/token_metrics.h"

#include <cmath>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace octet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A handful of double operations on values near 1.
constexpr double kTolerance = 1e-13;

using Labels = std::vector<std::string>;

Entity E(size_t begin, size_t end, uint32_t type) { return {.begin = begin, .end = end, .type = type}; }

std::vector<Entity> EntitiesOf(const Labels& labels) { return FindEntities(EntityTagsOf(labels)); }

TEST(ParseEntityLabelTest, TakesPositionAndType) {
  EXPECT_EQ(ParseEntityLabel("O")->position, EntityPosition::kOutside);
  EXPECT_EQ(ParseEntityLabel("B-PER")->position, EntityPosition::kBegin);
  EXPECT_EQ(ParseEntityLabel("B-PER")->type, "PER");
  EXPECT_EQ(ParseEntityLabel("I-creative-work")->type, "creative-work");
  EXPECT_EQ(ParseEntityLabel("E-x")->position, EntityPosition::kEnd);
  EXPECT_EQ(ParseEntityLabel("S-x")->position, EntityPosition::kSingle);
  EXPECT_EQ(ParseEntityLabel("I")->position, EntityPosition::kInside);
  EXPECT_EQ(ParseEntityLabel("I")->type, "");
  for (const char* label : {"", "NOUN", "O-PER", "b-PER", "L-PER", "B-", "B_PER", "X", "0", "ORG"}) {
    EXPECT_FALSE(ParseEntityLabel(label).has_value()) << label;
  }
}

// Types are numbered as they appear.
TEST(FindEntitiesTest, ReadsIob2) {
  EXPECT_THAT(EntitiesOf({"B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-LOC"}),
              ElementsAre(E(0, 2, 0), E(3, 4, 1), E(4, 6, 1)));
  EXPECT_THAT(EntitiesOf({"O", "O"}), IsEmpty());
  EXPECT_THAT(EntitiesOf({}), IsEmpty());
  EXPECT_THAT(EntitiesOf({"B-PER", "[CLS]", "I-PER"}), ElementsAre(E(0, 1, 0), E(2, 3, 0)));
}

TEST(FindEntitiesTest, ReadsIobes) {
  EXPECT_THAT(EntitiesOf({"B-PER", "I-PER", "E-PER", "S-PER", "O", "S-LOC", "B-LOC", "E-LOC"}),
              ElementsAre(E(0, 3, 0), E(3, 4, 0), E(5, 6, 1), E(6, 8, 1)));
}

// seqeval: PER 0, LOC 1, LOC 2-3, PER 5, PER 6, PER 7, PER 8, PER 9-10, PER 11.
TEST(FindEntitiesTest, IsLenientAsSeqevalIs) {
  EXPECT_THAT(EntitiesOf({"I-PER", "I-LOC", "B-LOC", "I-LOC", "O", "E-PER", "I-PER", "S-PER", "E-PER", "B-PER", "E-PER",
                          "E-PER"}),
              ElementsAre(E(0, 1, 0), E(1, 2, 1), E(2, 4, 1), E(5, 6, 0), E(6, 7, 0), E(7, 8, 0), E(8, 9, 0),
                          E(9, 11, 0), E(11, 12, 0)));
  EXPECT_THAT(EntitiesOf({"B", "I", "O", "I", "B"}), ElementsAre(E(0, 2, 0), E(3, 4, 0), E(4, 5, 0)));
  EXPECT_THAT(EntitiesOf({"B-X-Y", "I-X-Y", "I-Y"}), ElementsAre(E(0, 2, 0), E(2, 3, 1)));
}

// A digit is the index of a word's label.
std::vector<uint32_t> Indices(const std::string& digits) {
  std::vector<uint32_t> indices;
  for (const char digit : digits) indices.push_back(digit == '-' ? kNoLabel : static_cast<uint32_t>(digit - '0'));
  return indices;
}

TokenScores ScoreAll(const Labels& labels, const std::vector<std::pair<std::string, std::string>>& sentences) {
  const std::vector<EntityTag> tags = EntityTagsOf(labels);
  std::vector<SentenceCounts> counts;
  for (const auto& [truth, predicted] : sentences) {
    counts.push_back(CountSentence(Indices(truth), Indices(predicted), tags));
  }
  std::vector<uint32_t> all(counts.size());
  std::iota(all.begin(), all.end(), 0u);
  return ScoreSentences(counts, all);
}

TEST(TokenScoresTest, CountsByHand) {
  const Labels labels = {"O", "B-PER", "I-PER", "B-LOC"};
  // True: PER 1-2, LOC 4; predicted: PER 1-2, PER 4, and LOC 0.
  const SentenceCounts counts = CountSentence(Indices("01203"), Indices("31201"), EntityTagsOf(labels));
  EXPECT_EQ(counts.words, 5u);
  EXPECT_EQ(counts.right_words, 3u);
  EXPECT_EQ(counts.true_entities, 2u);
  EXPECT_EQ(counts.predicted_entities, 3u);
  EXPECT_EQ(counts.right_entities, 1u);
  const TokenScores scores = ScoreAll(labels, {{"01203", "31201"}});
  EXPECT_NEAR(scores.accuracy, 0.6, kTolerance);
  EXPECT_NEAR(scores.precision, 1.0 / 3, kTolerance);
  EXPECT_NEAR(scores.recall, 0.5, kTolerance);
  EXPECT_NEAR(scores.f1, 0.4, kTolerance);
}

TEST(TokenScoresTest, EntitiesDoNotGoOnInTheNextSentence) {
  const Labels labels = {"O", "B-PER", "I-PER"};
  const TokenScores scores = ScoreAll(labels, {{"01", "01"}, {"20", "00"}});
  EXPECT_NEAR(scores.precision, 1, kTolerance);
  EXPECT_NEAR(scores.recall, 0.5, kTolerance);
}

TEST(TokenScoresTest, AWordWithoutAnAnswerIsWrongAndNoEntity) {
  const Labels labels = {"O", "B-PER", "I-PER"};
  // The entity's second word is cut off, and an O: the entity is not the same any more.
  const TokenScores scores = ScoreAll(labels, {{"0120", "01--"}});
  EXPECT_NEAR(scores.accuracy, 0.5, kTolerance);
  EXPECT_EQ(scores.f1, 0);
  EXPECT_EQ(scores.precision, 0);
}

TEST(TokenScoresTest, WithoutAnyEntityF1IsNotDefined) {
  const TokenScores scores = ScoreAll({"O", "B-PER"}, {{"00", "00"}});
  EXPECT_TRUE(std::isnan(scores.f1));
  EXPECT_EQ(scores.precision, 0);
  EXPECT_EQ(scores.recall, 0);
  EXPECT_EQ(scores.accuracy, 1);
  EXPECT_EQ(ScoreAll({"O", "B-PER"}, {{"01", "00"}}).f1, 0);
}

TEST(TokenScoresTest, EqualsSeqeval) {
  const TokenScores iob2 = ScoreAll({"O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG"},
                                    {{"01203", "01205"}, {"5660", "5600"}, {"00", "30"}, {"2033", "1030"}});
  EXPECT_NEAR(iob2.f1, 0.5, kTolerance);
  EXPECT_NEAR(iob2.precision, 0.5, kTolerance);
  EXPECT_NEAR(iob2.recall, 0.5, kTolerance);
  EXPECT_NEAR(iob2.accuracy, 2.0 / 3, kTolerance);
  // Random labels, most of them against the rules of IOBES.
  const TokenScores random = ScoreAll({"O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC"},
                                      {{"040500080730021573681030", "040602080030228373681030"},
                                       {"40000005145470527", "40050005745370727"},
                                       {"847100540", "837150540"}});
  EXPECT_NEAR(random.f1, 0.7666666666666667, kTolerance);
  EXPECT_NEAR(random.precision, 0.7419354838709677, kTolerance);
  EXPECT_NEAR(random.recall, 0.7931034482758621, kTolerance);
  EXPECT_NEAR(random.accuracy, 0.76, kTolerance);
}

TEST(TokenScoresTest, CountsRepeatedSentencesOfASample) {
  const std::vector<EntityTag> tags = EntityTagsOf(Labels{"O", "B-PER"});
  const std::vector<SentenceCounts> counts = {CountSentence(Indices("1"), Indices("1"), tags),
                                              CountSentence(Indices("10"), Indices("00"), tags)};
  const TokenScores scores = ScoreSentences(counts, std::vector<uint32_t>{0, 0, 1});
  EXPECT_NEAR(scores.recall, 2.0 / 3, kTolerance);
  EXPECT_NEAR(scores.accuracy, 0.75, kTolerance);
}

}  // namespace
}  // namespace octet::cli
