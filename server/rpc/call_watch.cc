#include "server/rpc/call_watch.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "serving/request.h"

namespace octet::rpc {
namespace {

// The one value of a header; nothing when there is none or more than one, which the standard calls invalid.
std::optional<absl::string_view> OneHeader(const grpc::ServerContext& context, const char* name) {
  const auto [first, last] = context.client_metadata().equal_range(name);
  if (first == last || std::next(first) != last) return std::nullopt;
  return absl::string_view(first->second.data(), first->second.size());
}

std::optional<TraceContext> CallerTrace(const grpc::ServerContext& context) {
  const auto header = OneHeader(context, "traceparent");
  return header ? ParseTraceparent(*header) : std::nullopt;
}

// Several headers are one list.
std::string TraceState(const grpc::ServerContext& context) {
  std::string list;
  const auto [first, last] = context.client_metadata().equal_range("tracestate");
  for (auto it = first; it != last; ++it) {
    absl::StrAppend(&list, list.empty() ? "" : ",", absl::string_view(it->second.data(), it->second.size()));
  }
  return IsTracestate(list) ? list : "";
}

}  // namespace

void CallWatch::Begin(CallKind kind, const grpc::ServerContext& context, MonotonicTime begin) {
  kind_ = kind;
  begin_ = begin;
  const bool wants_phases =
      std::any_of(watchers_.observers.begin(), watchers_.observers.end(),
                  [](const CallObserver* observer) { return observer != nullptr && observer->WantsPhases(); });
  if (watchers_.tracer != nullptr) {
    const auto parent = CallerTrace(context);
    span_ = watchers_.tracer->Begin(parent, parent ? TraceState(context) : "", begin);
  }
  if (is_traced() || wants_phases) trace_ = std::make_shared<serving::CallTrace>(span_.context);
}

void CallWatch::End(const CallEnd& end, const grpc::ServerContext& context) {
  if (is_traced()) Export(span_, /*message=*/0, *trace_, end);
  TellObservers({kind_, begin_, span_.context, trace_.get()}, end, context);
}

MessageWatch CallWatch::BeginMessage(uint64_t number, MonotonicTime begin) const {
  MessageWatch message;
  message.number = number;
  message.begin = begin;
  if (is_traced()) message.span = tracing::Tracer::BeginChild(span_, begin);
  if (trace_ != nullptr) message.trace = std::make_shared<serving::CallTrace>(message.span.context);
  return message;
}

void CallWatch::EndMessage(const MessageWatch& message, const CallEnd& end, const grpc::ServerContext& context) const {
  if (is_traced()) Export(message.span, message.number, *message.trace, end);
  const TraceContext& own = is_traced() ? message.span.context : span_.context;
  TellObservers({CallKind::kMessage, message.begin, own, message.trace.get()}, end, context);
}

void CallWatch::Export(const tracing::OpenSpan& span, uint64_t message, const serving::CallTrace& trace,
                       const CallEnd& end) const {
  watchers_.tracer->End({.span = span,
                         .method = end.method,
                         .model = std::string(end.model),
                         .code = end.code,
                         .reason = end.status.ok() ? "" : serving::ReasonOf(end.status),
                         .message = message,
                         .end = end.end,
                         .phases = trace.phases()});
}

void CallWatch::TellObservers(const Watched& watched, const CallEnd& end, const grpc::ServerContext& context) const {
  const absl::Duration duration = end.end - watched.begin;
  for (CallObserver* const observer : watchers_.observers) {
    if (observer == nullptr || !observer->Wants(watched.kind, end.code, duration)) continue;
    CallOutcome outcome = {.kind = watched.kind,
                           .method = end.method,
                           .model = end.model,
                           .code = end.code,
                           .status = end.status,
                           .duration = duration,
                           .trace = watchers_.tracer != nullptr ? watched.span : CallerTrace(context)};
    if (watched.trace != nullptr) outcome.phases = watched.trace->phases();
    observer->OnCallEnd(outcome);
  }
}

}  // namespace octet::rpc
