#include "server/cli/serve_run.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/cli/build_info.h"
#include "server/cli/call_log.h"
#include "server/cli/command.h"
#include "server/cli/duration_buckets.h"
#include "server/cli/exit_code.h"
#include "server/cli/serve_advice.h"
#include "server/cli/serve_management.h"
#include "server/cli/serve_metrics.h"
#include "server/cli/serve_ready.h"
#include "server/cli/serve_tracing.h"
#include "server/rpc/server.h"
#include "serving/metrics.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

rpc::RpcOptions RpcOptionsOf(const Config& config, const ServePlan& plan, const Credentials& credentials) {
  const auto& grpc = config.grpc();
  rpc::RpcOptions options;
  options.address = grpc.address();
  options.certificates = credentials.certificates.get();
  options.tokens = credentials.tokens.get();
  options.max_receive_message_bytes = grpc.max_receive_message_bytes();
  options.max_send_message_bytes = grpc.max_send_message_bytes();
  options.max_metadata_bytes = grpc.max_metadata_bytes();
  options.memory_quota_bytes = plan.budget.connection_bytes;
  options.max_concurrent_streams = grpc.max_concurrent_streams();
  options.posted_calls = grpc.posted_calls();
  options.completion_queues = grpc.completion_queues();
  options.max_client_stream_messages = config.limits().max_texts_per_call();
  options.max_client_stream_bytes = grpc.max_receive_message_bytes();
  options.max_deadline = absl::Milliseconds(grpc.max_deadline_ms());
  options.keepalive_time = absl::Milliseconds(grpc.keepalive_time_ms());
  options.keepalive_timeout = absl::Milliseconds(grpc.keepalive_timeout_ms());
  options.min_ping_interval = absl::Milliseconds(grpc.min_ping_interval_ms());
  options.max_ping_strikes = grpc.max_ping_strikes();
  options.max_connection_idle = absl::Milliseconds(grpc.max_connection_idle_ms());
  options.max_connection_age = absl::Milliseconds(grpc.max_connection_age_ms());
  options.max_connection_age_grace = absl::Milliseconds(grpc.max_connection_age_grace_ms());
  options.handshake_timeout = absl::Milliseconds(grpc.handshake_timeout_ms());
  options.reflection = grpc.reflection();
  options.server_version = GetBuildInfo().version;
  return options;
}

std::string WithPort(const std::string& address, int port) {
  return absl::StrCat(address.substr(0, address.rfind(':')), ":", port);
}

// Not ready, then (after the lame duck time) no new calls, then the calls in work, then the connections.
void Drain(const Config& config, serving::Pipeline* pipeline, rpc::GrpcServer* server) {
  server->SetServing(false);
  if (config.shutdown().lame_duck_ms() > 0) {
    // A second signal ends the process, so this sleep is never in anyone's way.
    absl::SleepFor(absl::Milliseconds(config.shutdown().lame_duck_ms()));
  }
  const absl::Duration timeout = absl::Milliseconds(config.shutdown().drain_timeout_ms());
  const size_t num_cut_off = pipeline->Drain(timeout);
  server->Shutdown(timeout);
  if (num_cut_off > 0) {
    spdlog::warn("drained; {} calls cut off after {} ms", num_cut_off, config.shutdown().drain_timeout_ms());
  } else {
    spdlog::info("drained; no call cut off");
  }
}

// SIGHUP does nothing before and after.
class ReloadOnHangup {
 public:
  ReloadOnHangup(SignalWatcher* signals, CredentialWatcher* watcher) : signals_(signals) {
    signals->OnReload([watcher] { watcher->LookNow(); });
  }
  ~ReloadOnHangup() { signals_->OnReload(nullptr); }
  ReloadOnHangup(const ReloadOnHangup&) = delete;
  ReloadOnHangup& operator=(const ReloadOnHangup&) = delete;

 private:
  SignalWatcher* const signals_;
};

}  // namespace

int RunServer(const Config& config, const ServePlan& plan, const ContainerLimits& limits, Credentials* credentials,
              SignalWatcher* signals) {
  const BuildInfo build = GetBuildInfo();
  serving::Metrics metrics({.methods = rpc::MethodNames(),
                            .version = build.version,
                            .commit = build.commit,
                            .isa = std::string(IsaName(plan.isa)),
                            .num_threads = plan.num_threads,
                            .duration_buckets = *ParseDurationBuckets(config.metrics().duration_buckets()),
                            .container_limits = limits});
  serving::ModelRepository repository(config.default_model());
  for (const PlannedModel& model : plan.models) metrics.ExpectModel(model.name);
  // Before the models are loaded, so that operators can watch that as well.
  ServeMetrics metrics_port(&metrics);
  BoundAddresses addresses;
  if (!config.metrics().address().empty()) {
    if (const absl::Status status = metrics_port.Start(config.metrics().address()); !status.ok()) {
      return Fail(status, kExitConfig);
    }
    addresses.metrics = WithPort(config.metrics().address(), metrics_port.port());
  }
  if (config.advice().mode() == "measure") LogMeasuredAdvice(config, plan);
  const Refusal refusal = LoadModels(config, plan, limits, &repository);
  for (const std::string& line : refusal.lines) PrintError(line);
  if (refusal.exit_code != 0) return refusal.exit_code;
  if (config.advice().mode() == "cached") LogCachedAdvice(config, plan, repository);
  CallLog call_log({.slow_call = absl::Milliseconds(config.log().slow_call_ms()),
                    .max_lines_per_second = config.log().max_call_lines_per_second()},
                   &SteadyClock::Get());
  ServeTracing tracing(plan.tracing, &metrics);
  auto pipeline =
      serving::Pipeline::Create(PipelineOptionsOf(config, plan), &repository, &metrics, &SteadyClock::Get());
  if (!pipeline.ok()) return Fail(pipeline.status(), kExitConfig);
  CredentialWatcher watcher(config, credentials, &metrics);
  const ReloadOnHangup reload_on_hangup(signals, &watcher);
  rpc::RpcOptions rpc_options = RpcOptionsOf(config, plan, *credentials);
  rpc_options.watchers = {.tracer = tracing.tracer(), .observers = {&call_log, metrics_port.errors()}};
  auto server = rpc::GrpcServer::Create(rpc_options, pipeline->get(), &repository, &metrics, &SteadyClock::Get());
  if (!server.ok()) return Fail(server.status(), kExitConfig);  // cannot bind
  metrics_port.Watch(pipeline->get(), server->get());
  const auto unwatch = absl::MakeCleanup([&metrics_port] { metrics_port.Unwatch(); });
  const auto management = StartManagement(config,
                                          {.credentials = credentials,
                                           .watcher = &watcher,
                                           .signals = signals,
                                           .server = server->get(),
                                           .repository = &repository},
                                          &metrics);
  if (!management.ok()) return Fail(management.status(), kExitConfig);
  addresses.grpc = (*server)->addresses();
  if (*management != nullptr) addresses.management = (*management)->addresses();
  signals->SetReady();
  (*server)->SetServing(true);
  PrintReady(config, plan, addresses);
  signals->WaitForStop();
  Drain(config, pipeline->get(), server->get());
  tracing.Flush();
  return kExitOk;
}

}  // namespace octet::cli
