#include "model/quantize/plan_checkpoint.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/linear_load.h"
#include "model/model_directory.h"
#include "model/safetensors.h"
#include "model/safetensors_writer.h"

namespace octet::model {
namespace {

using kernels::RowRange;

constexpr char kFingerprintFile[] = "checkpoint.txt";
constexpr uint64_t kMaxFingerprintBytes = 64 << 10;

std::string LayerFile(size_t layer_idx) { return absl::StrCat("checkpoint_layer_", layer_idx, ".safetensors"); }

// Everything of a linear layer's plan and report that is a number but not an array: range, scale and zero point of a
// fixed one, then the report in its order.
constexpr size_t kNumNumbers = 7;
using Numbers = std::array<double, kNumNumbers>;

Numbers NumbersOf(const LinearPlan& plan, const LinearReport& report) {
  return {static_cast<double>(plan.input.range),
          static_cast<double>(plan.input.fixed.scale),
          static_cast<double>(plan.input.fixed.zero_point),
          report.alpha,
          report.signal,
          report.error_dynamic,
          report.error};
}

// numbers: [kNumNumbers].
void SetNumbers(std::span<const double> numbers, LinearPlan* plan, LinearReport* report) {
  plan->input.range = static_cast<RowRange>(static_cast<int>(numbers[0]));
  plan->input.fixed = {.scale = static_cast<float>(numbers[1]), .zero_point = static_cast<int32_t>(numbers[2])};
  *report = {.alpha = numbers[3], .signal = numbers[4], .error_dynamic = numbers[5], .error = numbers[6]};
}

// Arrays of one layer's file, by name.
class LayerReader {
 public:
  static absl::StatusOr<LayerReader> Open(const StagedDirectory& stage, size_t layer_idx) {
    LayerReader reader;
    ASSIGN_OR_RETURN(reader.directory_, ModelDirectory::Open(stage.staging_path()));
    ASSIGN_OR_RETURN(reader.file_, reader.directory_->OpenFile(LayerFile(layer_idx)));
    ASSIGN_OR_RETURN(reader.tensors_, ReadSafetensorsHeader(*reader.file_));
    return reader;
  }

  // Just `size` values.
  template <typename T>
  absl::Status Read(const std::string& name, size_t size, std::vector<T>* values) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end() || found->second.end - found->second.begin != size * sizeof(T)) {
      return absl::DataLossError(absl::StrCat("checkpoint without ", size, " values of ", name));
    }
    values->resize(size);
    return file_->ReadAt(found->second.begin, std::as_writable_bytes(std::span(*values)));
  }
  bool IsEmpty(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found != tensors_.end() && found->second.end == found->second.begin;
  }

 private:
  std::unique_ptr<ModelDirectory> directory_;
  std::unique_ptr<ModelFile> file_;
  std::map<std::string, TensorInfo> tensors_;
};

absl::Status ReadLinear(const LayerReader& reader, size_t slot, const LinearShape& shape, PlannedLayer* layer) {
  LinearPlan& plan = layer->linears[slot];
  const auto name = [slot](const char* ending) { return absl::StrCat(slot, ending); };
  RETURN_IF_ERROR(reader.Read(name(".weights"), shape.in_dim * shape.out_dim, &plan.weights));
  RETURN_IF_ERROR(reader.Read(name(".scales"), shape.out_dim, &plan.scales));
  RETURN_IF_ERROR(reader.Read(name(".bias"), shape.out_dim, &plan.bias));
  const size_t num_factors = reader.IsEmpty(name(".factors")) ? 0 : shape.in_dim;
  RETURN_IF_ERROR(reader.Read(name(".factors"), num_factors, &plan.input.factors));
  std::vector<double> numbers;
  RETURN_IF_ERROR(reader.Read(name(".numbers"), kNumNumbers, &numbers));
  if (numbers[0] < 0 || numbers[0] > static_cast<double>(RowRange::kFixed)) {
    return absl::DataLossError("checkpoint with an unknown range");
  }
  SetNumbers(numbers, &plan, &layer->reports[slot]);
  return absl::OkStatus();
}

absl::StatusOr<PlannedLayer> ReadLayer(const StagedDirectory& stage, const EncoderConfig& config, size_t layer_idx) {
  ASSIGN_OR_RETURN(const LayerReader reader, LayerReader::Open(stage, layer_idx));
  PlannedLayer layer;
  for (size_t slot = 0; slot < kLinearsPerLayer; ++slot) {
    const LinearShape shape = ShapeOfLinear(config, LinearIdx(layer_idx, static_cast<LinearSlot>(slot)));
    RETURN_IF_ERROR(ReadLinear(reader, slot, shape, &layer));
  }
  return layer;
}

}  // namespace

absl::StatusOr<PlanCheckpoint> PlanCheckpoint::Open(const StagedDirectory* stage, const std::string& fingerprint) {
  PlanCheckpoint checkpoint(stage);
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(stage->staging_path()));
  const auto found = directory->ReadSmallFile(kFingerprintFile, kMaxFingerprintBytes);
  if (found.ok() && *found == fingerprint) return checkpoint;
  // What another run left is of no use, and none of it may get into this one's directory.
  RETURN_IF_ERROR(stage->Empty());
  RETURN_IF_ERROR(stage->WriteText(kFingerprintFile, fingerprint));
  return checkpoint;
}

std::optional<PlannedLayer> PlanCheckpoint::LoadOrNone(const EncoderConfig& config, size_t layer_idx) const {
  absl::StatusOr<PlannedLayer> layer = ReadLayer(*stage_, config, layer_idx);
  return layer.ok() ? std::optional<PlannedLayer>(*std::move(layer)) : std::nullopt;
}

absl::Status PlanCheckpoint::Save(size_t layer_idx, const PlannedLayer& layer) const {
  SafetensorsWriter writer;
  Numbers numbers[kLinearsPerLayer];
  for (size_t slot = 0; slot < kLinearsPerLayer; ++slot) {
    const LinearPlan& plan = layer.linears[slot];
    numbers[slot] = NumbersOf(plan, layer.reports[slot]);
    RETURN_IF_ERROR(writer.Add(absl::StrCat(slot, ".weights"), DType::kI8, {plan.weights.size()},
                               std::span<const int8_t>(plan.weights)));
    RETURN_IF_ERROR(writer.Add(absl::StrCat(slot, ".numbers"), DType::kF64, {numbers[slot].size()},
                               std::span<const double>(numbers[slot])));
    const std::pair<const char*, std::span<const float>> arrays[] = {
        {".scales", plan.scales}, {".bias", plan.bias}, {".factors", plan.input.factors}};
    for (const auto& [name, values] : arrays) {
      RETURN_IF_ERROR(writer.Add(absl::StrCat(slot, name), DType::kF32, {values.size()}, values));
    }
  }
  // Under its name only when it is whole.
  const std::string written = absl::StrCat(LayerFile(layer_idx), ".new");
  stage_->Remove(written);
  RETURN_IF_ERROR(writer.Write(stage_->File(written)));
  return stage_->Rename(written, LayerFile(layer_idx));
}

void PlanCheckpoint::Clear(size_t num_layers) const {
  stage_->Remove(kFingerprintFile);
  for (size_t layer_idx = 0; layer_idx < num_layers; ++layer_idx) stage_->Remove(LayerFile(layer_idx));
}

}  // namespace octet::model
