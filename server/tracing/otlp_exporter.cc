#include "server/tracing/otlp_exporter.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "base/mutex.h"
#include "google/protobuf/arena.h"
#include "grpcpp/grpcpp.h"
#include "opentelemetry/proto/collector/trace/v1/trace_service.grpc.pb.h"

namespace octet::tracing {
namespace {

namespace otlp = opentelemetry::proto::collector::trace::v1;

// A collector that is back is found within so long; gRPC alone would let up to two minutes pass.
constexpr int kMaxReconnectMs = 5000;

// The codes that OTLP calls retryable. RESOURCE_EXHAUSTED is so only with a time to wait, which octet does not read.
bool MayTryAgain(grpc::StatusCode code) {
  static constexpr grpc::StatusCode kCodes[] = {grpc::StatusCode::CANCELLED,   grpc::StatusCode::DEADLINE_EXCEEDED,
                                                grpc::StatusCode::ABORTED,     grpc::StatusCode::OUT_OF_RANGE,
                                                grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::DATA_LOSS};
  return std::find(std::begin(kCodes), std::end(kCodes), code) != std::end(kCodes);
}

std::shared_ptr<grpc::ChannelCredentials> CredentialsOf(const OtlpOptions& options) {
  if (!options.use_tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions ssl;
  ssl.pem_root_certs = options.ca_certificates;
  return grpc::SslCredentials(ssl);
}

std::shared_ptr<grpc::Channel> ChannelOf(const OtlpOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  return grpc::CreateCustomChannel(options.target, CredentialsOf(options), arguments);
}

class OtlpExporter final : public SpanExporter {
 public:
  explicit OtlpExporter(OtlpOptions options)
      : options_(std::move(options)), stub_(otlp::TraceService::NewStub(ChannelOf(options_))) {}

  ExportResult Export(std::span<const Span> spans, absl::Duration timeout) override {
    google::protobuf::Arena arena;
    auto* const request = google::protobuf::Arena::CreateMessage<otlp::ExportTraceServiceRequest>(&arena);
    EncodeSpans(options_.resource, options_.version, spans, request);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
    for (const auto& [name, value] : options_.headers) context.AddMetadata(name, value);
    if (!SetCurrent(&context)) return {.status = absl::CancelledError("the server stops")};
    otlp::ExportTraceServiceResponse response;
    const grpc::Status status = stub_->Export(&context, *request, &response);
    SetCurrent(nullptr);
    if (!status.ok()) {
      // Both libraries number the canonical codes alike.
      return {.status = absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message()),
              .may_try_again = MayTryAgain(status.error_code())};
    }
    return {.num_rejected = static_cast<size_t>(std::max<int64_t>(0, response.partial_success().rejected_spans()))};
  }

  void Cancel() override {
    MutexLock lock(&mu_);
    is_cancelled_ = true;
    if (current_ != nullptr) current_->TryCancel();
  }

 private:
  // False once cancelled.
  bool SetCurrent(grpc::ClientContext* context) {
    MutexLock lock(&mu_);
    current_ = context;
    return !is_cancelled_;
  }

  const OtlpOptions options_;
  const std::unique_ptr<otlp::TraceService::Stub> stub_;
  Mutex mu_;
  grpc::ClientContext* current_ ABSL_GUARDED_BY(mu_) = nullptr;  // of the export under way
  bool is_cancelled_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

std::unique_ptr<SpanExporter> MakeOtlpExporter(OtlpOptions options) {
  return std::make_unique<OtlpExporter>(std::move(options));
}

}  // namespace octet::tracing
