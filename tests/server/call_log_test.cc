#include "server/cli/call_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "server/cli/log.h"
#include "serving/request.h"
#include "spdlog/logger.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

using rpc::CallKind;
using ::testing::ElementsAre;

class ManualClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now; }
  MonotonicTime now = absl::Seconds(100);
};

// The log's lines as they would be written, kept.
class CallLogTest : public ::testing::Test {
 protected:
  CallLogTest() {
    const auto sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(stream_);
    sink->set_formatter(MakeLogFormatter(/*json=*/false));
    spdlog::drop_all();
    spdlog::register_logger(std::make_shared<spdlog::logger>(kEventLogger, sink));
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("octet", sink));
    spdlog::set_level(spdlog::level::info);
  }
  ~CallLogTest() override { spdlog::drop_all(); }

  static rpc::CallOutcome Outcome(absl::string_view code, const absl::Status& status) {
    return {.kind = CallKind::kCall,
            .method = "octet.v1.TextEncoder/Embed",
            .model = "mini",
            .code = code,
            .status = status,
            .duration = absl::Microseconds(1500),
            .trace = TraceContext{{0x4bf92f3577b34da6, 0xa3ce929d0e0e4736}, 0x00f067aa0ba902b7, true}};
  }
  // Tells the log of a call, as the transport does.
  void End(CallLog* log, const rpc::CallOutcome& outcome) {
    if (log->Wants(outcome.kind, outcome.code, outcome.duration)) log->OnCallEnd(outcome);
  }
  // What lines say behind their time.
  std::vector<std::string> Lines() {
    std::vector<std::string> lines = absl::StrSplit(stream_.str(), '\n', absl::SkipEmpty());
    for (std::string& line : lines) line = line.substr(line.find(' ') + 1);
    stream_.str("");
    return lines;
  }

  std::ostringstream stream_;
  ManualClock clock_;
};

TEST_F(CallLogTest, AFailureOfTheServerHasItsWordsAndTrace) {
  CallLog log({}, &clock_);
  End(&log, Outcome("INTERNAL", absl::InternalError("worker: fault while computing this batch")));
  EXPECT_THAT(Lines(), ElementsAre("error call failed event=call_failed method=octet.v1.TextEncoder/Embed model=mini "
                                   "code=INTERNAL error=\"worker: fault while computing this batch\" "
                                   "duration_ms=1.500 trace_id=4bf92f3577b34da6a3ce929d0e0e4736 "
                                   "span_id=00f067aa0ba902b7"));
}

TEST_F(CallLogTest, WhatClientsDoWrongIsForDebugAndWithoutWords) {
  CallLog log({}, &clock_);
  const auto status =
      serving::WithReason(absl::InvalidArgumentError("prompt_name: \"secret\""), serving::kReasonInvalid);
  End(&log, Outcome("INVALID_ARGUMENT", status));
  End(&log, Outcome("OK", absl::OkStatus()));
  EXPECT_THAT(Lines(), ElementsAre());
  spdlog::set_level(spdlog::level::debug);
  End(&log, Outcome("INVALID_ARGUMENT", status));
  EXPECT_THAT(Lines(), ElementsAre(::testing::AllOf(::testing::StartsWith("debug call failed"),
                                                    ::testing::HasSubstr("reason=INVALID "),
                                                    ::testing::Not(::testing::HasSubstr("secret")))));
}

TEST_F(CallLogTest, LinesOfACodeAreBoundedAndWhatIsLeftOutIsCounted) {
  CallLog log({.slow_call = absl::ZeroDuration(), .max_lines_per_second = 2}, &clock_);
  const auto busy = Outcome("RESOURCE_EXHAUSTED", absl::ResourceExhaustedError("queue: full"));
  for (int i = 0; i < 10; ++i) End(&log, busy);
  End(&log, Outcome("INTERNAL", absl::InternalError("x")));  // has its own bound
  EXPECT_EQ(Lines().size(), 3u);
  clock_.now += absl::Milliseconds(999);
  End(&log, busy);
  EXPECT_EQ(Lines().size(), 0u);
  clock_.now += absl::Milliseconds(1);
  End(&log, busy);
  End(&log, busy);
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], ::testing::EndsWith(" left_out=9"));
  EXPECT_THAT(lines[1], ::testing::Not(::testing::HasSubstr("left_out")));
}

TEST_F(CallLogTest, SlowCallsSayWhereTheTimeWent) {
  CallLog log({.slow_call = absl::Milliseconds(1)}, &clock_);
  EXPECT_TRUE(log.WantsPhases());
  rpc::CallOutcome slow = Outcome("OK", absl::OkStatus());
  serving::CallPhases phases = {.num_texts = 2, .num_tokens = 9};
  phases.tokenize = serving::TokenizePhase{.begin = absl::Microseconds(10), .end = absl::Microseconds(110)};
  phases.batches.push_back({.begin = absl::Microseconds(210),
                            .compute_begin = absl::Microseconds(220),
                            .compute_end = absl::Microseconds(1220),
                            .end = absl::Microseconds(1230)});
  phases.num_batches = 1;
  slow.phases = phases;
  End(&log, slow);
  EXPECT_THAT(Lines(), ElementsAre(::testing::AllOf(
                           ::testing::StartsWith("warn slow call event=slow_call "),
                           ::testing::HasSubstr(" code=OK duration_ms=1.500 texts=2 tokens=9 tokenize_ms=0.100 "
                                                "queue_ms=0.100 compute_ms=1.000 batches=1 trace_id="))));
  slow.duration = absl::Microseconds(999);
  End(&log, slow);
  slow.duration = absl::Hours(1);
  slow.kind = CallKind::kStream;  // as long as its client likes
  End(&log, slow);
  EXPECT_THAT(Lines(), ElementsAre());
  slow.kind = CallKind::kMessage;
  slow.code = "";
  End(&log, slow);
  EXPECT_EQ(Lines().size(), 1u);
}

TEST(LogEventTest, JsonHasFieldsAsMembersOfTheirType) {
  const std::string fragment =
      FormatEvent(true, "a \"b\"", {{"event", std::string("x\ny\xff")}, {"texts", int64_t{3}}, {"duration_ms", 1.25}});
  const auto json = nlohmann::json::parse("{" + fragment + "}");
  EXPECT_EQ(json, nlohmann::json::parse(R"({"message":"a \"b\"","event":"x\ny\uFFFD","texts":3,"duration_ms":1.25})"));
  EXPECT_EQ(FormatEvent(false, "m", {{"a", std::string("")}, {"b", std::string("x=1 y")}}), "m a=\"\" b=\"x=1 y\"");
}

// A line longer than what is written at once would be cut in the middle of its JSON.
TEST(LogEventTest, LongMessagesStayWholeLines) {
  for (const std::string& text : {std::string(100000, 'x'), std::string(5000, '\x01'), std::string(3000, '\xff')}) {
    spdlog::memory_buf_t line;
    MakeLogFormatter(true)->format(spdlog::details::log_msg("octet", spdlog::level::warn, text), line);
    EXPECT_LT(line.size(), 4096u);
    EXPECT_TRUE(nlohmann::json::accept(std::string(line.data(), line.size())));
  }
}

// Only the event logger's lines have fields: what looks like them in a message stays a message.
TEST(LogEventTest, AMessageCannotForgeFields) {
  spdlog::memory_buf_t line;
  const std::string text = "\",\"event\":\"forged";
  MakeLogFormatter(true)->format(spdlog::details::log_msg("octet", spdlog::level::warn, text), line);
  const auto json = nlohmann::json::parse(std::string(line.data(), line.size()));
  EXPECT_EQ(json["message"], text);
  EXPECT_FALSE(json.contains("event"));
}

}  // namespace
}  // namespace octet::cli
