#include "server/cli/call_log.h"

#include <utility>
#include <vector>

#include "server/cli/log.h"
#include "serving/request.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

using spdlog::level::level_enum;

constexpr char kSlow[] = "";  // the window of slow calls; no code is empty

bool IsFailure(absl::string_view code) { return !code.empty() && code != "OK"; }

// Faults of the server; trouble that an operator can do something about; and what clients do.
level_enum LevelOf(absl::string_view code) {
  if (code == "INTERNAL" || code == "UNKNOWN" || code == "DATA_LOSS") return spdlog::level::err;
  if (code == "RESOURCE_EXHAUSTED" || code == "UNAVAILABLE" || code == "DEADLINE_EXCEEDED") return spdlog::level::warn;
  return spdlog::level::debug;
}

bool IsFailureToLog(rpc::CallKind kind, absl::string_view code) {
  // A message's error ends its stream, which is logged.
  return kind != rpc::CallKind::kMessage && IsFailure(code) && spdlog::should_log(LevelOf(code));
}

LogField Milliseconds(absl::string_view key, absl::Duration duration) {
  return {key, absl::ToDoubleMilliseconds(duration)};
}

void AddPhases(const serving::CallPhases& phases, std::vector<LogField>* fields) {
  if (phases.num_texts > 0) fields->push_back({"texts", static_cast<int64_t>(phases.num_texts)});
  if (phases.num_tokens > 0) fields->push_back({"tokens", static_cast<int64_t>(phases.num_tokens)});
  if (!phases.tokenize) return;
  fields->push_back(Milliseconds("tokenize_ms", phases.tokenize->end - phases.tokenize->begin));
  if (phases.batches.empty()) return;
  fields->push_back(Milliseconds("queue_ms", phases.batches.front().begin - phases.tokenize->end));
  absl::Duration compute;
  for (const serving::BatchPhase& batch : phases.batches) compute += batch.compute_end - batch.compute_begin;
  fields->push_back(Milliseconds("compute_ms", compute));
  fields->push_back({"batches", static_cast<int64_t>(phases.num_batches)});
}

}  // namespace

bool CallLog::Wants(rpc::CallKind kind, absl::string_view code, absl::Duration duration) {
  if (IsFailureToLog(kind, code)) return limit_.Admit(code);
  return IsSlow(kind, duration) && spdlog::should_log(spdlog::level::warn) && limit_.Admit(kSlow);
}

bool CallLog::IsSlow(rpc::CallKind kind, absl::Duration duration) const {
  return kind != rpc::CallKind::kStream && WantsPhases() && duration >= options_.slow_call;
}

void CallLog::OnCallEnd(const rpc::CallOutcome& outcome) {
  const bool is_failure = IsFailureToLog(outcome.kind, outcome.code);
  const level_enum level = is_failure ? LevelOf(outcome.code) : spdlog::level::warn;
  std::vector<LogField> fields = {{"event", std::string(is_failure ? "call_failed" : "slow_call")},
                                  {"method", std::string(outcome.method)}};
  if (!outcome.model.empty()) fields.push_back({"model", std::string(outcome.model)});
  if (!outcome.code.empty()) fields.push_back({"code", std::string(outcome.code)});
  if (!outcome.status.ok()) {
    if (std::string reason = serving::ReasonOf(outcome.status); !reason.empty()) {
      fields.push_back({"reason", std::move(reason)});
    }
    // Of these codes all words are octet's own; other messages may repeat a field of the request.
    if (LevelOf(outcome.code) != spdlog::level::debug)
      fields.push_back({"error", std::string(outcome.status.message())});
  }
  fields.push_back(Milliseconds("duration_ms", outcome.duration));
  if (outcome.phases) AddPhases(*outcome.phases, &fields);
  if (outcome.trace) {
    fields.push_back({"trace_id", TraceIdHex(outcome.trace->trace_id)});
    fields.push_back({"span_id", SpanIdHex(outcome.trace->span_id)});
  }
  if (const uint64_t left_out = limit_.TakeLeftOut(is_failure ? outcome.code : kSlow); left_out > 0) {
    fields.push_back({"left_out", static_cast<int64_t>(left_out)});
  }
  LogEvent(level, is_failure ? "call failed" : "slow call", fields);
}

}  // namespace octet::cli
