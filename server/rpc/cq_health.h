// grpc.health.v1 of one server, on the queues and threads that serve its calls, so that an answer shows that they run.
// The service that gRPC 1.51 brings adds pollers, half as many as there are CPUs, which take part in all network work of
// the process; without them a server at full load uses 2 to 3 % less CPU time a token. Internal to the transport.
#ifndef OCTET_SERVER_RPC_CQ_HEALTH_H_
#define OCTET_SERVER_RPC_CQ_HEALTH_H_

#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/completion_queue.h"
#include "server/rpc/cq_calls.h"

namespace octet::rpc {

class HealthWatch;

// Thread-safe. Must live until the gate has none posted.
class CqHealth {
 public:
  using Service = grpc::health::v1::Health::WithRawMethod_Check<
      grpc::health::v1::Health::WithRawMethod_Watch<grpc::health::v1::Health::Service>>;
  using ServingStatus = grpc::health::v1::HealthCheckResponse::ServingStatus;

  explicit CqHealth(PostGate* gate) : gate_(gate) {}

  // To be registered with the server.
  Service* service() { return &service_; }
  // Answers calls from this queue from now on.
  void Serve(grpc::ServerCompletionQueue* queue);

  // The status of a name, unknown until set. Watches of the name are told.
  void Set(const std::string& name, bool serving);
  // Ends all watches, after their last news, and each that comes later after its first.
  void EndWatches();

 private:
  friend class HealthCall;
  friend class HealthCheck;
  friend class HealthWatch;

  // Waits for one more call of its kind, unless the gate is closed.
  template <typename HealthCheckOrWatch>
  void Post(grpc::ServerCompletionQueue* queue);
  // SERVICE_UNKNOWN for a name that was never set.
  ServingStatus StatusOf(const std::string& name);
  ServingStatus StatusOfLocked(const std::string& name) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells `watch` the status of `name` now and whenever it changes.
  void Add(const std::string& name, std::shared_ptr<HealthWatch> watch);
  void Remove(const std::string& name, const HealthWatch* watch);

  PostGate* const gate_;
  Service service_;

  Mutex mu_;  // before that of a watch
  std::map<std::string, bool> serving_ ABSL_GUARDED_BY(mu_);
  std::multimap<std::string, std::shared_ptr<HealthWatch>> watches_ ABSL_GUARDED_BY(mu_);
  bool are_watches_ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_CQ_HEALTH_H_
