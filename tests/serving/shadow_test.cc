// Shadows in the real pipeline over fake models: what is compared, when, and what live calls notice of it.
#include "serving/shadow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serving/shadow_compare.h"
#include "tests/serving/pipeline_harness.h"

namespace octet::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ShadowTest : public PipelineHarness {
 protected:
  // Shadows may go on after a test's body: what hooks use is here and not there.
  void TearDown() override {
    live_gate_.Open();
    shadow_gate_.Open();
    pipeline_.reset();
  }

  void StartWithShadow(ShadowOptions shadow = {.share = 1}) {
    shadow.reference = reference_;
    ASSERT_TRUE(
        repository_
            .Add({.name = "mini", .model = model_, .load_time = {}, .predictions = predictions_, .shadow = shadow})
            .ok());
    Start();
  }

  // Passes of both models are listed: "live G", "shadow a". Those of a text with a capital letter wait for a gate.
  void ListPasses() {
    const auto lister = [this](const char* who, Gate* gate) {
      return [this, who, gate](const model::PackedBatch& batch, MatrixView<float>) {
        const char first = static_cast<char>(batch.ids[0]);
        {
          MutexLock lock(&mu_);
          passes_.push_back(absl::StrCat(who, " ", std::string(1, first)));
        }
        if (gate != nullptr && first >= 'A' && first <= 'Z') gate->Pass();
        return absl::OkStatus();
      };
    };
    model_->on_compute = lister("live", &live_gate_);
    reference_->on_compute = lister("shadow", &shadow_gate_);
  }
  std::vector<std::string> passes() {
    MutexLock lock(&mu_);
    return passes_;
  }

  ShadowMetrics counted() { return metrics_->ForShadow("mini"); }
  double dropped(ShadowDrop reason) { return counted().dropped[static_cast<size_t>(reason)]->Value(); }
  double distance_sum() { return counted().cosine_distance->Collect().histogram.sample_sum; }
  void WaitUntil(const std::function<bool()>& condition) {
    while (!condition()) std::this_thread::yield();
  }
  void WaitForCompared(double num_texts) {
    WaitUntil([&] { return counted().texts->Value() == num_texts; });
  }

  std::shared_ptr<FakeServable> reference_ = std::make_shared<FakeServable>();
  model::PredictionOptions predictions_;
  Gate live_gate_, shadow_gate_;
  std::atomic<int> count_{0};
  std::optional<size_t> compared_before_live_;  // written by the worker before it answers
  Mutex mu_;
  std::vector<std::string> passes_ ABSL_GUARDED_BY(mu_);
};

TEST_F(ShadowTest, EveryTextIsComparedAloneAndAsItWasServed) {
  StartWithShadow();
  const auto result = answers_.Get(SubmitTexts({"abc", "z", "xy"}));
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->outputs, ElementsAre(3, 'a', 'c', 1, 1, 'z', 'z', 1, 2, 'x', 'y', 1));
  WaitForCompared(3);
  EXPECT_EQ(distance_sum(), 0);  // the fake reference computes the same
  std::vector<std::vector<int32_t>> texts;
  for (const SeenBatch& batch : reference_->seen()) texts.push_back(batch.ids);
  EXPECT_THAT(texts, ElementsAre(ElementsAre('a', 'b', 'c'), ElementsAre('z'), ElementsAre('x', 'y')));
  EXPECT_EQ(model_->seen().size(), 1u);
}

TEST_F(ShadowTest, PairsKeepTheirTypes) {
  model_->SetLabels({"a", "b", "c", "d"});
  reference_->SetLabels({"a", "b", "c", "d"});
  StartWithShadow();
  Request request;
  request.task = model::Task::kClassification;
  request.texts = {{"ab", "c"}};
  ASSERT_TRUE(StatusOf(std::move(request)).ok());
  WaitForCompared(1);
  EXPECT_THAT(reference_->seen()[0].type_ids, ElementsAre(0, 0, 1));
}

TEST_F(ShadowTest, DistanceIsThatOfTheCutAndNormalizedAnswer) {
  // Of the two dimensions that are left, at right angles to the model's.
  reference_->on_compute = [](const model::PackedBatch&, MatrixView<float> rows) {
    std::swap(rows.Row(0)[0], rows.Row(0)[1]);
    rows.Row(0)[1] *= -1;
    return absl::OkStatus();
  };
  StartWithShadow();
  Request request = MakeRequest({"abc"});
  request.dimensions = 2;
  request.normalize = true;
  ASSERT_TRUE(StatusOf(std::move(request)).ok());
  WaitForCompared(1);
  EXPECT_NEAR(distance_sum(), 1, 1e-6);  // the answer is normalized in f32
  EXPECT_EQ(counted().label_flips->Value(), 0);
}

TEST_F(ShadowTest, FlipsAreThoseOfTheModelsOwnSettings) {
  // Rows are {tokens, first id, last id, 1}: the best label of "az" is the last id's, of "za" the first's.
  model_->SetLabels({"a", "b", "c", "d"});
  reference_->SetLabels({"a", "b", "c", "d"});
  reference_->on_compute = [](const model::PackedBatch& batch, MatrixView<float> rows) {
    if (batch.ids[0] == 'z') std::swap(rows.Row(0)[1], rows.Row(0)[2]);
    return absl::OkStatus();
  };
  predictions_ = {.activation = model::ScoreActivation::kRaw, .top_k = 1};
  StartWithShadow();
  Request request = MakeRequest({"az", "za"});
  request.task = model::Task::kClassification;
  ASSERT_TRUE(StatusOf(std::move(request)).ok());
  WaitForCompared(2);
  EXPECT_EQ(counted().label_flips->Value(), 1);
}

TEST_F(ShadowTest, AnswersGoOutFirst) {
  reference_->on_compute = [this](const model::PackedBatch&, MatrixView<float>) {
    count_ += !answers_.Has(0);
    return absl::OkStatus();
  };
  StartWithShadow();
  SubmitTexts({"abc", "def"});
  WaitForCompared(2);
  EXPECT_EQ(count_, 0);
}

// A queue that is full for as long as there is work costs calls nothing: they come first, what does not fit is dropped.
TEST_F(ShadowTest, NothingIsComparedWhileWorkWaitsAndAFullQueueDrops) {
  ListPasses();
  options_.max_batch_texts = 1;
  StartWithShadow({.share = 1, .max_queue_texts = 2});
  SubmitTexts({"G"});
  live_gate_.WaitForArrivals(1);
  shadow_gate_.Open();
  for (const char* text : {"a", "b", "c", "d"}) SubmitTexts({text});
  WaitForQueuedTexts(4);
  live_gate_.Open();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  EXPECT_EQ(answers_.CountCode(absl::StatusCode::kOk), 5u);
  WaitForCompared(2);
  EXPECT_THAT(passes(), ElementsAre("live G", "live a", "live b", "live c", "live d", "shadow G", "shadow a"));
  EXPECT_EQ(dropped(ShadowDrop::kQueueFull), 3);
}

TEST_F(ShadowTest, ABatchWaitsForOnePassAtMost) {
  ListPasses();
  live_gate_.Open();
  StartWithShadow();
  SubmitTexts({"A", "b", "c"});
  shadow_gate_.WaitForArrivals(1);
  const size_t live = SubmitTexts({"live"});
  WaitForQueuedTexts(1);
  EXPECT_FALSE(answers_.Has(live));
  shadow_gate_.Open();
  EXPECT_TRUE(answers_.Get(live).ok());
  WaitForCompared(4);
  const std::vector<std::string> seen = passes();
  EXPECT_EQ(seen[1], "shadow A");
  EXPECT_EQ(seen[2], "live l");
}

// Counting what is cut off and comparing are two passes; a batch comes between them.
TEST_F(ShadowTest, ABatchComesBetweenTheTwoPassesOfAText) {
  model_->clipping = model::ClippingCount{.values = 100, .clipped = 7};
  model_->on_compute = [this](const model::PackedBatch& batch, MatrixView<float>) {
    if (batch.ids[0] == 'A' && ++count_ == 2) shadow_gate_.Pass();  // the first is the live one
    if (batch.ids[0] == 'l' && !compared_before_live_) compared_before_live_ = reference_->seen().size();
    return absl::OkStatus();
  };
  StartWithShadow();
  SubmitTexts({"A"});
  shadow_gate_.WaitForArrivals(1);
  const size_t live = SubmitTexts({"live"});
  WaitForQueuedTexts(1);
  shadow_gate_.Open();
  EXPECT_TRUE(answers_.Get(live).ok());
  WaitForCompared(2);
  EXPECT_EQ(compared_before_live_, 0u);
  EXPECT_EQ(counted().activations->Value(), 200);
  EXPECT_EQ(counted().clipped->Value(), 14);
}

TEST_F(ShadowTest, ModelsTakeTurns) {
  const auto other = std::make_shared<FakeServable>();
  ASSERT_TRUE(
      repository_
          .Add({.name = "other", .model = other, .load_time = {}, .shadow = {.reference = reference_, .share = 1}})
          .ok());
  ListPasses();
  shadow_gate_.Open();
  StartWithShadow();
  Request request = MakeRequest({"G"});
  request.model = "mini";
  Submit(std::move(request));
  live_gate_.WaitForArrivals(1);
  Request first = MakeRequest({"a", "b", "c"}), second = MakeRequest({"x", "y", "z"});
  first.model = "mini";
  second.model = "other";
  Submit(std::move(first));
  Submit(std::move(second));
  WaitForQueuedTexts(6);
  live_gate_.Open();
  WaitForCompared(4);
  WaitUntil([&] { return metrics_->ForShadow("other").texts->Value() == 3; });
  std::string order;
  for (const SeenBatch& batch : reference_->seen()) order.push_back(static_cast<char>(batch.ids[0]));
  EXPECT_EQ(order, "Gxaybzc");
}

TEST_F(ShadowTest, LongTextsAreLeftOut) {
  StartWithShadow({.share = 1, .max_tokens = 3});
  ASSERT_TRUE(StatusOf(MakeRequest({"abcd", "abc", "abcde"})).ok());
  WaitForCompared(1);
  EXPECT_EQ(dropped(ShadowDrop::kTooLong), 2);
  EXPECT_EQ(reference_->seen().size(), 1u);
}

TEST_F(ShadowTest, OnlyTheShareIsComparedAndTheSameTextsAgain) {
  constexpr double kShare = 0.5;
  const auto is_sampled = [](const std::string& text) {
    return IsSampled(std::vector<int32_t>(text.begin(), text.end()), kShare);
  };
  StartWithShadow({.share = kShare, .max_queue_texts = 1000});
  std::vector<std::string> texts;
  std::vector<size_t> expected;  // lengths of those that are sampled, in order
  for (size_t i = 1; i <= 100; ++i) {
    texts.push_back(std::string(i, 'x'));
    if (is_sampled(texts.back())) expected.push_back(i);
  }
  ASSERT_GT(expected.size(), 20u);
  ASSERT_LT(expected.size(), 80u);
  ASSERT_TRUE(StatusOf(MakeRequest(texts)).ok());
  WaitForCompared(static_cast<double>(expected.size()));
  ASSERT_TRUE(StatusOf(MakeRequest(texts)).ok());
  WaitForCompared(static_cast<double>(2 * expected.size()));
  std::vector<size_t> compared;
  for (const SeenBatch& batch : reference_->seen()) compared.push_back(batch.ids.size());
  EXPECT_EQ(std::vector<size_t>(compared.begin(), compared.begin() + static_cast<ptrdiff_t>(expected.size())),
            expected);
  EXPECT_EQ(compared.size(), 2 * expected.size());
}

TEST_F(ShadowTest, FaultsCostATextOfTheShadowAndNothingElse) {
  reference_->on_compute = [](const model::PackedBatch& batch, MatrixView<float> rows) -> absl::Status {
    if (batch.ids[0] == 't') throw std::bad_alloc();
    if (batch.ids[0] == 'e') return absl::InternalError("reference");
    if (batch.ids[0] == 'n') rows.Row(0)[0] = std::nanf("");
    return absl::OkStatus();
  };
  model_->on_compute = [](const model::PackedBatch& batch, MatrixView<float> rows) {
    for (size_t t = 0; t < batch.num_texts(); ++t) {
      if (batch.ids[batch.starts[t]] == '~') rows.Row(t)[0] = std::nanf("");
    }
    return absl::OkStatus();
  };
  StartWithShadow();
  EXPECT_TRUE(StatusOf(MakeRequest({"throws", "error", "nan", "ok"})).ok());
  WaitForCompared(1);
  EXPECT_EQ(dropped(ShadowDrop::kFault), 3);
  EXPECT_TRUE(absl::IsInternal(StatusOf(MakeRequest({"~"}))));  // no answer, nothing to compare
  EXPECT_TRUE(StatusOf(MakeRequest({"ok too"})).ok());
  WaitForCompared(2);
  EXPECT_EQ(reference_->seen().size(), 5u);
  EXPECT_EQ(metrics_->worker_faults->Value(), 0);
  EXPECT_TRUE(pipeline_->Health().live);
}

TEST_F(ShadowTest, AStuckShadowIsNotLive) {
  ListPasses();
  live_gate_.Open();
  StartWithShadow();
  SubmitTexts({"A"});
  shadow_gate_.WaitForArrivals(1);
  EXPECT_TRUE(answers_.Get(0).ok());
  clock_.Advance(absl::Seconds(11));
  EXPECT_EQ(pipeline_->Health().reason, "compute worker: busy for 11s, limit 10s");
}

TEST_F(ShadowTest, DrainDoesNotWaitForShadows) {
  ListPasses();
  live_gate_.Open();
  StartWithShadow();
  SubmitTexts({"A", "b", "c"});
  shadow_gate_.WaitForArrivals(1);
  EXPECT_EQ(pipeline_->Drain(absl::InfiniteDuration()), 0u);  // returns although a shadow is stuck and two wait
  shadow_gate_.Open();
  WaitUntil([&] { return dropped(ShadowDrop::kDraining) == 2; });
  EXPECT_EQ(counted().texts->Value(), 1);
  EXPECT_THAT(passes(), ElementsAre("live A", "shadow A"));
}

TEST_F(ShadowTest, WithoutAShadowThereAreNoSeries) {
  Start();
  ASSERT_TRUE(StatusOf(MakeRequest({"abc"})).ok());
  EXPECT_THAT(metrics_->Render(), Not(HasSubstr("octet_shadow")));
}

TEST_F(ShadowTest, AReferenceThatCannotStandForTheModelIsRefused) {
  const auto refusal = [&](ShadowOptions shadow) {
    shadow.reference = reference_;
    return std::string(CheckShadow({.name = "mini", .model = model_, .load_time = {}, .shadow = shadow}).message());
  };
  EXPECT_EQ(refusal({.share = 1}), "");
  EXPECT_EQ(refusal({.share = 1, .max_queue_texts = 0}),
            "shadow of model mini: max_tokens: 128, max_queue_texts: 0, each at least 1");
  reference_->arena_tokens = 100;
  EXPECT_EQ(refusal({.share = 1}), "shadow of model mini: max_tokens: 128, the reference was loaded for 100");
  reference_->arena_tokens = 128;
  reference_->SetLabels({"a", "b"});
  EXPECT_EQ(refusal({.share = 1}), "shadow of model mini: the reference has 2 values of a text, the model 4");
  ASSERT_TRUE(
      repository_.Add({.name = "mini", .model = model_, .load_time = {}, .shadow = {.reference = reference_}}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Pipeline::Create(options_, &repository_, metrics_.get(), &clock_).status()));
}

}  // namespace
}  // namespace octet::serving
