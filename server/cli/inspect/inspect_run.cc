#include "server/cli/inspect/inspect_run.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/container_limits.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "model/linear_load.h"
#include "model/model_directory.h"
#include "model/quantize/calibration.h"
#include "model/quantize/load_with_technique.h"
#include "model/quantize/loaded_plan.h"
#include "model/text_model.h"
#include "server/cli/inspect/inspect_linear.h"
#include "server/cli/report/path_name.h"

namespace octet::cli {
namespace {

// Rows of each linear layer's input that are looked at: 45 MB for the four of a BERT-base layer, and of every thread.
// A share of one in 10,000 values of a layer of 384 inputs is then known to 4 %.
constexpr size_t kMaxRows = 2048;

// A directory and what is read of it.
struct Source {
  std::string path;
  std::unique_ptr<model::ModelDirectory> directory;
  model::EncoderConfig config;
  std::shared_ptr<const model::TextModel> loaded;
  std::shared_ptr<const model::QuantizationPlan> plan;  // that floats are served by; null for a quantized directory
};

absl::Status OutOfMemory() {
  return absl::ResourceExhaustedError("out of memory; take fewer texts with --max-texts, or fewer --threads");
}

// What encoder layers are looked at with: one of its own for every thread.
class LayerInspector {
 public:
  // `floats`: null when they are not known; may be `subject`. `texts`: null without calibration. All are borrowed.
  static absl::StatusOr<std::unique_ptr<LayerInspector>> Make(Isa isa, const Source* subject, const Source* floats,
                                                              const model::TokenizedTexts* texts) {
    std::unique_ptr<LayerInspector> inspector(new LayerInspector(isa, subject, floats));
    ASSIGN_OR_RETURN(inspector->weights_, OpenWeights(*subject));
    if (floats != nullptr) {
      ASSIGN_OR_RETURN(inspector->float_weights_, OpenWeights(*floats));
    }
    if (texts != nullptr) {
      // Without the floats the model's own inputs must do.
      const Source& source = floats != nullptr ? *floats : *subject;
      inspector->calibration_ = std::make_unique<model::Calibration>(source.loaded.get(), *texts, kMaxRows);
    }
    return inspector;
  }

  // linears: [kLinearsPerLayer], of encoder layer `layer_idx`.
  absl::Status Inspect(size_t layer_idx, std::span<LinearInspection> linears) {
    std::vector<model::LinearInputs> inputs;
    if (calibration_ != nullptr) {
      ASSIGN_OR_RETURN(inputs, calibration_->InputsOfLayer(layer_idx));
    }
    for (size_t slot = 0; slot < model::kLinearsPerLayer; ++slot) {
      const size_t linear_idx = model::LinearIdx(layer_idx, static_cast<model::LinearSlot>(slot));
      ASSIGN_OR_RETURN(linears[slot], InspectOne(linear_idx, inputs.empty() ? nullptr : &inputs[slot]));
    }
    return absl::OkStatus();
  }

 private:
  LayerInspector(Isa isa, const Source* subject, const Source* floats)
      : isa_(isa), subject_(*subject), floats_(floats), factory_(isa) {
    options_.precision = model::Precision::kInt8;
    options_.isa = isa;
    options_.plan = subject->plan;
  }

  static absl::StatusOr<std::unique_ptr<model::Weights>> OpenWeights(const Source& source) {
    return model::Weights::Open(*source.directory, model::TensorNamesOf(source.config.family));
  }

  absl::StatusOr<LinearInspection> InspectOne(size_t linear_idx, const model::LinearInputs* inputs) {
    ASSIGN_OR_RETURN(const model::LoadedPlan loaded,
                     model::ReadLoadedPlan(subject_.config, options_, linear_idx, weights_.get(), &factory_));
    const model::LinearShape shape = model::ShapeOfLinear(subject_.config, linear_idx);
    LinearSubject subject{.isa = isa_, .input = loaded.plan.input, .weights = {}, .inputs = inputs};
    subject.weights = {.in_dim = shape.in_dim, .out_dim = shape.out_dim};
    model::OwnedLinear own, floats;
    if (loaded.plan.input.kind == kernels::LinearKind::kInt8) {
      subject.weights.bias = loaded.plan.bias;
      subject.weights.s8 = loaded.plan.weights;
      subject.weights.scales = loaded.plan.scales;
    } else {
      ASSIGN_OR_RETURN(own, model::ReadOwnedLinear(subject_.config, linear_idx, weights_.get()));
      subject.weights.bias = own.bias.span();
      subject.weights.f32 = own.weights.span();
    }
    if (floats_ != nullptr) {
      ASSIGN_OR_RETURN(floats, model::ReadOwnedLinear(floats_->config, linear_idx, float_weights_.get()));
      subject.floats = &floats;
    }
    ASSIGN_OR_RETURN(LinearInspection inspection, InspectLinear(subject));
    inspection.name = model::LinearName(linear_idx);
    inspection.bytes = loaded.bytes;
    inspection.f32_bytes =
        kernels::LinearFactory::LinearBytes(kernels::LinearKind::kF32, isa_, shape.in_dim, shape.out_dim);
    return inspection;
  }

  const Isa isa_;
  const Source& subject_;
  const Source* const floats_;
  model::EncoderOptions options_;
  kernels::LinearFactory factory_;
  std::unique_ptr<model::Weights> weights_, float_weights_;
  std::unique_ptr<model::Calibration> calibration_;
};

class InspectRun {
 public:
  InspectRun(const InspectOptions& options, Progress* progress, InspectStep* step)
      : options_(options), progress_(*progress), step_(*step) {}

  absl::StatusOr<Inspection> Run() {
    step_ = InspectStep::kLoading;
    progress_.Update("loading", 0, 0, "");
    RETURN_IF_ERROR(LoadModels());
    if (!options_.calibration.path.empty()) {
      step_ = InspectStep::kCheckingFlags;
      RETURN_IF_ERROR(ReadTexts());
    }
    step_ = InspectStep::kInspecting;
    result_.has_floats = floats() != nullptr;
    RETURN_IF_ERROR(InspectLayers());
    AddDetails();
    return std::move(result_);
  }

 private:
  absl::StatusOr<Source> Load(const std::string& path) const {
    Source source;
    source.path = path;
    ASSIGN_OR_RETURN(source.directory, model::ModelDirectory::Open(path));
    ASSIGN_OR_RETURN(source.config, model::ReadEncoderConfig(*source.directory));
    // Floats stay floats: they are what calibration texts run through.
    model::TextModelOptions options =
        LoadOptions(source.config.quantization ? model::Precision::kInt8 : model::Precision::kF32);
    options.max_batch_tokens = std::max<size_t>(2048, source.config.max_tokens());
    ASSIGN_OR_RETURN(source.loaded, model::TextModel::Load(path, options));
    return source;
  }

  model::TextModelOptions LoadOptions(model::Precision precision) const {
    return {.precision = precision,
            .isa = options_.isa,
            .memory_limit_bytes = ContainerLimits::Detect().memory_limit_bytes().value_or(0)};
  }

  const Source* floats() const {
    if (!subject_.config.quantization) return &subject_;
    return options_.floats.empty() ? nullptr : &floats_;
  }

  absl::Status LoadModels() {
    ASSIGN_OR_RETURN(subject_, Load(options_.model));
    const model::ModelInfo& info = subject_.loaded->info();
    result_.isa = std::string(IsaName(options_.isa));
    result_.model_name = PathName(options_.model);
    result_.model_version = info.version;
    ASSIGN_OR_RETURN(details_, ReadQuantizationDetails(*subject_.directory, info.version));
    if (!subject_.config.quantization) {
      if (!options_.floats.empty()) {
        step_ = InspectStep::kCheckingFlags;
        return absl::InvalidArgumentError("--floats: only for a quantized model; this one has floats itself");
      }
      ASSIGN_OR_RETURN(subject_.plan, model::PlanWithoutTexts(options_.model, LoadOptions(model::Precision::kInt8)));
      result_.method = subject_.plan->technique;
      return absl::OkStatus();
    }
    result_.method = info.quantization;
    if (options_.floats.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(floats_, Load(options_.floats));
    step_ = InspectStep::kCheckingFlags;
    RETURN_IF_ERROR(CheckFloats());
    result_.floats_name = PathName(options_.floats);
    result_.floats_version = floats_.loaded->info().version;
    return absl::OkStatus();
  }

  absl::Status CheckFloats() const {
    if (floats_.config.quantization) {
      return absl::InvalidArgumentError("--floats: its weights are quantized too; give the directory of the floats");
    }
    const auto shape = [](const model::EncoderConfig& c) {
      return absl::StrCat(c.family, " of ", c.num_layers, " layers, ", c.hidden_dim, " and ", c.intermediate_dim,
                          " wide");
    };
    if (shape(floats_.config) != shape(subject_.config)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--floats: ", shape(floats_.config), ", the model is ", shape(subject_.config)));
    }
    const std::string& version = floats_.loaded->info().version;
    if (!details_.source_version.empty() && version != details_.source_version) {
      return absl::InvalidArgumentError(absl::StrCat("--floats: its weights are ", version,
                                                     ", the model's were made from ", details_.source_version));
    }
    return absl::OkStatus();
  }

  absl::Status ReadTexts() {
    const auto add = [this](uint64_t, std::span<const int32_t> ids) { texts_.Add(ids); };
    ASSIGN_OR_RETURN(result_.calibration, ReadCalibrationFile(options_.calibration, *subject_.loaded, add));
    result_.calibration_name = PathName(options_.calibration.path);
    return absl::OkStatus();
  }

  absl::Status InspectLayers() {
    const size_t num_layers = subject_.config.num_layers;
    result_.linears.resize(num_layers * model::kLinearsPerLayer);
    std::vector<std::thread> threads;
    for (size_t t = 1; t < std::min(static_cast<size_t>(options_.num_threads), num_layers); ++t) {
      threads.emplace_back([this] { Work(/*shows_progress=*/false); });
    }
    Work(/*shows_progress=*/true);
    for (std::thread& thread : threads) thread.join();
    const MutexLock lock(&mu_);
    return status_;
  }

  // A thread's share of the layers; the first error of any ends the work of all.
  void Work(bool shows_progress) {
    absl::Status status;
    try {
      status = InspectWhatIsLeft(shows_progress);
    } catch (const std::bad_alloc&) {
      status = OutOfMemory();
    }
    if (status.ok()) return;
    next_layer_.store(subject_.config.num_layers);
    const MutexLock lock(&mu_);
    if (status_.ok()) status_ = std::move(status);
  }

  absl::Status InspectWhatIsLeft(bool shows_progress) {
    const model::TokenizedTexts* const texts = result_.calibration.has_value() ? &texts_ : nullptr;
    ASSIGN_OR_RETURN(const auto inspector, LayerInspector::Make(options_.isa, &subject_, floats(), texts));
    const size_t num_layers = subject_.config.num_layers;
    for (size_t layer_idx; (layer_idx = next_layer_.fetch_add(1)) < num_layers;) {
      if (shows_progress) {
        progress_.Update("inspecting", layer_idx, num_layers,
                         absl::StrCat("layer ", layer_idx + 1, " of ", num_layers));
      }
      const size_t first = layer_idx * model::kLinearsPerLayer;
      RETURN_IF_ERROR(
          inspector->Inspect(layer_idx, std::span(result_.linears).subspan(first, model::kLinearsPerLayer)));
    }
    return absl::OkStatus();
  }

  void AddDetails() {
    for (LinearInspection& linear : result_.linears) {
      const auto found = details_.layers.find(linear.name);
      if (found == details_.layers.end()) continue;
      // The report also says what floats would have had in int8.
      if (linear.has_factors) linear.smoothing_strength = found->second.smoothing_strength;
      linear.reported_sensitivity = found->second.sensitivity;
    }
    result_.curve = std::move(details_.curve);
  }

  // By the calling thread only, or before threads start.
  const InspectOptions& options_;
  Progress& progress_;
  InspectStep& step_;
  Source subject_, floats_;
  QuantizationDetails details_;
  model::TokenizedTexts texts_;
  Inspection result_;  // threads write layers of their own

  std::atomic<size_t> next_layer_ = 0;
  Mutex mu_;
  absl::Status status_ ABSL_GUARDED_BY(mu_);  // the first error
};

}  // namespace

absl::StatusOr<Inspection> RunInspect(const InspectOptions& options, Progress* progress, InspectStep* step) {
  try {
    return InspectRun(options, progress, step).Run();
  } catch (const std::bad_alloc&) {
    return OutOfMemory();
  }
}

}  // namespace octet::cli
