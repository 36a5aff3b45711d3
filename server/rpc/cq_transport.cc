#include "server/rpc/cq_transport.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "grpc/impl/codegen/compression_types.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/resource_quota.h"
#include "server/rpc/cq_calls.h"
#include "server/rpc/cq_health.h"
#include "server/rpc/cq_operation.h"
#include "server/rpc/port_credentials.h"
#include "server/rpc/socket_file.h"
#include "server/security/listen_address.h"

namespace octet::rpc {
namespace {

int Ms(absl::Duration duration) { return static_cast<int>(absl::ToInt64Milliseconds(duration)); }

// Server reflection on or off for one server. Linking the library already asks for it in every server of the
// process, with some versions; so a plugin that is there is kept or taken out, not added twice.
class Reflection final : public grpc::ServerBuilderOption {
 public:
  explicit Reflection(bool enabled) : enabled_(enabled) {}

  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    auto plugin = std::make_unique<grpc::reflection::ProtoServerReflectionPlugin>();
    std::erase_if(*plugins, [&](const auto& other) { return other->name() == plugin->name(); });
    if (enabled_) plugins->push_back(std::move(plugin));
  }

 private:
  const bool enabled_;
};

void SetArguments(const RpcOptions& options, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(static_cast<int>(options.max_receive_message_bytes));
  builder->SetMaxSendMessageSize(static_cast<int>(options.max_send_message_bytes));
  // A compressed message may hold a thousand times its size: refused before it is inflated.
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder->SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder->SetDefaultCompressionAlgorithm(GRPC_COMPRESS_NONE);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // The only bound on buffered messages: the size limit above applies after a message is buffered.
  // gRPC passes it by what comes in before it has noticed: 28 MiB as a rule, 97 MiB seen once on a machine that was
  // short of CPU time. Hence half.
  builder->SetResourceQuota(grpc::ResourceQuota("octet").Resize(options.memory_quota_bytes / 2));
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, static_cast<int>(options.max_metadata_bytes));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(options.max_concurrent_streams));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Ms(options.keepalive_time));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Ms(options.keepalive_timeout));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, Ms(options.min_ping_interval));
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, static_cast<int>(options.max_ping_strikes));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Ms(options.max_connection_idle));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Ms(options.max_connection_age));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Ms(options.max_connection_age_grace));
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Ms(options.handshake_timeout));
  // Two servers on one port must not silently share its traffic.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_CHANNELZ, 0);
  builder->SetOption(std::make_unique<Reflection>(options.reflection));
}

class CqTransport final : public Transport {
 public:
  CqTransport(std::vector<Method> methods, serving::Metrics* metrics, const Clock* clock)
      : metrics_(metrics), clock_(clock) {
    // From the last to the first. A shutdown of gRPC 1.51 takes back what is posted method by method, as registered,
    // and only then refuses calls: one that comes for a method after its turn waits until it is cancelled at the end of
    // the drain. For the last method registered, the first in the list, that time is as short as can be: a call must come while
    // its own posts are taken back. Health comes before the last service.
    std::vector<std::pair<std::string, std::vector<Method>>> by_service;
    for (auto method = methods.rbegin(); method != methods.rend(); ++method) {
      std::string service = method->name.substr(0, method->name.find('/'));
      if (by_service.empty() || by_service.back().first != service)
        by_service.emplace_back(std::move(service), std::vector<Method>());
      by_service.back().second.push_back(std::move(*method));
    }
    for (auto& [name, own_methods] : by_service) {
      services_.push_back(std::make_unique<RawService>(std::move(own_methods)));
    }
  }

  ~CqTransport() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Start(const RpcOptions& options) {
    grpc::ServerBuilder builder;
    SetArguments(options, &builder);
    RETURN_IF_ERROR(Listen(options, &builder));
    for (const auto& service : services_) {
      if (service == services_.back()) builder.RegisterService(health_.service());
      builder.RegisterService(service.get());
    }
    for (size_t i = 0; i < options.completion_queues; ++i) queues_.push_back(builder.AddCompletionQueue());
    {
      const GroupOnlyUmask for_sockets;
      server_ = builder.BuildAndStart();
    }
    const auto unbound = std::find_if(listeners_.begin(), listeners_.end(), [](const auto& l) { return l.port == 0; });
    if (server_ == nullptr || unbound != listeners_.end()) {
      for (const auto& queue : queues_) ShutDownQueue(queue.get());
      server_ = nullptr;
      return absl::FailedPreconditionError(
          absl::StrCat("cannot bind ", unbound != listeners_.end() ? unbound->address.text : options.address,
                       ": the address is in use or cannot be resolved"));
    }
    MakeSources(options);
    for (const auto& source : sources_) PostCalls(source.get());
    for (const auto& queue : queues_) health_.Serve(queue.get());
    for (const auto& queue : queues_) threads_.emplace_back([q = queue.get()] { Serve(q); });
    return absl::OkStatus();
  }

  int port() const override {
    for (const Listener& listener : listeners_) {
      if (!listener.address.is_unix()) return listener.port;
    }
    return 0;
  }

  std::vector<std::string> addresses() const override {
    std::vector<std::string> bound;
    for (const auto& [address, credentials, port] : listeners_) {
      bound.push_back(address.is_unix() ? address.text : absl::StrCat(address.host, ":", port));
    }
    return bound;
  }

  void SetHealth(const std::string& service, bool serving) override { health_.Set(service, serving); }

  void Shutdown(absl::Duration timeout) override {
    MutexLock lock(&shutdown_mu_);
    if (server_ == nullptr || is_shut_down_) return;
    is_shut_down_ = true;
    health_.EndWatches();
    gate_.Close();
    // Wall-clock time is what the library takes; the wait is short, and a jump only ends it early or late.
    const absl::Duration bounded = std::min(timeout, absl::Hours(24));  // more may not fit when added
    server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(bounded));
    gate_.WaitUntilNonePosted();
    for (const auto& queue : queues_) queue->Shutdown();
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  struct Listener {
    security::ListenAddress address;
    std::shared_ptr<grpc::ServerCredentials> credentials;  // asked for certificates as long as it listens
    int port = 0;                                          // once bound; of a UNIX socket not 0
  };

  absl::Status Listen(const RpcOptions& options, grpc::ServerBuilder* builder) {
    auto addresses = security::ParseListenAddresses(options.address);
    if (!addresses.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot bind ", options.address, ": ", addresses.status().message()));
    }
    listeners_.reserve(addresses->size());  // the builder keeps pointers to the ports
    for (security::ListenAddress& address : *addresses) {
      if (address.is_unix()) RETURN_IF_ERROR(CheckSocketFile(address.socket_path));
      auto credentials =
          MakePortCredentials(address.is_unix() ? nullptr : options.certificates, options.tokens, metrics_);
      Listener& listener = listeners_.emplace_back(Listener{std::move(address), std::move(credentials)});
      builder->AddListeningPort(listener.address.text, listener.credentials, &listener.port);
    }
    return absl::OkStatus();
  }

  void MakeSources(const RpcOptions& options) {
    for (const auto& service : services_) {
      for (size_t method_idx = 0; method_idx < service->methods().size(); ++method_idx) {
        for (const auto& queue : queues_) {
          sources_.push_back(
              std::make_unique<CallSource>(CallSource{.service = service.get(),
                                                      .method_idx = static_cast<int>(method_idx),
                                                      .queue = queue.get(),
                                                      .metrics = metrics_,
                                                      .clock = clock_,
                                                      .max_deadline = options.max_deadline,
                                                      .max_stream_messages = options.max_stream_messages,
                                                      .max_client_stream_messages = options.max_client_stream_messages,
                                                      .max_client_stream_bytes = options.max_client_stream_bytes,
                                                      .max_calls = options.posted_calls,
                                                      .gate = &gate_,
                                                      .watchers = options.watchers}));
        }
      }
    }
  }

  static void Serve(grpc::ServerCompletionQueue* queue) {
    void* tag;
    bool ok;
    while (queue->Next(&tag, &ok)) static_cast<Event*>(tag)->Happen(ok);
  }

  // A queue must be drained before it goes, also one that never served.
  static void ShutDownQueue(grpc::ServerCompletionQueue* queue) {
    queue->Shutdown();
    Serve(queue);
  }

  serving::Metrics* const metrics_;
  const Clock* const clock_;
  std::vector<std::unique_ptr<RawService>> services_;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;
  std::vector<std::unique_ptr<CallSource>> sources_;
  PostGate gate_;
  CqHealth health_{&gate_};
  std::vector<Listener> listeners_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::thread> threads_;

  Mutex shutdown_mu_;
  bool is_shut_down_ ABSL_GUARDED_BY(shutdown_mu_) = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> StartCqTransport(const RpcOptions& options, std::vector<Method> methods,
                                                            serving::Metrics* metrics, const Clock* clock) {
  auto transport = std::make_unique<CqTransport>(std::move(methods), metrics, clock);
  if (absl::Status status = transport->Start(options); !status.ok()) return status;
  return transport;
}

}  // namespace octet::rpc
