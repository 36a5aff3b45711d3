// What goes wrong around a call: clients that go, workers that fail or hang, draining, models that do not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <new>
#include <thread>

#include "tests/serving/pipeline_harness.h"

namespace octet::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PipelineFaultsTest : public PipelineHarness {};

// B1 and B5, and again with the batch still running: nobody waits for it to learn that he is not wanted.
TEST_F(PipelineFaultsTest, B1B5UnwantedCallsInTheQueueAreAnsweredAndNeverComputed) {
  Gate gate;
  GateOn(&gate);
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  Request leaving = MakeRequest({"cancelled"});
  leaving.cancelled = cancelled;
  Submit(std::move(leaving));
  Request late = MakeRequest({"late"});
  late.deadline = clock_.Now() + absl::Seconds(1);
  Submit(std::move(late));
  SubmitTexts({"patient"});
  WaitForQueuedTexts(3);
  cancelled->store(true);
  EXPECT_TRUE(absl::IsCancelled(answers_.Get(1).status()));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(answers_.Get(2).status()));
  WaitForQueuedTexts(1);
  gate.Open();
  EXPECT_TRUE(answers_.Get(3).ok());
  EXPECT_THAT(FirstIds(model_->seen().back()), ElementsAre('p'));
  EXPECT_EQ(model_->seen().size(), 2u);
  EXPECT_EQ(metrics_->expired_in_queue->Value(), 1);
  EXPECT_EQ(metrics_->cancelled_in_queue->Value(), 1);
  EXPECT_EQ(metrics_->computed_after_expiry->Value(), 0);
  ExpectNothingHeld();
}

TEST_F(PipelineFaultsTest, UnwantedCallsAreNotTokenized) {
  options_.max_handed_bytes = 0;
  Gate gate;
  std::atomic<int> tokenized{0};
  model_->on_tokenize = [&](absl::string_view) {
    ++tokenized;
    gate.Pass();
    return absl::OkStatus();
  };
  Start();
  SubmitTexts({"first"});
  gate.WaitForArrivals(1);
  Request late = MakeRequest({"late"});
  late.deadline = clock_.Now() + absl::Seconds(1);
  Submit(std::move(late));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(answers_.Get(1).status()));
  gate.Open();
  EXPECT_TRUE(answers_.Get(0).ok());
  EXPECT_EQ(tokenized, 1);
}

TEST_F(PipelineFaultsTest, R25NonFiniteOutputFailsItsCallOnly) {
  Gate gate;
  model_->on_compute = [&](const model::PackedBatch& batch, MatrixView<float> rows) {
    if (batch.ids[0] == 'G') gate.Pass();
    for (size_t t = 0; t < batch.num_texts(); ++t) {
      if (batch.ids[batch.starts[t]] == 'n') rows.Row(t)[2] = std::numeric_limits<float>::quiet_NaN();
      if (batch.ids[batch.starts[t]] == 'i') rows.Row(t)[2] = std::numeric_limits<float>::infinity();
    }
    return absl::OkStatus();
  };
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  SubmitTexts({"ok"});
  SubmitTexts({"fine", "nan"});
  SubmitTexts({"inf"});
  SubmitTexts({"ok too"});
  WaitForQueuedTexts(5);
  gate.Open();
  EXPECT_TRUE(answers_.Get(1).ok());
  EXPECT_EQ(answers_.Get(2).status(), absl::InternalError("non-finite output"));
  EXPECT_EQ(answers_.Get(3).status(), absl::InternalError("non-finite output"));
  EXPECT_TRUE(answers_.Get(4).ok());
  EXPECT_EQ(model_->seen().size(), 2u);  // they were neighbours
  EXPECT_EQ(metrics_->ForModel("mini")->non_finite->Value(), 2);
}

TEST_F(PipelineFaultsTest, L12AThrowingWorkerAnswersItsBatchAndGoesOn) {
  model_->on_compute = [](const model::PackedBatch& batch, MatrixView<float>) -> absl::Status {
    if (batch.ids[0] == 't') throw std::bad_alloc();
    return absl::OkStatus();
  };
  Start();
  const absl::Status status = StatusOf(MakeRequest({"throw"}));
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_EQ(metrics_->worker_faults->Value(), 1);
  EXPECT_TRUE(StatusOf(MakeRequest({"ok"})).ok());
  EXPECT_TRUE(pipeline_->Health().live);
  ExpectNothingHeld();
}

TEST_F(PipelineFaultsTest, ATextThatTheModelRefusesDoesNotFailItsNeighbours) {
  Gate gate;
  model_->on_compute = [&](const model::PackedBatch& batch, MatrixView<float>) {
    if (batch.ids[0] == 'G') gate.Pass();
    for (const int32_t id : batch.ids) {
      if (id == '!') return absl::InvalidArgumentError("id outside the vocabulary");
    }
    return absl::OkStatus();
  };
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  for (const char* text : {"left", "bad!", "right"}) SubmitTexts({text});
  WaitForQueuedTexts(3);
  gate.Open();
  EXPECT_THAT(answers_.Get(1)->outputs, ElementsAre(4, 'l', 't', 1));
  EXPECT_TRUE(absl::IsInternal(answers_.Get(2).status()));
  EXPECT_THAT(answers_.Get(3)->outputs, ElementsAre(5, 'r', 't', 1));
}

TEST_F(PipelineFaultsTest, L12AHungWorkerIsNotLiveAndSaysWhy) {
  Gate gate;
  GateOn(&gate);
  Start();
  EXPECT_TRUE(pipeline_->Health().live);
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  clock_.Advance(absl::Seconds(10));
  EXPECT_TRUE(pipeline_->Health().live);
  clock_.Advance(absl::Seconds(1));
  const PipelineHealth health = pipeline_->Health();
  EXPECT_FALSE(health.live);
  EXPECT_EQ(health.reason, "compute worker: busy for 11s, limit 10s");
  gate.Open();
  EXPECT_TRUE(answers_.Get(0).ok());
  while (!pipeline_->Health().live) std::this_thread::yield();
}

TEST_F(PipelineFaultsTest, AHungTokenizerIsNotLive) {
  options_.max_handed_bytes = 0;
  Gate gate;
  model_->on_tokenize = [&](absl::string_view) {
    gate.Pass();
    return absl::OkStatus();
  };
  Start();
  SubmitTexts({"text"});
  gate.WaitForArrivals(1);
  clock_.Advance(absl::Seconds(11));
  EXPECT_EQ(pipeline_->Health().reason, "tokenizer 0: busy for 11s, limit 10s");
  gate.Open();
  EXPECT_TRUE(answers_.Get(0).ok());
}

TEST_F(PipelineFaultsTest, L1DrainFinishesWhatIsAcceptedAndRefusesTheRest) {
  Gate gate;
  GateOn(&gate);
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  for (int i = 0; i < 5; ++i) SubmitTexts({"waiting"});
  size_t cut_off = 99;
  std::thread drain([&] { cut_off = pipeline_->Drain(absl::InfiniteDuration()); });
  // Until Drain has begun, calls are still accepted; they are finished as well.
  absl::Status status;
  do {
    const size_t idx = SubmitTexts({"late"});
    if (answers_.Has(idx)) status = answers_.Get(idx).status();
  } while (status.ok());
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(ReasonOf(status), kReasonDraining);
  gate.Open();
  drain.join();
  EXPECT_EQ(cut_off, 0u);
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  EXPECT_EQ(answers_.CountCode(absl::StatusCode::kUnavailable), 1u);
  EXPECT_EQ(metrics_->Rejected(RejectReason::kDraining), 1);
}

TEST_F(PipelineFaultsTest, L3DrainCutsOffStuckCalls) {
  Gate gate;
  GateOn(&gate);
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  SubmitTexts({"waiting"});
  WaitForQueuedTexts(1);
  EXPECT_EQ(pipeline_->Drain(absl::ZeroDuration()), 2u);
  EXPECT_TRUE(absl::IsUnavailable(answers_.Get(0).status()));
  EXPECT_TRUE(absl::IsUnavailable(answers_.Get(1).status()));
  EXPECT_EQ(pipeline_->Drain(absl::ZeroDuration()), 0u);
  gate.Open();
  pipeline_.reset();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
}

// The texts are gone once a call is answered, also while a tokenizer is at it.
TEST_F(PipelineFaultsTest, CutOffDoesNotWaitForATokenizer) {
  options_.max_handed_bytes = 0;
  Gate gate;
  model_->on_tokenize = [&](absl::string_view text) {
    gate.Pass();
    return text == "text" ? absl::OkStatus() : absl::InternalError("text was freed");
  };
  Start();
  auto text = std::make_unique<std::string>("text");
  Request request;
  request.texts = {*text, *text};
  Submit(std::move(request));
  gate.WaitForArrivals(1);
  EXPECT_EQ(pipeline_->Drain(absl::ZeroDuration()), 1u);
  text.reset();
  gate.Open();
  pipeline_.reset();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
}

TEST_F(PipelineFaultsTest, DestructionAnswersWhatIsLeft) {
  Gate gate;
  GateOn(&gate);
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  for (int i = 0; i < 10; ++i) SubmitTexts({"waiting"});
  std::thread opener([&] {
    for (size_t i = 0; i < 11; ++i) (void)answers_.Get(i);  // all are answered before the batch ends
    gate.Open();
  });
  pipeline_.reset();
  opener.join();
  EXPECT_EQ(answers_.CountCode(absl::StatusCode::kUnavailable), 11u);
}

TEST_F(PipelineFaultsTest, C2RefusesBudgetsThatAModelDoesNotFit) {
  AddModel("mini", model_);
  options_.max_batch_tokens = 511;
  auto refused = Pipeline::Create(options_, &repository_, metrics_.get(), &clock_);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("max_batch_tokens: 511, at least 512"));
  options_.max_batch_tokens = 1024;
  model_->arena_tokens = 1023;
  refused = Pipeline::Create(options_, &repository_, metrics_.get(), &clock_);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  model_->arena_tokens = 1024;
  options_.max_queue_texts = 0;
  refused = Pipeline::Create(options_, &repository_, metrics_.get(), &clock_);
  EXPECT_EQ(refused.status().message(), "max_queue_texts: 0, at least 1");
}

TEST_F(PipelineFaultsTest, WarmsUpInPowersOfTwoBeforeItIsReady) {
  options_.warm_up_tokens = 600;
  Start();
  std::vector<size_t> tokens;
  for (const SeenBatch& batch : model_->seen()) tokens.push_back(batch.ids.size());
  EXPECT_THAT(tokens, ElementsAre(1, 2, 4, 8, 16, 32, 64, 128, 256, 512));
}

TEST_F(PipelineFaultsTest, AFailingWarmUpFailsCreate) {
  AddModel("mini", model_);
  options_.warm_up_tokens = 8;
  model_->on_compute = [](const model::PackedBatch&, MatrixView<float>) { return absl::InternalError("broken"); };
  const auto refused = Pipeline::Create(options_, &repository_, metrics_.get(), &clock_);
  EXPECT_EQ(refused.status(), absl::InternalError("warm-up: broken"));
}

TEST_F(PipelineFaultsTest, AModelAddedLaterIsServed) {
  AddModel("mini", model_);
  Start();
  AddModel("later", std::make_shared<FakeServable>());
  Request request = MakeRequest({"abc"});
  request.model = "later";
  EXPECT_EQ(answers_.Get(Submit(std::move(request)))->model, "later");
}

}  // namespace
}  // namespace octet::serving
