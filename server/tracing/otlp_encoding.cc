#include "server/tracing/otlp_encoding.h"

#include <cstdint>

#include "absl/time/time.h"

namespace octet::tracing {
namespace {

namespace common = opentelemetry::proto::common::v1;
namespace trace = opentelemetry::proto::trace::v1;

constexpr uint32_t kSampledFlag = 1, kIsRemoteKnownFlag = 1 << 8, kIsRemoteFlag = 1 << 9;

// The wire has identifiers with the highest byte first.
void PutBigEndian(uint64_t value, std::string* bytes) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes->push_back(static_cast<char>(value >> shift & 0xff));
}

void SetTraceId(const TraceId& id, std::string* bytes) {
  bytes->clear();
  bytes->reserve(16);
  PutBigEndian(id.high, bytes);
  PutBigEndian(id.low, bytes);
}

void SetSpanId(uint64_t id, std::string* bytes) {
  bytes->clear();
  PutBigEndian(id, bytes);
}

void EncodeAttribute(const Attribute& attribute, common::KeyValue* encoded) {
  encoded->set_key(attribute.key.data(), attribute.key.size());
  if (const auto* number = std::get_if<int64_t>(&attribute.value)) {
    encoded->mutable_value()->set_int_value(*number);
  } else {
    const auto text = std::get<absl::string_view>(attribute.value);
    encoded->mutable_value()->set_string_value(text.data(), text.size());
  }
}

void EncodeSpan(const Span& span, trace::Span* encoded) {
  SetTraceId(span.context.trace_id, encoded->mutable_trace_id());
  SetSpanId(span.context.span_id, encoded->mutable_span_id());
  encoded->set_trace_state(span.trace_state.data(), span.trace_state.size());
  if (span.parent_span_id != 0) SetSpanId(span.parent_span_id, encoded->mutable_parent_span_id());
  encoded->set_name(span.name.data(), span.name.size());
  encoded->set_kind(span.kind == SpanKind::kServer ? trace::Span::SPAN_KIND_SERVER : trace::Span::SPAN_KIND_INTERNAL);
  encoded->set_start_time_unix_nano(static_cast<uint64_t>(absl::ToUnixNanos(span.start)));
  encoded->set_end_time_unix_nano(static_cast<uint64_t>(absl::ToUnixNanos(span.end)));
  for (const Attribute& attribute : span.attributes) EncodeAttribute(attribute, encoded->add_attributes());
  for (const TraceContext& member : span.links) {
    trace::Span::Link* const link = encoded->add_links();
    SetTraceId(member.trace_id, link->mutable_trace_id());
    SetSpanId(member.span_id, link->mutable_span_id());
    link->set_flags(kSampledFlag | kIsRemoteKnownFlag);
  }
  encoded->set_dropped_links_count(static_cast<uint32_t>(span.num_dropped_links));
  if (span.is_error) encoded->mutable_status()->set_code(trace::Status::STATUS_CODE_ERROR);
  encoded->set_flags(kSampledFlag | kIsRemoteKnownFlag | (span.is_parent_remote ? kIsRemoteFlag : 0));
}

}  // namespace

void EncodeSpans(const ResourceAttributes& resource, const std::string& version, std::span<const Span> spans,
                 opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest* request) {
  trace::ResourceSpans* const resource_spans = request->add_resource_spans();
  for (const auto& [key, value] : resource) {
    EncodeAttribute({.key = key, .value = absl::string_view(value)},
                    resource_spans->mutable_resource()->add_attributes());
  }
  trace::ScopeSpans* const scope_spans = resource_spans->add_scope_spans();
  scope_spans->mutable_scope()->set_name("octet");
  scope_spans->mutable_scope()->set_version(version);
  scope_spans->mutable_spans()->Reserve(static_cast<int>(spans.size()));
  for (const Span& span : spans) EncodeSpan(span, scope_spans->add_spans());
}

}  // namespace octet::tracing
