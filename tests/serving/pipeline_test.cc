// What callers get: answers, refusals, batches, limits of the queue.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <new>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/serving/pipeline_harness.h"

namespace octet::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class PipelineTest : public PipelineHarness {};

TEST_F(PipelineTest, AnswersEveryTextOfACallInOrder) {
  Start();
  const auto result = answers_.Get(SubmitTexts({"abc", "", "zz"}));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->model, "mini");
  EXPECT_EQ(result->model_version, "0123456789ab");
  EXPECT_EQ(result->dimensions, 4u);
  EXPECT_THAT(result->num_tokens, ElementsAre(3, 1, 2));
  EXPECT_THAT(result->truncated, ElementsAre(false, false, false));
  EXPECT_THAT(result->outputs, ElementsAre(3, 'a', 'c', 1, 1, 0, 0, 1, 2, 'z', 'z', 1));
  ExpectNothingHeld();
}

// A request of token ids, which need no tokenizer.
Request IdRequest(const std::vector<std::vector<int32_t>>& rows) {
  Request request;
  for (const std::vector<int32_t>& ids : rows) {
    request.encodings.push_back({.ids = ids,
                                 .type_ids = std::vector<int32_t>(ids.size()),
                                 .offsets = {},
                                 .num_tokens_before_truncation = ids.size()});
  }
  request.texts_name = "input_ids";
  request.normalize = false;
  return request;
}

TEST_F(PipelineTest, TokenIdsSkipTheTokenizerAndShareBatchesWithTexts) {
  bool tokenized_ids = false;
  model_->on_tokenize = [&](absl::string_view text) {
    tokenized_ids |= text != "G" && text != "abc";
    return absl::OkStatus();
  };
  Gate gate;
  GateOn(&gate);
  Start();
  const size_t first = SubmitTexts({"G"});
  gate.WaitForArrivals(1);
  const size_t ids = Submit(IdRequest({{7, 8}, {9}}));
  const size_t texts = SubmitTexts({"abc"});
  WaitForQueuedTexts(3);
  gate.Open();
  const auto result = answers_.Get(ids);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->outputs, ElementsAre(2, 7, 8, 1, 1, 9, 9, 1));
  EXPECT_THAT(result->num_tokens, ElementsAre(2, 1));
  EXPECT_THAT(result->hidden_states, ElementsAre());
  EXPECT_TRUE(answers_.Get(first).ok() && answers_.Get(texts).ok());
  EXPECT_EQ(model_->seen().back().num_texts(), 3u);
  EXPECT_FALSE(tokenized_ids);
  ExpectNothingHeld();
}

TEST_F(PipelineTest, RefusesTokenIdsThatTheModelDoesNotHave) {
  model_->mutable_info().max_tokens = 3;
  Start();
  const auto message = [&](Request request) { return StatusOf(std::move(request)).ToString(); };
  EXPECT_THAT(message(IdRequest({{1}, {256}})), HasSubstr("input_ids[1]: token id 256, the vocabulary has 256"));
  EXPECT_THAT(message(IdRequest({{1}, {-1}})), HasSubstr("input_ids[1]: token id -1, the vocabulary has 256"));
  EXPECT_THAT(message(IdRequest({{1, 2, 3, 4}})), HasSubstr("input_ids[0]: 4 tokens, limit 3"));
  EXPECT_THAT(message(IdRequest({{1}, {}})), HasSubstr("input_ids[1]: no tokens, at least 1 is needed"));
  EXPECT_THAT(message(IdRequest(std::vector<std::vector<int32_t>>(129, {1}))), HasSubstr("129 items, limit 128"));
  Request types = IdRequest({{1, 2}});
  types.encodings[0].type_ids = {0, 2};
  EXPECT_THAT(message(std::move(types)), HasSubstr("input_ids[0]: token type id 2, the model has 2"));
  EXPECT_TRUE(model_->seen().empty());
}

TEST_F(PipelineTest, AnswersWithHiddenStatesOfAllBatchesInOrder) {
  options_.max_batch_texts = 2;
  Start();
  Request request = MakeRequest({"ab", "c", "de"});
  request.with_hidden_states = true;
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok()) << result.status();
  std::vector<float> expected;
  for (const char c : std::string("abcde")) expected.insert(expected.end(), 4, static_cast<float>(c));
  EXPECT_EQ(result->hidden_states, expected);
  EXPECT_EQ(result->outputs.size(), 12u);
}

TEST_F(PipelineTest, HiddenStatesThatAreNotFiniteAreAnError) {
  model_->hidden_state_of_id = [](int32_t id) { return id == 'x' ? std::numeric_limits<float>::quiet_NaN() : 1; };
  Start();
  for (const bool wanted : {true, false}) {
    Request request = MakeRequest({"ax"});
    request.with_hidden_states = wanted;
    const auto result = answers_.Get(Submit(std::move(request)));
    EXPECT_EQ(absl::IsInternal(result.status()), wanted) << result.status();
  }
}

TEST_F(PipelineTest, CutsToDimensionsBeforeNormalizing) {
  Start();
  Request request = MakeRequest({std::string(3, '\4')});  // 3, 4, 4, 1
  request.dimensions = 2;
  request.normalize = true;
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->dimensions, 2u);
  EXPECT_THAT(result->outputs, ElementsAre(::testing::FloatEq(0.6f), ::testing::FloatEq(0.8f)));
}

TEST_F(PipelineTest, NormalizesAsTheModelSaysWhenTheCallerDoesNot) {
  model_->mutable_info().normalize = true;
  Start();
  Request request = MakeRequest({"abc"});
  request.normalize.reset();
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok());
  double norm = 0;
  for (const float value : result->outputs) norm += value * value;
  EXPECT_NEAR(norm, 1, 1e-6);
}

TEST_F(PipelineTest, ManyTextsOfOneCallComeBackInOrder) {
  options_.num_tokenizer_threads = 3;
  options_.max_batch_tokens = 512;
  options_.max_batch_texts = 7;
  Start();
  std::vector<std::string> texts;
  for (int i = 0; i < 128; ++i) texts.push_back(std::string(1 + i, static_cast<char>('!' + i % 90)));
  const auto result = answers_.Get(SubmitTexts(texts));
  ASSERT_TRUE(result.ok());
  for (int i = 0; i < 128; ++i) {
    EXPECT_EQ(result->outputs[i * 4], 1 + i);
    EXPECT_EQ(result->outputs[i * 4 + 1], '!' + i % 90);
  }
  for (const SeenBatch& batch : model_->seen()) EXPECT_LE(batch.num_texts(), 7u);
}

struct BadRequest {
  const char* row;
  std::function<void(Request*)> change;
  absl::StatusCode code;
  std::string message, reason;
  RejectReason counted;
};

// Reliability table 2.1, the rows that are decided here. Texts are {"good"} before the change.
TEST_F(PipelineTest, RefusesBadRequestsWithTheTablesWords) {
  options_.max_texts_per_call = 3;
  options_.max_text_bytes = 600;
  Start();
  static const std::string kLong(513, 'x'), kTooManyBytes(601, 'x');
  const auto invalid = absl::StatusCode::kInvalidArgument;
  const BadRequest rows[] = {
      {"R4", [](Request* r) { r->texts.clear(); }, invalid, "texts: empty", kReasonInvalid, RejectReason::kInvalid},
      {"R5", [](Request* r) { r->texts.resize(2097142); }, invalid, "texts: 2097142 items, limit 3", kReasonInvalid,
       RejectReason::kInvalid},
      {"R6", [](Request* r) { r->texts.resize(4); }, invalid, "texts: 4 items, limit 3", kReasonInvalid,
       RejectReason::kInvalid},
      {"R8", [](Request* r) { r->texts[0] = kLong; }, invalid, "texts[0]: more than 512 tokens, limit 512",
       kReasonTooLong, RejectReason::kTooLong},
      {"R14", [](Request* r) { r->texts.push_back(kTooManyBytes); }, invalid, "texts[1]: 601 bytes, limit 600",
       kReasonTooLong, RejectReason::kTooLong},
      {"R15", [](Request* r) { r->model = "../mini\n\""; }, absl::StatusCode::kNotFound, "model: not found",
       kReasonUnknownModel, RejectReason::kUnknownModel},
      {"R16 zero", [](Request* r) { r->dimensions = 0; }, invalid, "dimensions: 0, allowed 1 to 4", kReasonInvalid,
       RejectReason::kInvalid},
      {"R16 above", [](Request* r) { r->dimensions = 5; }, invalid, "dimensions: 5, allowed 1 to 4", kReasonInvalid,
       RejectReason::kInvalid},
      {"task", [](Request* r) { r->task = model::Task::kClassification; }, absl::StatusCode::kFailedPrecondition,
       "model: its task is embedding, this method's is classification", kReasonWrongTask, RejectReason::kWrongTask},
      {"pair too long",
       [](Request* r) {
         r->texts[0] = {"a", kTooManyBytes};
       },
       invalid, "texts[0]: 601 bytes, limit 600", kReasonTooLong, RejectReason::kTooLong},
      {"name", [](Request* r) { r->texts_name = "items", r->texts.resize(4); }, invalid, "items: 4 items, limit 3",
       kReasonInvalid, RejectReason::kInvalid},
      {"prompt", [](Request* r) { r->prompt_name = "secret"; }, invalid,
       "prompt_name: unknown, the model has 1 prompts", kReasonInvalid, RejectReason::kInvalid},
      {"R24",
       [](Request* r) {
         r->texts = {"a", kLong, kLong};
       },
       invalid, "texts[1]: more than 512 tokens, limit 512", kReasonTooLong, RejectReason::kTooLong},
      {"B4", [](Request* r) { r->deadline = absl::ZeroDuration(); }, absl::StatusCode::kDeadlineExceeded,
       "request: deadline passed before compute", kReasonDeadline, RejectReason::kDeadline},
  };
  for (const BadRequest& row : rows) {
    const double counted = metrics_->Rejected(row.counted);
    Request request = MakeRequest({"good"});
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

TEST_F(PipelineTest, AClassificationModelAnswersWholeRows) {
  model_->SetLabels({"a", "b", "c", "d"});
  Start();
  Request request = MakeRequest({"abc", "z"});
  request.task = model::Task::kClassification;
  request.num_labels = 4;
  request.normalize = true;  // of embeddings only
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->dimensions, 0u);
  EXPECT_EQ(result->served->name, "mini");
  EXPECT_THAT(result->output(0), ElementsAre(3, 'a', 'c', 1));
  EXPECT_THAT(result->output(1), ElementsAre(1, 'z', 'z', 1));

  Request reranker = MakeRequest({"abc"});
  reranker.task = model::Task::kClassification;
  reranker.num_labels = 1;
  const absl::Status refused = StatusOf(std::move(reranker));
  EXPECT_EQ(std::string(refused.message()), "model: it has 4 labels, this method needs 1");
  EXPECT_EQ(ReasonOf(refused), kReasonWrongTask);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
}

TEST_F(PipelineTest, PairsReachTheModelWithTheirTypes) {
  model_->mutable_info().task = model::Task::kClassification;
  Start();
  Request request;
  request.task = model::Task::kClassification;
  request.texts = {{"ab", "c"}, "de", {"", "f"}};
  ASSERT_TRUE(StatusOf(std::move(request)).ok());
  ASSERT_EQ(model_->seen().size(), 1u);
  EXPECT_THAT(model_->seen()[0].ids, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  EXPECT_THAT(model_->seen()[0].type_ids, ElementsAre(0, 0, 1, 0, 0, 1));
  ExpectNothingHeld();
}

TEST_F(PipelineTest, OutputsMayBeOfEachToken) {
  model_->mutable_info().task = model::Task::kClassification;
  model_->values_per_token = 2;
  Start();
  Request request = MakeRequest({"abc", "z", "xy"});
  request.task = model::Task::kClassification;
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output(0), ElementsAre('a', 'a', 'b', 'b', 'c', 'c'));
  EXPECT_THAT(result->output(1), ElementsAre('z', 'z'));
  EXPECT_THAT(result->output(2), ElementsAre('x', 'x', 'y', 'y'));
}

TEST_F(PipelineTest, R8TruncatesWhenAsked) {
  Start();
  Request request = MakeRequest({std::string(511, 'x'), std::string(512, 'x'), std::string(513, 'x')});
  request.truncate = true;
  const auto result = answers_.Get(Submit(std::move(request)));
  ASSERT_TRUE(result.ok());
  EXPECT_THAT(result->num_tokens, ElementsAre(511, 512, 512));
  EXPECT_THAT(result->truncated, ElementsAre(false, false, true));
  EXPECT_THAT(metrics_->Render(), HasSubstr("octet_truncated_total{model=\"mini\"} 1"));
}

TEST_F(PipelineTest, TokenizerFaultsSayNothingOfTheText) {
  model_->on_tokenize = [](absl::string_view text) -> absl::Status {
    if (text == "throw") throw std::bad_alloc();
    return text == "fail" ? absl::InternalError("secret fail") : absl::OkStatus();
  };
  Start();
  EXPECT_EQ(StatusOf(MakeRequest({"ok", "fail"})), absl::InternalError("texts[1]: tokenizer failed"));
  EXPECT_EQ(StatusOf(MakeRequest({"throw"})), absl::InternalError("texts[0]: tokenizer failed"));
  EXPECT_TRUE(StatusOf(MakeRequest({"ok"})).ok());
}

// 64 calls that arrive while a batch is computed are one batch; nobody waits for a timer.
TEST_F(PipelineTest, CallsThatWaitBehindABatchShareTheNext) {
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

TEST_F(PipelineTest, ADelayGathersCallsUntilItIsOver) {
  options_.max_batch_delay = absl::Seconds(30);  // of the fake clock
  Start();
  SubmitTexts({"a"});
  SubmitTexts({"b"});
  WaitForQueuedTexts(2);
  clock_.Advance(absl::Seconds(30));  // seen at the worker's next look around
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  EXPECT_EQ(model_->seen().size(), 1u);
}

TEST_F(PipelineTest, ModelsNeverShareABatch) {
  Gate gate;
  GateOn(&gate);
  const auto other = std::make_shared<FakeServable>();
  AddModel("mini", model_);
  AddModel("other", other);
  Start();
  Request first = MakeRequest({"Gate"});
  first.model = "mini";
  Submit(std::move(first));
  gate.WaitForArrivals(1);
  for (int i = 0; i < 10; ++i) {
    Request request = MakeRequest({i % 2 == 0 ? "mini" : "other"});
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
TEST_F(PipelineTest, O2ExactlyTheExcessIsRejected) {
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

TEST_F(PipelineTest, BytesAreRefusedAtOnceBeforeTokenizing) {
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
  EXPECT_TRUE(StatusOf(MakeRequest({"third"})).ok());
}

// Which thread tokenized which text, by its first letter.
class TokenizingThreads {
 public:
  void Note(absl::string_view text) {
    MutexLock lock(&mu_);
    threads_[text[0]] = std::this_thread::get_id();
    changed_.SignalAll();
  }
  // Waits for it.
  std::thread::id Of(char letter) {
    MutexLock lock(&mu_);
    while (threads_.count(letter) == 0) changed_.Wait(&mu_);
    return threads_[letter];
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::map<char, std::thread::id> threads_ ABSL_GUARDED_BY(mu_);
};

TEST_F(PipelineTest, ShortCallsBesideABusyWorkerAreTokenizedByTheirCallerWhileTheQueueIsShort) {
  options_.max_queue_tokens = 4096;
  model_ = std::make_shared<FakeServable>(1024);
  TokenizingThreads threads;
  model_->on_tokenize = [&](absl::string_view text) {
    threads.Note(text);
    return absl::OkStatus();
  };
  Gate gate;
  GateOn(&gate);
  Start();
  SubmitTexts({"Gate"});
  gate.WaitForArrivals(1);
  const std::thread::id here = std::this_thread::get_id();
  SubmitTexts({"short"});
  EXPECT_EQ(threads.Of('s'), here);
  SubmitTexts({std::string(513, 'l')});
  EXPECT_NE(threads.Of('l'), here);
  WaitForQueuedTexts(2);
  SubmitTexts({std::string(512, 'm')});
  EXPECT_EQ(threads.Of('m'), here);
  SubmitTexts({"queue is a quarter full"});  // 5 + 513 + 512 tokens wait
  EXPECT_NE(threads.Of('q'), here);
  gate.Open();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  EXPECT_EQ(answers_.CountCode(absl::StatusCode::kOk), 5u);
  ExpectNothingHeld();
}

TEST_F(PipelineTest, ACallerDoesNotWaitForAnotherThatTokenizes) {
  TokenizingThreads threads;
  Gate worker, tokenizing;
  model_->on_tokenize = [&](absl::string_view text) {
    if (text[0] == 'B') tokenizing.Pass();
    threads.Note(text);
    return absl::OkStatus();
  };
  GateOn(&worker);
  Start();
  SubmitTexts({"Gate"});
  worker.WaitForArrivals(1);
  std::thread caller([this, request = MakeRequest({"Blocks"}), done = answers_.Next()]() mutable {
    pipeline_->Submit(std::move(request), std::move(done));
  });
  ++num_submitted_;
  tokenizing.WaitForArrivals(1);
  SubmitTexts({"free"});  // on a tokenizer
  const std::thread::id free = threads.Of('f');
  EXPECT_NE(free, std::this_thread::get_id());
  EXPECT_NE(free, caller.get_id());
  tokenizing.Open();
  EXPECT_EQ(threads.Of('B'), caller.get_id());
  caller.join();
  worker.Open();
  EXPECT_EQ(answers_.WaitForAllCountDoubles(), 0u);
  EXPECT_EQ(answers_.CountCode(absl::StatusCode::kOk), 3u);
}

}  // namespace
}  // namespace octet::serving
