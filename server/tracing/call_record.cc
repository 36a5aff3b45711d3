#include "server/tracing/call_record.h"

#include <algorithm>
#include <iterator>

namespace octet::tracing {
namespace {

constexpr size_t kSpansPerBatch = 2;

// The codes that are the server's failure rather than its client's (semantic conventions for gRPC, server spans).
bool IsServerError(absl::string_view code) {
  static constexpr absl::string_view kCodes[] = {"UNKNOWN",  "DEADLINE_EXCEEDED", "UNIMPLEMENTED",
                                                 "INTERNAL", "UNAVAILABLE",       "DATA_LOSS"};
  return std::find(std::begin(kCodes), std::end(kCodes), code) != std::end(kCodes);
}

int64_t Int(size_t value) { return static_cast<int64_t>(value); }

class SpanMaker {
 public:
  SpanMaker(const CallRecord& record, std::vector<Span>* spans) : record_(record), spans_(spans) {}

  void AddCall(const ServerAddress& address) {
    const OpenSpan& open = record_.span;
    const bool is_message = record_.message > 0;
    Span span = Make(is_message ? absl::string_view("message") : record_.method, open.begin, record_.end);
    span.context = open.context;
    span.parent_span_id = open.parent_span_id;
    span.is_parent_remote = open.is_parent_remote;
    span.kind = is_message ? SpanKind::kInternal : SpanKind::kServer;
    span.is_error = IsServerError(record_.code);
    auto& attributes = span.attributes;
    if (is_message) {
      attributes.push_back({"octet.message", Int(record_.message)});
    } else {
      attributes.push_back({"rpc.system.name", "grpc"});
      attributes.push_back({"rpc.method", record_.method});
      if (!address.host.empty()) attributes.push_back({"server.address", address.host});
      if (address.port != 0) attributes.push_back({"server.port", int64_t{address.port}});
    }
    if (!record_.code.empty()) {
      attributes.push_back({"rpc.response.status_code", record_.code});
      if (span.is_error) attributes.push_back({"error.type", record_.code});
    }
    if (!record_.reason.empty()) attributes.push_back({"octet.reason", record_.reason});
    if (!record_.model.empty()) attributes.push_back({"octet.model", record_.model});
    if (record_.phases.num_texts > 0) attributes.push_back({"octet.texts", Int(record_.phases.num_texts)});
    if (record_.phases.num_tokens > 0) attributes.push_back({"octet.tokens", Int(record_.phases.num_tokens)});
    if (record_.phases.num_batches > 0) attributes.push_back({"octet.batches", Int(record_.phases.num_batches)});
    spans_->push_back(std::move(span));
  }

  void AddPhases() {
    const serving::CallPhases& phases = record_.phases;
    if (!phases.tokenize) return;
    Span& tokenize = AddChild("tokenize", phases.tokenize->begin, phases.tokenize->end);
    tokenize.attributes.push_back({"octet.texts", Int(phases.num_texts)});
    if (phases.num_tokens > 0) tokenize.attributes.push_back({"octet.tokens", Int(phases.num_tokens)});
    if (phases.tokenize->failed) return;  // it never came to the queue
    AddChild("queue", phases.tokenize->end, phases.batches.empty() ? record_.end : phases.batches.front().begin);
    for (const serving::BatchPhase& batch : phases.batches) AddBatch(batch);
  }

 private:
  void AddBatch(const serving::BatchPhase& phase) {
    Span& batch = AddChild("batch", phase.begin, phase.end);
    batch.attributes.push_back({"octet.batch.calls", Int(phase.num_calls)});
    batch.attributes.push_back({"octet.batch.texts", Int(phase.num_texts)});
    batch.attributes.push_back({"octet.batch.tokens", Int(phase.num_tokens)});
    batch.links = *phase.members;
    batch.num_dropped_links = phase.num_members - phase.members->size();
    Span& compute = AddChild("compute", phase.compute_begin, phase.compute_end);
    compute.attributes.push_back({"octet.batch.texts", Int(phase.num_texts)});
    compute.attributes.push_back({"octet.batch.tokens", Int(phase.num_tokens)});
  }

  Span& AddChild(absl::string_view name, MonotonicTime begin, MonotonicTime end) {
    Span span = Make(name, begin, end);
    span.context = {record_.span.context.trace_id, NewSpanId(), /*sampled=*/true};
    span.parent_span_id = record_.span.context.span_id;
    spans_->push_back(std::move(span));
    return spans_->back();
  }

  Span Make(absl::string_view name, MonotonicTime begin, MonotonicTime end) const {
    Span span;
    span.name = name;
    span.trace_state = record_.span.trace_state;
    span.start = record_.span.start + (begin - record_.span.begin);
    span.end = record_.span.start + (std::max(begin, end) - record_.span.begin);
    return span;
  }

  const CallRecord& record_;
  std::vector<Span>* const spans_;
};

}  // namespace

size_t NumSpans(const CallRecord& record) {
  const serving::CallPhases& phases = record.phases;
  if (!phases.tokenize) return 1;
  return phases.tokenize->failed ? 2 : 3 + kSpansPerBatch * phases.batches.size();
}

void AppendSpans(const CallRecord& record, const ServerAddress& address, std::vector<Span>* spans) {
  SpanMaker maker(record, spans);
  maker.AddCall(address);
  maker.AddPhases();
}

}  // namespace octet::tracing
