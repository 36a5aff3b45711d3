#include "server/rpc/cq_health.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/async_unary_call.h"
#include "server/rpc/cq_operation.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/status_map.h"

namespace octet::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// A watch takes a few KiB, and a client has no use for more than one a name.
constexpr size_t kMaxWatches = 4096;

absl::StatusOr<std::string> ParseName(const grpc::ByteBuffer& bytes) {
  const auto flat = Flatten(bytes);
  HealthCheckRequest request;
  if (!flat.ok() || !request.ParseFromArray(flat->begin(), static_cast<int>(flat->size())))
    return InvalidRequest("the message is not a grpc.health.v1.HealthCheckRequest");
  return request.service();
}

grpc::ByteBuffer ToBytes(HealthCheckResponse::ServingStatus status) {
  HealthCheckResponse response;
  response.set_status(status);
  return Serialize(response);
}

grpc::Status Stopping() { return ToGrpcStatus(absl::UnavailableError("the server stops")); }

}  // namespace

template <typename HealthCheckOrWatch>
void CqHealth::Post(grpc::ServerCompletionQueue* queue) {
  if (gate_->TryPost()) std::make_shared<HealthCheckOrWatch>(this, queue)->Post();
}

// What both kinds of calls have.
class HealthCall {
 protected:
  HealthCall(CqHealth* health, grpc::ServerCompletionQueue* queue) : health_(health), queue_(queue) {}
  ~HealthCall() = default;

  // No more operations will be started, whether a client came for it or not.
  void Ended() { health_->gate_->PostedEnded(); }

  CqHealth* const health_;
  grpc::ServerCompletionQueue* const queue_;
  grpc::ServerContext context_;
  grpc::ByteBuffer request_;
};

class HealthCheck final : public HealthCall, public std::enable_shared_from_this<HealthCheck> {
 public:
  HealthCheck(CqHealth* health, grpc::ServerCompletionQueue* queue) : HealthCall(health, queue), writer_(&context_) {}

  void Post() {
    health_->service()->RequestCheck(&context_, &request_, &writer_, queue_, queue_,
                                     received_.Start(shared_from_this()));
  }

 private:
  void OnReceived(bool ok) {
    if (!ok) return Ended();  // the server shuts down
    health_->Post<HealthCheck>(queue_);
    const absl::StatusOr<std::string> name = ParseName(request_);
    const auto status = name.ok() ? health_->StatusOf(*name) : HealthCheckResponse::UNKNOWN;
    void* const tag = finished_.Start(shared_from_this());
    if (!name.ok()) return writer_.FinishWithError(ToGrpcStatus(name.status()), tag);
    if (status == HealthCheckResponse::SERVICE_UNKNOWN)
      return writer_.FinishWithError({grpc::StatusCode::NOT_FOUND, "no such name"}, tag);
    writer_.Finish(ToBytes(status), grpc::Status::OK, tag);
  }

  void OnFinished(bool) { Ended(); }

  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> writer_;
  Operation<HealthCheck> received_{&HealthCheck::OnReceived};
  Operation<HealthCheck> finished_{&HealthCheck::OnFinished};
};

class HealthWatch final : public HealthCall, public std::enable_shared_from_this<HealthWatch> {
 public:
  HealthWatch(CqHealth* health, grpc::ServerCompletionQueue* queue) : HealthCall(health, queue), writer_(&context_) {}

  void Post() {
    context_.AsyncNotifyWhenDone(done_.Start(shared_from_this()));
    health_->service()->RequestWatch(&context_, &request_, &writer_, queue_, queue_,
                                     received_.Start(shared_from_this()));
  }

  // News may be overtaken by later ones, but never the last.
  void Tell(CqHealth::ServingStatus status) {
    MutexLock lock(&mu_);
    news_ = status;
    Advance();
  }

  // Whether it must not be kept any more. The end may be heard of before the beginning.
  bool IsGone() {
    MutexLock lock(&mu_);
    return is_gone_;
  }

  // After what is still to be told.
  void End(const grpc::Status& status) {
    MutexLock lock(&mu_);
    if (!end_) end_ = status;
    Advance();
  }

 private:
  void OnReceived(bool ok) {
    if (!ok) {  // the server shuts down; no call, so no end of one
      done_.Forget();
      return Ended();
    }
    health_->Post<HealthWatch>(queue_);
    absl::StatusOr<std::string> name = ParseName(request_);
    if (!name.ok()) return End(ToGrpcStatus(name.status()));
    name_ = *std::move(name);
    health_->Add(name_, shared_from_this());
  }

  void OnWritten(bool ok) {
    MutexLock lock(&mu_);
    is_writing_ = false;
    if (!ok) GiveUp();
    Advance();
  }

  void OnDone(bool) {
    {
      MutexLock lock(&mu_);
      is_gone_ = true;
      GiveUp();
      Advance();
    }
    health_->Remove(name_, this);
  }

  void OnFinished(bool) { Ended(); }

  // Nobody listens any more.
  void GiveUp() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    news_ = told_;
    if (!end_) end_ = grpc::Status::CANCELLED;
  }

  void Advance() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (is_writing_ || is_finished_) return;
    if (news_ != told_) {
      is_writing_ = true;
      told_ = news_;
      writer_.Write(ToBytes(*told_), written_.Start(shared_from_this()));
    } else if (end_) {
      is_finished_ = true;
      writer_.Finish(*end_, finished_.Start(shared_from_this()));
    }
  }

  grpc::ServerAsyncWriter<grpc::ByteBuffer> writer_;
  Operation<HealthWatch> received_{&HealthWatch::OnReceived};
  Operation<HealthWatch> written_{&HealthWatch::OnWritten};
  Operation<HealthWatch> finished_{&HealthWatch::OnFinished};
  Operation<HealthWatch> done_{&HealthWatch::OnDone};
  std::string name_;

  Mutex mu_;
  std::optional<CqHealth::ServingStatus> told_ ABSL_GUARDED_BY(mu_), news_ ABSL_GUARDED_BY(mu_);
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mu_);
  bool is_writing_ ABSL_GUARDED_BY(mu_) = false,
                   is_finished_ ABSL_GUARDED_BY(mu_) = false, is_gone_ ABSL_GUARDED_BY(mu_) = false;
};

void CqHealth::Serve(grpc::ServerCompletionQueue* queue) {
  Post<HealthCheck>(queue);
  Post<HealthWatch>(queue);
}

CqHealth::ServingStatus CqHealth::StatusOf(const std::string& name) {
  MutexLock lock(&mu_);
  return StatusOfLocked(name);
}

CqHealth::ServingStatus CqHealth::StatusOfLocked(const std::string& name) const {
  const auto it = serving_.find(name);
  if (it == serving_.end()) return HealthCheckResponse::SERVICE_UNKNOWN;
  return it->second ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void CqHealth::Set(const std::string& name, bool serving) {
  MutexLock lock(&mu_);
  serving_[name] = serving;
  const auto [begin, end] = watches_.equal_range(name);
  for (auto it = begin; it != end; ++it) it->second->Tell(StatusOfLocked(name));
}

void CqHealth::EndWatches() {
  MutexLock lock(&mu_);
  are_watches_ended_ = true;
  for (const auto& [name, watch] : watches_) watch->End(Stopping());
}

void CqHealth::Add(const std::string& name, std::shared_ptr<HealthWatch> watch) {
  MutexLock lock(&mu_);
  if (watches_.size() >= kMaxWatches) return watch->End(ToGrpcStatus(absl::ResourceExhaustedError("too many watches")));
  if (watch->IsGone()) return;
  watch->Tell(StatusOfLocked(name));
  if (are_watches_ended_) watch->End(Stopping());
  watches_.emplace(name, std::move(watch));
}

void CqHealth::Remove(const std::string& name, const HealthWatch* watch) {
  MutexLock lock(&mu_);
  const auto [begin, end] = watches_.equal_range(name);
  for (auto it = begin; it != end; ++it) {
    if (it->second.get() == watch) {
      watches_.erase(it);
      return;
    }
  }
}

}  // namespace octet::rpc
