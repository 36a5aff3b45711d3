#include "serving/embed_pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <list>
#include <new>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/serving/fakes.h"

namespace octet::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The first ids of the texts of a batch.
std::vector<int32_t> FirstIds(const SeenBatch& batch) {
  std::vector<int32_t> ids;
  for (size_t t = 0; t < batch.num_texts(); ++t) ids.push_back(batch.ids[batch.starts[t]]);
  return ids;
}

class EmbedPipelineTest : public ::testing::Test {
 protected:
  EmbedPipelineTest() {
    options_.warm_up_tokens = 0;
    MetricsOptions metrics_options;
    metrics_options.methods = {"Embed"};
    metrics_ = std::make_unique<Metrics>(metrics_options);
  }

  void AddModel(const std::string& name, std::shared_ptr<FakeServable> model) {
    ASSERT_TRUE(repository_.Add({name, std::move(model), absl::Seconds(1)}).ok());
  }

  void Start() {
    if (repository_.List().empty()) AddModel("mini", model_);
    auto pipeline = EmbedPipeline::Create(options_, &repository_, metrics_.get(), &clock_);
    ASSERT_TRUE(pipeline.ok()) << pipeline.status();
    pipeline_ = *std::move(pipeline);
  }

  // Makes Embed wait for the gate whenever the first text of the batch begins with 'G'.
  void GateOn(Gate* gate) {
    model_->on_embed = [gate](const model::PackedBatch& batch, MatrixView<float>) {
      if (batch.ids[0] == 'G') gate->Pass();
      return absl::OkStatus();
    };
  }

  EmbedRequest Request(std::vector<std::string> texts) {
    EmbedRequest request;
    for (std::string& text : texts) request.texts.push_back(texts_.emplace_back(std::move(text)));
    request.normalize = false;
    return request;
  }

  size_t Submit(EmbedRequest request) {
    pipeline_->Submit(std::move(request), answers_.Next());
    return num_submitted_++;
  }
  size_t SubmitTexts(std::vector<std::string> texts) { return Submit(Request(std::move(texts))); }

  absl::Status StatusOf(EmbedRequest request) { return answers_.Get(Submit(std::move(request))).status(); }

  // Waits until `texts` texts wait for the worker; a call is there a moment after Submit.
  void WaitForQueuedTexts(double texts) {
    while (GaugeValue("octet_queue_depth") != texts) std::this_thread::yield();
  }

  double GaugeValue(const std::string& name) const {
    for (const auto& family : metrics_->Collect()) {
      if (family.name == name) return family.metric.at(0).gauge.value;
    }
    ADD_FAILURE() << "no metric " << name;
    return -1;
  }

  void ExpectNothingHeld() const {
    EXPECT_EQ(GaugeValue("octet_queue_depth"), 0);
    EXPECT_EQ(GaugeValue("octet_queue_tokens"), 0);
    EXPECT_EQ(GaugeValue("octet_queue_pending_bytes"), 0);
  }

  PipelineOptions options_;
  FakeClock clock_;
  std::list<std::string> texts_;
  Answers answers_;
  size_t num_submitted_ = 0;
  std::shared_ptr<FakeServable> model_ = std::make_shared<FakeServable>();
  ModelRepository repository_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<EmbedPipeline> pipeline_;
};

TEST_F(EmbedPipelineTest, AnswersEveryTextOfACallInOrder) {
  Start();
  const auto result = answers_.Get(SubmitTexts({"abc", "", "zz"}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->model, "mini");
  EXPECT_EQ(result->model_version, "0123456789ab");
  EXPECT_EQ(result->dimensions, 4u);
  EXPECT_THAT(result->num_tokens, ElementsAre(3, 1, 2));
  EXPECT_THAT(result->truncated, ElementsAre(false, false, false));
  EXPECT_THAT(result->embeddings, ElementsAre(3, 'a', 'c', 1, 1, 0, 0, 1, 2, 'z', 'z', 1));
  ExpectNothingHeld();
}

TEST_F(EmbedPipelineTest, CutsToDimensionsBeforeNormalizing) {
  Start();
  EmbedRequest request = Request({std::string(3, '\4')});  // 3, 4, 4, 1
  request.dimensions = 2;
  request.normalize = true;
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->dimensions, 2u);
  EXPECT_THAT(result->embeddings, ElementsAre(::testing::FloatEq(0.6f), ::testing::FloatEq(0.8f)));
}

TEST_F(EmbedPipelineTest, NormalizesAsTheModelSaysWhenTheCallerDoesNot) {
  model_->mutable_info().normalize = true;
  Start();
  EmbedRequest request = Request({"abc"});
  request.normalize.reset();
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok());
  double norm = 0;
  for (const float value : result->embeddings) norm += value * value;
  EXPECT_NEAR(norm, 1, 1e-6);
}

TEST_F(EmbedPipelineTest, ManyTextsOfOneCallComeBackInOrder) {
  options_.num_tokenizer_threads = 3;
  options_.max_batch_tokens = 512;
  options_.max_batch_texts = 7;
  Start();
  std::vector<std::string> texts;
  for (int i = 0; i < 128; ++i) texts.push_back(std::string(1 + i, static_cast<char>('!' + i % 90)));
  const auto result = answers_.Get(SubmitTexts(texts));
  ASSERT_TRUE(result.ok());
  for (int i = 0; i < 128; ++i) {
    EXPECT_EQ(result->embeddings[i * 4], 1 + i);
    EXPECT_EQ(result->embeddings[i * 4 + 1], '!' + i % 90);
  }
  for (const SeenBatch& batch : model_->seen()) EXPECT_LE(batch.num_texts(), 7u);
}

struct BadRequest {
  const char* row;
  std::function<void(EmbedRequest*)> change;
  absl::StatusCode code;
  std::string message, reason;
  RejectReason counted;
};

// Reliability table 2.1, the rows that are decided here. Texts are {"good"} before the change.
TEST_F(EmbedPipelineTest, RefusesBadRequestsWithTheTablesWords) {
  options_.max_texts_per_call = 3;
  options_.max_text_bytes = 600;
  Start();
  static const std::string kLong(513, 'x'), kTooManyBytes(601, 'x');
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const BadRequest rows[] = {
      {"R4", [](EmbedRequest* r) { r->texts.clear(); }, invalid, "texts: empty", kReasonInvalid,
       RejectReason::kInvalid},
      {"R5", [](EmbedRequest* r) { r->texts.resize(2097142); }, invalid,
       "texts: 2097142 items, limit 3", kReasonInvalid, RejectReason::kInvalid},
      {"R6", [](EmbedRequest* r) { r->texts.resize(4); }, invalid, "texts: 4 items, limit 3", kReasonInvalid,
       RejectReason::kInvalid},
      {"R8", [](EmbedRequest* r) { r->texts[0] = kLong; }, invalid,
       "texts[0]: more than 512 tokens, limit 512", kReasonTooLong, RejectReason::kTooLong},
      {"R14", [](EmbedRequest* r) { r->texts.push_back(kTooManyBytes); }, invalid,
       "texts[1]: 601 bytes, limit 600", kReasonTooLong, RejectReason::kTooLong},
      {"R15", [](EmbedRequest* r) { r->model = "../mini\n\""; }, absl::StatusCode::kNotFound,
       "model: not found", kReasonUnknownModel, RejectReason::kUnknownModel},
      {"R16 zero", [](EmbedRequest* r) { r->dimensions = 0; }, invalid, "dimensions: 0, allowed 1 to 4",
       kReasonInvalid, RejectReason::kInvalid},
      {"R16 above", [](EmbedRequest* r) { r->dimensions = 5; }, invalid, "dimensions: 5, allowed 1 to 4",
       kReasonInvalid, RejectReason::kInvalid},
      {"prompt", [](EmbedRequest* r) { r->prompt_name = "secret"; }, invalid,
       "prompt_name: unknown, the model has 1 prompts", kReasonInvalid, RejectReason::kInvalid},
      {"R24", [](EmbedRequest* r) { r->texts = {"a", kLong, kLong}; }, invalid,
       "texts[1]: more than 512 tokens, limit 512", kReasonTooLong, RejectReason::kTooLong},
      {"B4", [](EmbedRequest* r) { r->deadline = absl::ZeroDuration(); },
       absl::StatusCode::kDeadlineExceeded, "request: deadline passed before compute", kReasonDeadline,
       RejectReason::kDeadline},
  };
  for (const BadRequest& row : rows) {
    const double counted = metrics_->Rejected(row.counted);
    EmbedRequest request = Request({"good"});
    row.change(&request);
    const absl::Status status = StatusOf(std::move(request));
    EXPECT_EQ(status.code(), row.code) << row.row;
    EXPECT_EQ(std::string(status.message()), row.message) << row.row;
    EXPECT_LE(status.message().size(), 256u) << row.row;
    EXPECT_EQ(ReasonOf(status), row.reason) << row.row;
    EXPECT_EQ(metrics_->Rejected(row.counted), counted + 1) << row.row;
  }
  for (const SeenBatch& batch : model_->seen()) EXPECT_EQ(batch.num_texts(), 0u) << "computed";
  ExpectNothingHeld();
}

TEST_F(EmbedPipelineTest, R8TruncatesWhenAsked) {
  Start();
  EmbedRequest request = Request({std::string(511, 'x'), std::string(512, 'x'), std::string(513, 'x')});
  request.truncate = true;
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->num_tokens, ElementsAre(511, 512, 512));
  EXPECT_THAT(result->truncated, ElementsAre(false, false, true));
  EXPECT_THAT(metrics_->Render(), HasSubstr("octet_truncated_total{model=\"mini\"} 1"));
}

TEST_F(EmbedPipelineTest, TokenizerFaultsSayNothingOfTheText) {
  model_->on_tokenize = [](absl::string_view text) -> absl::Status {
    if (text == "throw") throw std::bad_alloc();
    return text == "fail" ? absl::InternalError("secret fail") : absl::OkStatus();
  };
  Start();
  EXPECT_EQ(StatusOf(Request({"ok", "fail"})), absl::InternalError("texts[1]: tokenizer failed"));
  EXPECT_EQ(StatusOf(Request({"throw"})), absl::InternalError("texts[0]: tokenizer failed"));
  EXPECT_TRUE(StatusOf(Request({"ok"})).ok());
}

// 64 calls that arrive while a batch is computed are one batch; nobody waits for a timer.
TEST_F(EmbedPipelineTest, CallsThatWaitBehindABatchShareTheNext) {
  Gate gate;
  GateOn(&gate);
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  for (int i = 0; i < 64; ++i) SubmitTexts({absl::StrCat("text ", i)});
  WaitForQueuedTexts(64);
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(GaugeValue("octet_queue_oldest_age_seconds"), 2);
  gate.Open();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  const auto seen = model_->seen();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].num_texts(), 64u);
  EXPECT_EQ(answers_.CountCode(absl::StatusCode::kOk), 65u);
  EXPECT_EQ(answers_.Get(1)->queue_time, absl::Seconds(2));
  ExpectNothingHeld();
}

TEST_F(EmbedPipelineTest, ADelayGathersCallsUntilItIsOver) {
  options_.max_batch_delay = absl::Seconds(30);  // of the fake clock
  Start();
  SubmitTexts({"a"});
  SubmitTexts({"b"});
  WaitForQueuedTexts(2);
  clock_.Advance(absl::Seconds(30));  // seen at the worker's next look around
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  EXPECT_EQ(model_->seen().size(), 1u);
}

TEST_F(EmbedPipelineTest, ModelsNeverShareABatch) {
  Gate gate;
  GateOn(&gate);
  const auto other = std::make_shared<FakeServable>();
  AddModel("mini", model_);
  AddModel("other", other);
  Start();
  EmbedRequest first = Request({"Gate"});
  first.model = "mini";
  Submit(std::move(first));
  gate.WaitForArrivals(1);
  for (int i = 0; i < 10; ++i) {
    EmbedRequest request = Request({i % 2 == 0 ? "mini" : "other"});
    request.model = i % 2 == 0 ? "mini" : "other";
    Submit(std::move(request));
  }
  WaitForQueuedTexts(10);
  gate.Open();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  EXPECT_THAT(FirstIds(model_->seen().back()), ElementsAre('m', 'm', 'm', 'm', 'm'));
  EXPECT_THAT(FirstIds(other->seen().back()), ElementsAre('o', 'o', 'o', 'o', 'o'));
}

// O2: a queue of N and N + 2 arrivals while one batch runs.
TEST_F(EmbedPipelineTest, O2ExactlyTheExcessIsRejected) {
  options_.max_queue_texts = 8;
  Gate gate;
  GateOn(&gate);
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  for (int i = 0; i < 10; ++i) SubmitTexts({"waiting"});
  while (answers_.CountCode(absl::StatusCode::kResourceExhausted) < 2) std::this_thread::yield();
  WaitForQueuedTexts(8);
  gate.Open();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  EXPECT_EQ(answers_.CountCode(absl::StatusCode::kOk), 9u);
  EXPECT_EQ(answers_.CountCode(absl::StatusCode::kResourceExhausted), 2u);
  EXPECT_EQ(metrics_->Rejected(RejectReason::kQueueFull), 2);
  ExpectNothingHeld();
}

TEST_F(EmbedPipelineTest, BytesAreRefusedAtOnceBeforeTokenizing) {
  options_.max_pending_bytes = 1;  // one call at a time, since one alone is always admitted
  options_.max_handed_bytes = 0;
  Gate gate;
  model_->on_tokenize = [&](absl::string_view) {
    gate.Pass();
    return absl::OkStatus();
  };
  Start();
  SubmitTexts({"first"});
  gate.WaitForArrivals(1);
  const size_t refused = SubmitTexts({"second"});
  ASSERT_TRUE(answers_.Has(refused));  // inside Submit
  const absl::Status status = answers_.Get(refused).status();
  EXPECT_EQ(status.message(), "queue: full");
  EXPECT_TRUE(RetryAfterOf(status));
  gate.Open();
  EXPECT_TRUE(answers_.Get(0).ok());
  EXPECT_TRUE(StatusOf(Request({"third"})).ok());
}

// B1 and B5, and again with the batch still running: nobody waits for it to learn that he is not wanted.
TEST_F(EmbedPipelineTest, B1B5UnwantedCallsInTheQueueAreAnsweredAndNeverComputed) {
  Gate gate;
  GateOn(&gate);
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  EmbedRequest leaving = Request({"cancelled"});
  leaving.cancelled = cancelled;
  Submit(std::move(leaving));
  EmbedRequest late = Request({"late"});
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

TEST_F(EmbedPipelineTest, UnwantedCallsAreNotTokenized) {
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
  EmbedRequest late = Request({"late"});
  late.deadline = clock_.Now() + absl::Seconds(1);
  Submit(std::move(late));
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(answers_.Get(1).status()));
  gate.Open();
  EXPECT_TRUE(answers_.Get(0).ok());
  EXPECT_EQ(tokenized, 1);
}

TEST_F(EmbedPipelineTest, R25NonFiniteOutputFailsItsCallOnly) {
  Gate gate;
  model_->on_embed = [&](const model::PackedBatch& batch, MatrixView<float> rows) {
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

TEST_F(EmbedPipelineTest, L12AThrowingWorkerAnswersItsBatchAndGoesOn) {
  model_->on_embed = [](const model::PackedBatch& batch, MatrixView<float>) -> absl::Status {
    if (batch.ids[0] == 't') throw std::bad_alloc();
    return absl::OkStatus();
  };
  Start();
  const absl::Status status = StatusOf(Request({"throw"}));
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_EQ(metrics_->worker_faults->Value(), 1);
  EXPECT_TRUE(StatusOf(Request({"ok"})).ok());
  EXPECT_TRUE(pipeline_->Health().live);
  ExpectNothingHeld();
}

TEST_F(EmbedPipelineTest, ATextThatTheModelRefusesDoesNotFailItsNeighbours) {
  Gate gate;
  model_->on_embed = [&](const model::PackedBatch& batch, MatrixView<float>) {
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
  EXPECT_THAT(answers_.Get(1)->embeddings, ElementsAre(4, 'l', 't', 1));
  EXPECT_TRUE(absl::IsInternal(answers_.Get(2).status()));
  EXPECT_THAT(answers_.Get(3)->embeddings, ElementsAre(5, 'r', 't', 1));
}

TEST_F(EmbedPipelineTest, L12AHungWorkerIsNotLiveAndSaysWhy) {
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

TEST_F(EmbedPipelineTest, AHungTokenizerIsNotLive) {
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

TEST_F(EmbedPipelineTest, L1DrainFinishesWhatIsAcceptedAndRefusesTheRest) {
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

TEST_F(EmbedPipelineTest, L3DrainCutsOffStuckCalls) {
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
TEST_F(EmbedPipelineTest, CutOffDoesNotWaitForATokenizer) {
  options_.max_handed_bytes = 0;
  Gate gate;
  model_->on_tokenize = [&](absl::string_view text) {
    gate.Pass();
    return text == "text" ? absl::OkStatus() : absl::InternalError("text was freed");
  };
  Start();
  auto text = std::make_unique<std::string>("text");
  EmbedRequest request;
  request.texts = {*text, *text};
  Submit(std::move(request));
  gate.WaitForArrivals(1);
  EXPECT_EQ(pipeline_->Drain(absl::ZeroDuration()), 1u);
  text.reset();
  gate.Open();
  pipeline_.reset();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
}

TEST_F(EmbedPipelineTest, DestructionAnswersWhatIsLeft) {
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

TEST_F(EmbedPipelineTest, C2RefusesBudgetsThatAModelDoesNotFit) {
  AddModel("mini", model_);
  options_.max_batch_tokens = 511;
  auto refused = EmbedPipeline::Create(options_, &repository_, metrics_.get(), &clock_);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("max_batch_tokens: 511, at least 512"));
  options_.max_batch_tokens = 1024;
  model_->arena_tokens = 1023;
  refused = EmbedPipeline::Create(options_, &repository_, metrics_.get(), &clock_);
  EXPECT_TRUE(absl::IsInvalidArgument(refused.status()));
  model_->arena_tokens = 1024;
  options_.max_queue_texts = 0;
  refused = EmbedPipeline::Create(options_, &repository_, metrics_.get(), &clock_);
  EXPECT_EQ(refused.status().message(), "max_queue_texts: 0, at least 1");
}

TEST_F(EmbedPipelineTest, WarmsUpInPowersOfTwoBeforeItIsReady) {
  options_.warm_up_tokens = 600;
  Start();
  std::vector<size_t> tokens;
  for (const SeenBatch& batch : model_->seen()) tokens.push_back(batch.ids.size());
  EXPECT_THAT(tokens, ElementsAre(1, 2, 4, 8, 16, 32, 64, 128, 256, 512));
}

TEST_F(EmbedPipelineTest, AFailingWarmUpFailsCreate) {
  AddModel("mini", model_);
  options_.warm_up_tokens = 8;
  model_->on_embed = [](const model::PackedBatch&, MatrixView<float>) {
    return absl::InternalError("broken");
  };
  const auto refused = EmbedPipeline::Create(options_, &repository_, metrics_.get(), &clock_);
  EXPECT_EQ(refused.status(), absl::InternalError("warm-up: broken"));
}

TEST_F(EmbedPipelineTest, AModelAddedLaterIsServed) {
  AddModel("mini", model_);
  Start();
  AddModel("later", std::make_shared<FakeServable>());
  EmbedRequest request = Request({"abc"});
  request.model = "later";
  EXPECT_EQ(answers_.Get(Submit(std::move(request)))->model, "later");
}

}  // namespace
}  // namespace octet::serving
