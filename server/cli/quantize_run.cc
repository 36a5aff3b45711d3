#include "server/cli/quantize_run.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/container_limits.h"
#include "base/status_macros.h"
#include "model/model_directory.h"
#include "model/quantization_report.h"
#include "model/quantize/plan_checkpoint.h"
#include "model/quantize/probe_rows.h"
#include "model/quantize/quantized_directory.h"
#include "model/sha256.h"
#include "model/text_model.h"
#include "server/cli/build_info.h"
#include "server/cli/command.h"
#include "server/cli/exit_code.h"
#include "server/cli/progress.h"

namespace octet::cli {
namespace {

using model::Technique;

// Of the calibration texts, one in so many is held out: it decides nothing and measures the result. Another one chooses
// the layers of mixed precision, which texts that shaped the weights would flatter.
constexpr size_t kSplit = 8;
// Rows of each linear layer's input that are kept: 256 MiB of the widest layer of a large encoder.
constexpr size_t kMaxCalibrationRows = 16384;
// Fewer texts than this calibrate badly; published techniques use 100 and more.
constexpr size_t kFewTexts = 32;

struct CalibrationTexts {
  model::TokenizedTexts deciding, choosing, held_out;
  CalibrationSummary summary;
};

// Of what the layers see, whatever file and format it was read from.
std::string DigestOf(const model::TokenizedTexts& texts) {
  model::Sha256 digest;
  digest.Update(std::as_bytes(std::span(texts.ids)));
  digest.Update(std::as_bytes(std::span(texts.starts)));
  return digest.FinishHex();
}

class QuantizeRun {
 public:
  explicit QuantizeRun(const QuantizeOptions& options)
      : options_(options),
        has_texts_(!options.calibration.path.empty()),
        progress_(STDERR_FILENO, {.is_terminal = StderrIsTerminal()}, &SteadyClock::Get()) {}

  // Of the last Run's error.
  int exit_code() const { return exit_code_; }

  absl::Status Run() {
    exit_code_ = kExitConfig;
    ASSIGN_OR_RETURN(const auto stage, model::StagedDirectory::Open(options_.out, options_.model, options_.overwrite));
    exit_code_ = kExitModel;
    RETURN_IF_ERROR(LoadFloats());
    exit_code_ = kExitConfig;
    if (has_texts_) RETURN_IF_ERROR(ReadTexts());
    exit_code_ = kExitFailure;
    ASSIGN_OR_RETURN(const model::PlanCheckpoint checkpoint, model::PlanCheckpoint::Open(stage.get(), Fingerprint()));
    RETURN_IF_ERROR(PlanLayers(checkpoint));
    RETURN_IF_ERROR(weights_->Finish().status());  // unchanged since they were opened
    if (options_.technique.technique == Technique::kMixed) RETURN_IF_ERROR(Mix());
    RETURN_IF_ERROR(model::WriteQuantizedDirectory(options_.model, plan_,
                                                   model::TechniqueName(options_.technique.technique), *stage));
    RETURN_IF_ERROR(Check(*stage));
    RETURN_IF_ERROR(stage->WriteText(model::kQuantizationReportFile, model::ReportText(report_)));
    checkpoint.Clear(config_.num_layers);
    RETURN_IF_ERROR(stage->Publish());
    progress_.Clear();
    PrintSummary();
    return absl::OkStatus();
  }

 private:
  model::TextModelOptions ModelOptions(model::Precision precision) const {
    model::TextModelOptions options;
    options.precision = precision;
    options.isa = options_.technique.isa;
    options.num_threads = options_.technique.num_threads;
    options.max_batch_tokens = max_batch_tokens_;
    options.memory_limit_bytes = ContainerLimits::Detect().memory_limit_bytes().value_or(0);
    return options;
  }

  absl::Status LoadFloats() {
    ASSIGN_OR_RETURN(const auto directory, model::ModelDirectory::Open(options_.model));
    ASSIGN_OR_RETURN(config_, model::ReadEncoderConfig(*directory));
    if (config_.quantization) {
      return absl::InvalidArgumentError(
          "config.json: quantization_config: the weights are quantized already; take the "
          "directory that they were made from");
    }
    max_batch_tokens_ = std::max<size_t>(2048, config_.max_tokens());
    ASSIGN_OR_RETURN(weights_, model::Weights::Open(*directory, model::TensorNamesOf(config_.family)));
    ASSIGN_OR_RETURN(floats_, model::TextModel::Load(options_.model, ModelOptions(model::Precision::kF32)));
    report_.source_version = floats_->info().version;
    return absl::OkStatus();
  }

  absl::Status ReadTexts() {
    const auto add = [this](uint64_t number, std::span<const int32_t> ids) {
      const size_t place = number % kSplit;
      (place == 0 ? texts_.held_out : place == kSplit / 2 ? texts_.choosing : texts_.deciding).Add(ids);
    };
    ASSIGN_OR_RETURN(texts_.summary, ReadCalibrationFile(options_.calibration, *floats_, add));
    if (texts_.summary.num_texts < kFewTexts) {
      std::fprintf(stderr, "octet: %s: only %d texts; at least %d are advised\n", options_.calibration.path.c_str(),
                   static_cast<int>(texts_.summary.num_texts), static_cast<int>(kFewTexts));
    }
    return absl::OkStatus();
  }

  // Everything that the planned layers depend on.
  std::string Fingerprint() const {
    return absl::StrCat("octet quantize ", GetBuildInfo().version, " ", GetBuildInfo().commit, "\nmodel ",
                        floats_->info().fingerprint, "\nisa ", IsaName(options_.technique.isa), "\noptions ",
                        OptionsJson().dump(), "\ntexts ", DigestOf(texts_.deciding), "\n");
  }

  model::Json OptionsJson() const {
    const model::TechniqueOptions& technique = options_.technique;
    const auto name = [](absl::string_view view) { return std::string(view.data(), view.size()); };
    model::Json json = {{"method", name(model::TechniqueName(technique.technique))}};
    json["texts"] = has_texts_;
    if (technique.technique == Technique::kDynamic) return json;
    json["smoothing"] = technique.smoothing;
    if (!has_texts_) return json;
    json["compensation"] = technique.compensation;
    json["clipping_search"] = technique.compensation && technique.clipping_search;
    json["bias_correction"] = technique.bias_correction;
    if (technique.technique == Technique::kStatic) {
      json["observer"] = name(model::RangeObserverName(technique.observer));
    }
    if (technique.technique == Technique::kMixed) {
      json["min_cosine_mean"] = options_.limit.cosine_mean;
      json["min_cosine_min"] = options_.limit.cosine_min;
    }
    return json;
  }

  absl::Status PlanLayers(const model::PlanCheckpoint& checkpoint) {
    std::unique_ptr<model::Calibration> calibration;
    std::vector<std::vector<float>> probe_rows;
    if (options_.technique.technique != Technique::kDynamic) {
      if (has_texts_) {
        calibration = std::make_unique<model::Calibration>(floats_.get(), texts_.deciding, kMaxCalibrationRows);
      } else if (options_.technique.smoothing) {
        ASSIGN_OR_RETURN(probe_rows, model::ProbeRows(options_.model, ModelOptions(model::Precision::kInt8)));
      }
    }
    for (size_t layer_idx = 0; layer_idx < config_.num_layers; ++layer_idx) {
      progress_.Update("quantizing", layer_idx, config_.num_layers,
                       absl::StrCat("layer ", layer_idx + 1, " of ", config_.num_layers));
      std::optional<model::PlannedLayer> layer = checkpoint.LoadOrNone(config_, layer_idx);
      if (!layer) {
        ASSIGN_OR_RETURN(layer, PlanOneLayer(layer_idx, calibration.get(), probe_rows));
        RETURN_IF_ERROR(checkpoint.Save(layer_idx, *layer));
      }
      for (size_t slot = 0; slot < model::kLinearsPerLayer; ++slot) {
        plan_.linears.push_back(std::move(layer->linears[slot]));
        linear_reports_.push_back(layer->reports[slot]);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<model::PlannedLayer> PlanOneLayer(size_t layer_idx, model::Calibration* calibration,
                                                   const std::vector<std::vector<float>>& probe_rows) {
    if (calibration == nullptr) {
      return model::PlanLayerWithoutTexts(config_, layer_idx, weights_.get(), probe_rows);
    }
    return model::PlanLayer(options_.technique, config_, layer_idx, weights_.get(), calibration);
  }

  absl::Status Mix() {
    if (texts_.choosing.num_texts() == 0) {
      return absl::InvalidArgumentError(absl::StrCat(options_.calibration.path, ": ", texts_.summary.num_texts,
                                                     " texts, --method mixed needs at least ", kSplit));
    }
    model::MixedOptions options{
        .floats = floats_.get(),
        .directory = options_.model,
        .model = ModelOptions(model::Precision::kInt8),
        .limit = options_.limit,
        .progress = [this](size_t done, size_t total) { progress_.Update("choosing layers", done, total, ""); }};
    ASSIGN_OR_RETURN(const model::MixedResult mixed, model::ChooseMixed(options, plan_, texts_.choosing));
    if (!mixed.meets_limit) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "no assignment of layers has cosines of at least %g (mean) and %g (min) to f32; best with all layers in "
          "floats: %g and %g",
          options_.limit.cosine_mean, options_.limit.cosine_min, mixed.curve.back().fidelity.cosine_mean,
          mixed.curve.back().fidelity.cosine_min));
    }
    plan_ = model::MixedPlan(plan_, mixed.order, mixed.num_float, mixed.float_kind);
    for (const model::CurvePoint& point : mixed.curve) {
      report_.curve.push_back({{"float_layers", point.num_float},
                               {"cosine_mean", point.fidelity.cosine_mean},
                               {"cosine_min", point.fidelity.cosine_min},
                               {"relative_time", point.relative_time},
                               {"chosen", point.num_float == mixed.num_float}});
    }
    sensitivity_ = mixed.sensitivity;
    return absl::OkStatus();
  }

  // The written directory is loaded as it will be served, and compared with the floats.
  absl::Status Check(const model::StagedDirectory& stage) {
    progress_.Update("checking", 0, 1, "");
    ASSIGN_OR_RETURN(const auto quantized,
                     model::TextModel::Load(stage.staging_path(), ModelOptions(model::Precision::kInt8)));
    report_.weights_version = quantized->info().version;
    report_.octet_version = GetBuildInfo().version;
    const absl::string_view isa = IsaName(options_.technique.isa);
    report_.isa = std::string(isa.data(), isa.size());
    const absl::string_view method = model::TechniqueName(options_.technique.technique);
    report_.method = std::string(method.data(), method.size());
    report_.options = OptionsJson();
    report_.calibration_sha256 = texts_.summary.sha256;
    report_.calibration_texts = texts_.summary.num_texts;
    report_.calibration_tokens = texts_.summary.num_tokens;
    report_.calibration_truncated = texts_.summary.num_truncated;
    report_.held_out_texts = texts_.held_out.num_texts();
    if (report_.held_out_texts > 0) {
      ASSIGN_OR_RETURN(const auto reference, model::ComputeTexts(*floats_, texts_.held_out));
      ASSIGN_OR_RETURN(const auto vectors, model::ComputeTexts(*quantized, texts_.held_out));
      const model::Fidelity fidelity =
          model::CompareOutputs(floats_->info().task, reference, vectors, floats_->head().OutputSize(1));
      report_.cosine_mean = fidelity.cosine_mean;
      report_.cosine_min = fidelity.cosine_min;
    }
    for (size_t i = 0; i < plan_.linears.size(); ++i) report_.layers.push_back(LayerJson(i));
    return absl::OkStatus();
  }

  model::Json LayerJson(size_t linear_idx) const {
    const model::LinearPlan& plan = plan_.linears[linear_idx];
    const model::LinearReport& report = linear_reports_[linear_idx];
    const auto decibels = [&](double error) { return 10 * std::log10(report.signal / error); };
    model::Json json = {{"layer", model::LinearName(linear_idx)},
                        {"precision", plan.input.kind == kernels::LinearKind::kInt8   ? "int8"
                                      : plan.input.kind == kernels::LinearKind::kBf16 ? "bf16"
                                                                                      : "f32"}};
    if (!sensitivity_.empty()) json["sensitivity"] = sensitivity_[linear_idx];
    if (plan.input.kind != kernels::LinearKind::kInt8) return json;
    if (report.alpha >= 0) json["smoothing_alpha"] = report.alpha;
    if (report.error > 0) {
      json["signal_to_noise_db"] = decibels(report.error);
      json["signal_to_noise_db_dynamic"] = decibels(report.error_dynamic);
    }
    return json;
  }

  void PrintSummary() const {
    std::string line = absl::StrCat("octet: ", options_.out, ": ", report_.method, ", weights ",
                                    report_.weights_version, ", made from ", report_.source_version);
    if (report_.held_out_texts > 0) {
      absl::StrAppend(&line, absl::StrFormat("; cosine to f32 on %d held-out texts: mean %.5f, min %.5f",
                                             report_.held_out_texts, report_.cosine_mean, report_.cosine_min));
    }
    std::fprintf(stderr, "%s\n", line.c_str());
  }

  const QuantizeOptions& options_;
  const bool has_texts_;
  int exit_code_ = kExitFailure;  // of an error that comes now
  Progress progress_;
  model::EncoderConfig config_;
  size_t max_batch_tokens_ = 0;
  std::unique_ptr<model::Weights> weights_;
  std::shared_ptr<const model::TextModel> floats_;
  CalibrationTexts texts_;
  model::QuantizationPlan plan_;
  std::vector<model::LinearReport> linear_reports_;
  std::vector<double> sensitivity_;
  model::QuantizationReport report_;
};

}  // namespace

int RunQuantize(const QuantizeOptions& options) {
  QuantizeRun run(options);
  absl::Status status;
  try {
    status = run.Run();
  } catch (const std::bad_alloc&) {
    status = absl::ResourceExhaustedError("out of memory; take fewer texts with --max-texts");
  } catch (const std::exception& e) {
    status = absl::InternalError(e.what());
  }
  if (status.ok()) return kExitOk;
  PrintError(std::string(status.message()));
  return run.exit_code();
}

}  // namespace octet::cli
