#include "server/cli/serve_run.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/release_memory.h"
#include "server/cli/advise/advice_cache.h"
#include "server/cli/advise/startup_advice.h"
#include "server/cli/build_info.h"
#include "server/cli/call_log.h"
#include "server/cli/command.h"
#include "server/cli/exit_code.h"
#include "server/cli/serve_management.h"
#include "server/cli/serve_ready.h"
#include "server/rpc/metrics_server.h"
#include "server/rpc/server.h"
#include "server/tracing/otlp_exporter.h"
#include "server/tracing/span_processor.h"
#include "server/tracing/tracer.h"
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

int Fail(const absl::Status& status, int exit_code) {
  PrintError(std::string(status.message()));
  return exit_code;
}

void LogAdvice(const std::string& model, const PrecisionSpeeds& speeds, const Config& config) {
  const StartupAdvice advice = AdviceOf(speeds, config.engine().precision());
  spdlog::log(advice.is_warning ? spdlog::level::warn : spdlog::level::info, "advice: model {}: {}", model,
              advice.line);
}

// Whatever goes wrong is no reason not to serve: loading will say it if it matters.
void LogMeasuredAdvice(const Config& config, const ServePlan& plan) {
  for (const PlannedModel& model : plan.models) {
    const auto speeds = MeasurePrecisionSpeeds(model.directory, plan.isa, plan.num_threads);
    if (speeds.ok()) {
      LogAdvice(model.name, *speeds, config);
    } else {
      spdlog::warn("advice: model {}: {}", model.name, std::string(speeds.status().message()));
    }
  }
  ReleaseStartupMemory();
}

void LogCachedAdvice(const Config& config, const ServePlan& plan, const serving::ModelRepository& repository) {
  for (const auto& served : repository.List()) {
    const auto speeds =
        ReadAdvice(config.advice().cache(), ThisMachine(plan.isa, plan.num_threads), served->model->info().version);
    if (!speeds.ok()) {
      spdlog::warn("advice: {}", std::string(speeds.status().message()));
    } else if (!speeds->has_value()) {
      spdlog::warn("advice: model {}: {} has no entry of it for this machine; octet advise MODEL --cache adds one",
                   served->name, config.advice().cache());
    } else {
      LogAdvice(served->name, **speeds, config);
    }
  }
}

// Tracer and what exports for it; nothing when tracing is off.
class Tracing {
 public:
  Tracing(const std::optional<TracingSettings>& settings, serving::Metrics* metrics) {
    if (!settings) return;
    const std::string collector = absl::StrCat(settings->otlp.use_tls ? "https://" : "http://", settings->otlp.target);
    processor_.emplace(settings->processor, tracing::MakeOtlpExporter(settings->otlp), metrics, collector);
    tracer_.emplace(settings->sampler(), &*processor_);
    flush_timeout_ = settings->flush_timeout;
    spdlog::info("tracing: {} with ratio {} to {}", settings->sampler_name, settings->ratio, collector);
  }

  const tracing::Tracer* tracer() const { return tracer_ ? &*tracer_ : nullptr; }
  // Once no call can end any more.
  void Flush() {
    if (processor_) processor_->Stop(flush_timeout_);
  }

 private:
  std::optional<tracing::SpanProcessor> processor_;
  std::optional<tracing::Tracer> tracer_;
  absl::Duration flush_timeout_;
};

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
                            .container_limits = limits});
  serving::ModelRepository repository(config.default_model());
  for (const PlannedModel& model : plan.models) metrics.ExpectModel(model.name);
  // Before the models are loaded, so that operators can watch that as well.
  std::unique_ptr<rpc::MetricsServer> metrics_server;
  BoundAddresses addresses;
  if (!config.metrics().address().empty()) {
    auto created = rpc::MetricsServer::Create(config.metrics().address(), &metrics);
    if (!created.ok()) return Fail(created.status(), kExitConfig);
    metrics_server = *std::move(created);
    addresses.metrics = WithPort(config.metrics().address(), metrics_server->port());
  }
  if (config.advice().mode() == "measure") LogMeasuredAdvice(config, plan);
  const Refusal refusal = LoadModels(config, plan, limits, &repository);
  for (const std::string& line : refusal.lines) PrintError(line);
  if (refusal.exit_code != 0) return refusal.exit_code;
  if (config.advice().mode() == "cached") LogCachedAdvice(config, plan, repository);
  CallLog call_log({.slow_call = absl::Milliseconds(config.log().slow_call_ms()),
                    .max_lines_per_second = config.log().max_call_lines_per_second()},
                   &SteadyClock::Get());
  Tracing tracing(plan.tracing, &metrics);
  auto pipeline =
      serving::Pipeline::Create(PipelineOptionsOf(config, plan), &repository, &metrics, &SteadyClock::Get());
  if (!pipeline.ok()) return Fail(pipeline.status(), kExitConfig);
  CredentialWatcher watcher(config, credentials, &metrics);
  const ReloadOnHangup reload_on_hangup(signals, &watcher);
  rpc::RpcOptions rpc_options = RpcOptionsOf(config, plan, *credentials);
  rpc_options.watchers = {.tracer = tracing.tracer(), .observer = &call_log};
  auto server = rpc::GrpcServer::Create(rpc_options, pipeline->get(), &repository, &metrics, &SteadyClock::Get());
  if (!server.ok()) return Fail(server.status(), kExitConfig);  // cannot bind
  if (metrics_server != nullptr) metrics_server->Watch(pipeline->get(), server->get());
  const auto unwatch = absl::MakeCleanup([&] {
    if (metrics_server != nullptr) metrics_server->Unwatch();
  });
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
