#include "server/tracing/span_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace octet::tracing {
namespace {

using serving::SpanResult;
using ::testing::ElementsAre;

// A collector that does as it is told.
class FakeCollector {
 public:
  // What the next exports get; OK once all are used.
  void Answer(ExportResult result) {
    MutexLock lock(&mu_);
    answers_.push_back(std::move(result));
  }
  void Hang(bool hangs) {
    MutexLock lock(&mu_);
    hangs_ = hangs;
    changed_.SignalAll();
  }
  ExportResult Export(std::span<const Span> spans) {
    MutexLock lock(&mu_);
    batches_.emplace_back();
    for (const Span& span : spans) batches_.back().emplace_back(span.name);
    changed_.SignalAll();
    while (hangs_ && !is_cancelled_) changed_.Wait(&mu_);
    if (is_cancelled_) return {.status = absl::CancelledError("cancelled")};
    if (answers_.empty()) return {};
    ExportResult result = answers_.front();
    answers_.pop_front();
    return result;
  }
  void Cancel() {
    MutexLock lock(&mu_);
    is_cancelled_ = true;
    changed_.SignalAll();
  }
  void WaitForExports(size_t count) {
    MutexLock lock(&mu_);
    while (batches_.size() < count) changed_.Wait(&mu_);
  }
  std::vector<std::vector<std::string>> batches() {
    MutexLock lock(&mu_);
    return batches_;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::deque<ExportResult> answers_ ABSL_GUARDED_BY(mu_);
  std::vector<std::vector<std::string>> batches_ ABSL_GUARDED_BY(mu_);
  bool hangs_ ABSL_GUARDED_BY(mu_) = false;
  bool is_cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

class FakeExporter final : public SpanExporter {
 public:
  explicit FakeExporter(FakeCollector* collector) : collector_(collector) {}
  ExportResult Export(std::span<const Span> spans, absl::Duration) override { return collector_->Export(spans); }
  void Cancel() override { collector_->Cancel(); }

 private:
  FakeCollector* const collector_;
};

class SpanProcessorTest : public ::testing::Test {
 protected:
  void Start(const ProcessorOptions& options) {
    processor_ = std::make_unique<SpanProcessor>(options, std::make_unique<FakeExporter>(&collector_), &metrics_,
                                                 "http://collector:4317");
  }
  // A call with one span.
  static CallRecord Record(absl::string_view method) {
    CallRecord record;
    record.span.context = {{1, 2}, 3, true};
    record.method = method;
    return record;
  }
  void ExpectCounts(double exported, double dropped, double failed) {
    EXPECT_EQ(metrics_.Spans(SpanResult::kExported), exported);
    EXPECT_EQ(metrics_.Spans(SpanResult::kDropped), dropped);
    EXPECT_EQ(metrics_.Spans(SpanResult::kFailed), failed);
  }

  FakeCollector collector_;
  serving::Metrics metrics_{{}};
  std::unique_ptr<SpanProcessor> processor_;
};

// Far longer than a test: what is exported did not wait for it.
constexpr absl::Duration kNever = absl::Hours(1);

TEST_F(SpanProcessorTest, AFullBatchLeavesAtOnceTheRestAtTheEnd) {
  Start({.max_queue_spans = 8, .max_batch_spans = 2, .export_interval = kNever});
  for (const char* name : {"a", "b"}) processor_->Push(Record(name));
  collector_.WaitForExports(1);
  processor_->Push(Record("c"));
  processor_->Stop(kNever);
  EXPECT_THAT(collector_.batches(), ElementsAre(ElementsAre("a", "b"), ElementsAre("c")));
  ExpectCounts(3, 0, 0);
  processor_->Push(Record("late"));
  ExpectCounts(3, 1, 0);
}

TEST_F(SpanProcessorTest, ASmallBatchLeavesAfterTheInterval) {
  Start({.export_interval = absl::Milliseconds(1)});
  processor_->Push(Record("a"));
  collector_.WaitForExports(1);
  EXPECT_THAT(collector_.batches()[0], ElementsAre("a"));
}

// The bound on memory, and the promise to the serving path: Push returns although nobody takes anything.
TEST_F(SpanProcessorTest, AHangingCollectorCostsSpansNotTime) {
  collector_.Hang(true);
  Start({.max_queue_spans = 10, .max_batch_spans = 1, .export_interval = kNever});
  processor_->Push(Record("taken"));
  collector_.WaitForExports(1);
  for (int i = 0; i < 100; ++i) processor_->Push(Record("queued"));
  ExpectCounts(0, 90, 0);
  collector_.Hang(false);
  processor_->Stop(kNever);
  ExpectCounts(11, 90, 0);
}

TEST_F(SpanProcessorTest, TheQueueCountsTheSpansOfACall) {
  collector_.Hang(true);
  Start({.max_queue_spans = 10, .max_batch_spans = 1, .export_interval = kNever});
  processor_->Push(Record("taken"));
  collector_.WaitForExports(1);
  CallRecord record = Record("call");
  record.phases.tokenize.emplace();  // with queue: 3 spans
  for (int i = 0; i < 5; ++i) processor_->Push(record);
  ExpectCounts(0, 6, 0);  // 9 of 10 places are taken
  collector_.Hang(false);
}

TEST_F(SpanProcessorTest, TheEndIsBoundedWhenTheCollectorHangs) {
  collector_.Hang(true);
  Start({.max_queue_spans = 10, .max_batch_spans = 1, .export_interval = kNever});
  processor_->Push(Record("taken"));
  collector_.WaitForExports(1);
  for (int i = 0; i < 3; ++i) processor_->Push(Record("queued"));
  processor_->Stop(absl::Milliseconds(1));  // returns
  ExpectCounts(0, 3, 1);
}

TEST_F(SpanProcessorTest, TriesAgainWhenThatCanHelp) {
  collector_.Answer({.status = absl::UnavailableError("down"), .may_try_again = true});
  collector_.Answer({.status = absl::UnavailableError("down"), .may_try_again = true});
  Start({.max_batch_spans = 1, .export_interval = kNever, .retry_delay = absl::Milliseconds(1)});
  processor_->Push(Record("a"));
  collector_.WaitForExports(3);
  processor_->Stop(kNever);
  ExpectCounts(1, 0, 0);
}

TEST_F(SpanProcessorTest, GivesUpAfterThreeAttemptsOrOne) {
  for (int i = 0; i < 3; ++i) collector_.Answer({.status = absl::UnavailableError("down"), .may_try_again = true});
  collector_.Answer({.status = absl::UnauthenticatedError("no")});
  Start({.max_batch_spans = 1, .export_interval = kNever, .retry_delay = absl::Milliseconds(1)});
  processor_->Push(Record("a"));
  collector_.WaitForExports(3);
  processor_->Push(Record("b"));
  collector_.WaitForExports(4);
  processor_->Push(Record("c"));
  collector_.WaitForExports(5);
  processor_->Stop(kNever);
  EXPECT_THAT(collector_.batches(),
              ElementsAre(ElementsAre("a"), ElementsAre("a"), ElementsAre("a"), ElementsAre("b"), ElementsAre("c")));
  ExpectCounts(1, 0, 2);
}

TEST_F(SpanProcessorTest, RefusedSpansAreFailed) {
  collector_.Answer({.num_rejected = 1});
  Start({.max_batch_spans = 2, .export_interval = kNever});
  for (const char* name : {"a", "b"}) processor_->Push(Record(name));
  collector_.WaitForExports(1);
  processor_->Stop(kNever);
  ExpectCounts(1, 0, 1);
}

TEST_F(SpanProcessorTest, ManyThreadsLoseNoCount) {
  Start({.max_queue_spans = 64, .max_batch_spans = 8, .export_interval = absl::Milliseconds(1)});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 2000; ++i) processor_->Push(Record("a"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  processor_->Stop(kNever);
  EXPECT_EQ(metrics_.Spans(SpanResult::kExported) + metrics_.Spans(SpanResult::kDropped), 8000);
  EXPECT_EQ(metrics_.Spans(SpanResult::kFailed), 0);
  size_t num_exported = 0;
  for (const auto& batch : collector_.batches()) num_exported += batch.size();
  EXPECT_EQ(metrics_.Spans(SpanResult::kExported), num_exported);
}

}  // namespace
}  // namespace octet::tracing
