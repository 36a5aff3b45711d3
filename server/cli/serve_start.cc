#include "server/cli/serve_start.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/release_memory.h"
#include "base/status_macros.h"
#include "model/model_directory.h"
#include "model/quantize/load_with_technique.h"
#include "model/text_model_config.h"
#include "server/cli/classification_settings.h"
#include "server/cli/config_file.h"
#include "server/cli/exit_code.h"
#include "server/cli/progress.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

constexpr uint64_t kMiB = 1 << 20;
// Resident size beyond weights, embeddings and arenas after 10,000 mixed calls stays below this.
constexpr uint64_t kProcessBytes = 45 * kMiB;
// A waiting token is an id and a type id; a text has its bookkeeping besides its answer.
constexpr uint64_t kQueuedTokenBytes = 8;
constexpr uint64_t kQueuedTextBytes = 512;
// A text waits as it came and as its parsed request.
constexpr uint64_t kPendingCopies = 2;
// Likewise hidden states: as they were computed and as the answer's bytes.
constexpr uint64_t kHiddenStateCopies = 2;
constexpr uint64_t kMinOpenFiles = 2 * 4096 + 256;

// " (smooth)"; nothing for "".
std::string Parenthesized(const std::string& text) { return text.empty() ? "" : absl::StrCat(" (", text, ")"); }

absl::StatusOr<PlannedModel> PlanModel(const config::v1::Model& model, const model::EncoderOptions& options) {
  PlannedModel planned;
  planned.name = model.name();
  planned.directory = model.directory();
  ASSIGN_OR_RETURN(const auto directory, model::ModelDirectory::Open(model.directory()));
  ASSIGN_OR_RETURN(const model::TextModelConfig read, model::ReadTextModelConfig(*directory));
  if (read.task == model::Task::kTokenClassification) {
    return absl::FailedPreconditionError(absl::StrCat("its task is ", model::TaskName(read.task),
                                                      ", which no method serves; octet evaluate --task tokens and "
                                                      "octet quantize take it"));
  }
  planned.output_dim =
      read.task == model::Task::kEmbedding ? read.encoder.hidden_dim : read.classification.labels.size();
  planned.task = read.task;
  planned.max_tokens = read.max_tokens;
  planned.predictions = PredictionsOf(model, read);
  planned.quantization = QuantizationOf(model.quantization(), read.encoder, options.precision);
  const auto& gate = model.quantization_gate();
  planned.gate = {.min_cosine_mean = gate.min_cosine_mean(),
                  .min_cosine_min = gate.min_cosine_min(),
                  .require_report = gate.require_report()};
  ASSIGN_OR_RETURN(planned.memory, model::EstimateMemory(read, options));
  if (!read.encoder.quantization) {
    model::EncoderOptions f32 = options;
    f32.precision = model::Precision::kF32;
    ASSIGN_OR_RETURN(const model::MemoryUse use, model::EstimateMemory(read, f32));
    planned.f32_bytes = use.weight_bytes + use.embedding_bytes + use.arena_bytes;
  }
  planned.shadow = PlanShadow(model, *directory, read, options);
  return planned;
}

uint64_t ConnectionBytes(const Config& config, const ContainerLimits& limits) {
  const auto& grpc = config.grpc();
  if (grpc.memory_quota_bytes() != 0) return grpc.memory_quota_bytes();
  return std::max({128 * kMiB, limits.memory_limit_bytes().value_or(0) / 10, 16 * grpc.max_receive_message_bytes()});
}

void AddMemory(const model::MemoryUse& use, MemoryBudget* budget) {
  budget->weight_bytes += use.weight_bytes;
  budget->embedding_bytes += use.embedding_bytes;
  budget->arena_bytes += use.arena_bytes;
}

MemoryBudget ComputeBudget(const Config& config, const ContainerLimits& limits, const ServePlan& plan) {
  MemoryBudget budget;
  uint64_t answer_bytes = 0, shadow_queue_bytes = 0;
  for (const PlannedModel& model : plan.models) {
    AddMemory(model.memory, &budget);
    if (const std::optional<PlannedShadow>& shadow = *model.shadow) {
      AddMemory(shadow->memory, &budget);
      shadow_queue_bytes += shadow->queue_bytes;
    }
    answer_bytes = std::max<uint64_t>(answer_bytes, model.output_dim * sizeof(float));
  }
  budget.queue_bytes = config.limits().max_pending_bytes() * kPendingCopies +
                       config.limits().max_queue_tokens() * kQueuedTokenBytes +
                       config.limits().max_queue_texts() * (kQueuedTextBytes + answer_bytes) +
                       config.grpc().max_send_message_bytes() * kHiddenStateCopies + shadow_queue_bytes;
  budget.connection_bytes = ConnectionBytes(config, limits);
  budget.process_bytes = kProcessBytes;
  if (plan.tracing) budget.tracing_bytes = plan.tracing->MaxBytes();
  if (config.advice().mode() == "measure") {
    const uint64_t place = budget.weight_bytes + budget.embedding_bytes + budget.arena_bytes;
    for (const PlannedModel& model : plan.models) {
      if (model.f32_bytes > place) budget.advice_bytes = std::max(budget.advice_bytes, model.f32_bytes - place);
    }
  }
  return budget;
}

void CheckBudget(const ServePlan& plan, const ContainerLimits& limits, Refusal* refusal) {
  if (!limits.memory_limit_bytes().has_value()) return;
  const uint64_t usable = *limits.memory_limit_bytes() / 10 * 9;
  if (plan.budget.total() <= usable) return;
  const bool queues_are_at_fault =
      plan.budget.total() - plan.budget.queue_bytes - plan.budget.connection_bytes + 160 * kMiB <= usable;
  refusal->exit_code = queues_are_at_fault ? kExitConfig : kExitModel;
  refusal->lines.push_back(
      absl::StrCat("memory: needs ", FormatBudget(plan.budget), ", limit ", usable / kMiB,
                   " MiB (90 % of the container's ", *limits.memory_limit_bytes() / kMiB, " MiB); ",
                   queues_are_at_fault ? "lower limits.max_pending_bytes, limits.max_queue_* or grpc.memory_quota_bytes"
                                       : "raise the limit, take a smaller model or leave out shadow"));
}

void SettleThreads(const Config& config, const ContainerLimits& limits, ServePlan* plan) {
  const int available = limits.NumThreads();
  const auto& engine = config.engine();
  plan->num_threads = engine.threads() == 0 ? available : static_cast<int>(engine.threads());
  if (limits.cpu_quota().has_value() && *limits.cpu_quota() < limits.NumCpus()) plan->cpu_quota = limits.cpu_quota();
  plan->num_tokenizer_threads =
      engine.tokenizer_threads() == 0 ? std::min(plan->num_threads, 4) : static_cast<int>(engine.tokenizer_threads());
  if (plan->num_threads > available) {
    plan->warnings.push_back(absl::StrCat("engine.threads: ", plan->num_threads, ", but the container may use ",
                                          available, "; more threads than that are slower"));
  }
}

}  // namespace

std::string FormatBudget(const MemoryBudget& budget) {
  const auto mib = [](uint64_t bytes) { return (bytes + kMiB - 1) / kMiB; };
  return absl::StrCat("weights ", mib(budget.weight_bytes), " + embeddings ", mib(budget.embedding_bytes), " + arenas ",
                      mib(budget.arena_bytes), " + queues ", mib(budget.queue_bytes), " + connections ",
                      mib(budget.connection_bytes), " + process ", mib(budget.process_bytes),
                      budget.advice_bytes == 0 ? "" : absl::StrCat(" + advice ", mib(budget.advice_bytes)),
                      budget.tracing_bytes == 0 ? "" : absl::StrCat(" + tracing ", mib(budget.tracing_bytes)), " = ",
                      mib(budget.total()), " MiB");
}

Refusal PlanServing(const Config& config, const ContainerLimits& limits, ServePlan* plan) {
  Refusal refusal;
  const auto refuse = [&](int exit_code, absl::string_view line) {
    refusal.exit_code = std::max(refusal.exit_code, exit_code);
    refusal.lines.emplace_back(line);
  };
  SettleThreads(config, limits, plan);
  auto tracing = TracingSettingsOf(config.tracing(), ProcessEnvironment(), &plan->warnings);
  if (!tracing.ok()) {
    refuse(kExitConfig, tracing.status().message());
    return refusal;
  }
  plan->tracing = *std::move(tracing);
  const auto isa = IsaFromEnvironment();
  if (!isa.ok()) {
    refuse(kExitConfig, isa.status().message());
    return refusal;
  }
  plan->isa = *isa;
  plan->precision = *model::ParsePrecision(config.engine().precision());  // one of the schema's values
  if (plan->precision == model::Precision::kBf16 && plan->isa < Isa::kAvx512Bf16) {
    refuse(kExitConfig, absl::StrCat("engine.precision: bf16 needs avx512_bf16, this is ", IsaName(plan->isa),
                                     "; take int8 or f32"));
    return refusal;
  }
  if (plan->precision == model::Precision::kInt8 && plan->isa < Isa::kAvx512Vnni) {
    plan->warnings.push_back(
        absl::StrCat("no VNNI at ", IsaName(plan->isa),
                     ": int8 is computed in 16-bit products, exact, but far slower than with VNNI"));
  }
  const size_t batch_tokens = config.limits().max_batch_tokens();
  for (const config::v1::Model& model : config.models()) {
    const auto planned = PlanModel(model, {.precision = plan->precision,
                                           .isa = plan->isa,
                                           .max_batch_tokens = batch_tokens,
                                           .num_threads = plan->num_threads});
    if (!planned.ok()) {
      refuse(kExitModel, absl::StrCat("model ", Quoted(model.name()), ": ", planned.status().message()));
    } else if (!planned->predictions.ok()) {
      refuse(kExitConfig, absl::StrCat("model ", Quoted(model.name()), ": ", planned->predictions.status().message()));
    } else if (!planned->quantization.ok()) {
      refuse(kExitConfig, absl::StrCat("model ", Quoted(model.name()), ": ", planned->quantization.status().message()));
    } else if (!planned->shadow.ok()) {
      refuse(kExitConfig, absl::StrCat("model ", Quoted(model.name()), ": ", planned->shadow.status().message()));
    } else if (batch_tokens < planned->max_tokens) {
      refuse(kExitConfig, absl::StrCat("limits.max_batch_tokens: ", batch_tokens, ", but model ", Quoted(model.name()),
                                       " takes texts of ", planned->max_tokens, " tokens; want at least that"));
    } else {
      plan->models.push_back(*planned);
    }
  }
  plan->budget = ComputeBudget(config, limits, *plan);
  if (refusal.exit_code == 0) CheckBudget(*plan, limits, &refusal);
  return refusal;
}

serving::PipelineOptions PipelineOptionsOf(const Config& config, const ServePlan& plan) {
  const auto& limits = config.limits();
  serving::PipelineOptions options;
  options.num_tokenizer_threads = plan.num_tokenizer_threads;
  options.num_compute_threads = plan.num_threads;
  options.cpu_quota = plan.cpu_quota;
  options.max_texts_per_call = limits.max_texts_per_call();
  options.max_text_bytes = limits.max_text_bytes();
  options.max_batch_tokens = limits.max_batch_tokens();
  options.max_batch_texts = limits.max_batch_texts();
  options.max_pending_bytes = limits.max_pending_bytes();
  options.max_queue_tokens = limits.max_queue_tokens();
  options.max_queue_texts = limits.max_queue_texts();
  options.max_batch_delay = absl::Milliseconds(limits.max_batch_delay_ms());
  // As many as the largest answer has, for all calls together; one alone is never refused.
  options.max_hidden_state_bytes = config.grpc().max_send_message_bytes();
  return options;
}

std::string RaiseOpenFilesLimit() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return "";
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  getrlimit(RLIMIT_NOFILE, &files);
  if (files.rlim_cur >= kMinOpenFiles) return "";
  return absl::StrCat("open files: limit ", files.rlim_cur, ", 4096 connections need ", kMinOpenFiles,
                      "; raise it (ulimit -Hn, LimitNOFILE)");
}

Refusal LoadModels(const Config& config, const ServePlan& plan, const ContainerLimits& limits,
                   serving::ModelRepository* repository) {
  Progress progress(STDERR_FILENO, {.is_terminal = StderrIsTerminal()}, &SteadyClock::Get());
  for (const PlannedModel& planned : plan.models) {
    model::TextModelOptions options;
    options.precision = plan.precision;
    options.isa = plan.isa;
    options.max_batch_tokens = config.limits().max_batch_tokens();
    options.num_threads = plan.num_threads;
    options.memory_limit_bytes = limits.memory_limit_bytes().value_or(0) / 10 * 9;
    options.gate = planned.gate;
    options.activation_range = planned.quantization->activation_range;
    options.momentum = planned.quantization->momentum;
    options.progress = [&](absl::string_view phase, uint64_t done, uint64_t total) {
      progress.Update(absl::StrCat("loading ", planned.name, ": ", phase), done, total, "");
    };
    const MonotonicTime start = SteadyClock::Get().Now();
    auto model = model::LoadWithTechnique(planned.directory, planned.quantization->technique_at_load, options);
    progress.Clear();
    if (!model.ok()) {
      return {kExitModel, {absl::StrCat("model ", Quoted(planned.name), ": ", model.status().message())}};
    }
    const absl::Duration load_time = SteadyClock::Get().Now() - start;
    spdlog::info("model {}: {} {}, for {}, version {}, fingerprint {}, loaded in {} ms", planned.name,
                 (*model)->info().family,
                 std::string(model::PrecisionName(plan.precision)) + Parenthesized((*model)->info().quantization),
                 std::string(model::TaskName(planned.task)), (*model)->info().version, (*model)->info().fingerprint,
                 absl::ToInt64Milliseconds(load_time));
    for (const std::string& warning : (*model)->warnings()) spdlog::warn("model {}: {}", planned.name, warning);
    const auto shadow = LoadShadow(*planned.shadow, options);
    progress.Clear();
    if (!shadow.ok()) {
      return {kExitModel, {absl::StrCat("model ", Quoted(planned.name), ": ", shadow.status().message())}};
    }
    if (shadow->reference != nullptr) {
      spdlog::info("model {}: {} of the texts, those of up to {} tokens, are compared with f32", planned.name,
                   shadow->share, shadow->max_tokens);
    }
    const absl::Status added = repository->Add({.name = planned.name,
                                                .model = serving::MakeServable(*std::move(model)),
                                                .load_time = load_time,
                                                .predictions = *planned.predictions,
                                                .shadow = *shadow});
    if (!added.ok()) return {kExitConfig, {std::string(added.message())}};
  }
  ReleaseStartupMemory();
  return {};
}

}  // namespace octet::cli
