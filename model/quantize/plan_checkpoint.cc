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
#include "model/model_directory.h"
#include "model/safetensors.h"
#include "model/safetensors_writer.h"

namespace octet::model {
namespace {

constexpr char kFingerprintFile[] = "checkpoint.txt";
constexpr uint64_t kMaxFingerprintBytes = 64 << 10;

std::string LayerFile(size_t layer_idx) { return absl::StrCat("checkpoint_layer_", layer_idx, ".safetensors"); }

// Everything of a linear layer's plan and report that is a number but not an array: range, scale and zero point of a
// fixed one, then the report in its order.
using Numbers = std::array<double, 7>;

Numbers NumbersOf(const LinearPlan& plan, const LinearReport& report) {
  return {static_cast<double>(plan.input.range),
          static_cast<double>(plan.input.fixed.scale),
          static_cast<double>(plan.input.fixed.zero_point),
          report.alpha,
          report.signal,
          report.error_dynamic,
          report.error};
}

void SetNumbers(const Numbers& numbers, LinearPlan* plan, LinearReport* report) {
  plan->input.range = static_cast<kernels::RowRange>(static_cast<int>(numbers[0]));
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

  template <typename T>
  absl::Status Read(const std::string& name, std::vector<T>* values) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return absl::DataLossError(absl::StrCat("checkpoint without ", name));
    values->resize((found->second.end - found->second.begin) / sizeof(T));
    return file_->ReadAt(found->second.begin, std::as_writable_bytes(std::span(*values)));
  }

 private:
  std::unique_ptr<ModelDirectory> directory_;
  std::unique_ptr<ModelFile> file_;
  std::map<std::string, TensorInfo> tensors_;
};

absl::Status ReadLinear(const LayerReader& reader, size_t slot, LinearPlan* plan, LinearReport* report) {
  RETURN_IF_ERROR(reader.Read(absl::StrCat(slot, ".weights"), &plan->weights));
  RETURN_IF_ERROR(reader.Read(absl::StrCat(slot, ".scales"), &plan->scales));
  RETURN_IF_ERROR(reader.Read(absl::StrCat(slot, ".bias"), &plan->bias));
  RETURN_IF_ERROR(reader.Read(absl::StrCat(slot, ".factors"), &plan->input.factors));
  std::vector<Numbers> numbers;
  RETURN_IF_ERROR(reader.Read(absl::StrCat(slot, ".numbers"), &numbers));
  if (numbers.size() != 1) return absl::DataLossError("checkpoint with other numbers");
  SetNumbers(numbers[0], plan, report);
  return absl::OkStatus();
}

absl::StatusOr<PlannedLayer> ReadLayer(const StagedDirectory& stage, size_t layer_idx) {
  ASSIGN_OR_RETURN(const LayerReader reader, LayerReader::Open(stage, layer_idx));
  PlannedLayer layer;
  for (size_t slot = 0; slot < kLinearsPerLayer; ++slot) {
    RETURN_IF_ERROR(ReadLinear(reader, slot, &layer.linears[slot], &layer.reports[slot]));
  }
  return layer;
}

}  // namespace

PlanCheckpoint::PlanCheckpoint(const StagedDirectory* stage, size_t num_layers, std::string fingerprint)
    : stage_(*stage), num_layers_(num_layers) {
  const auto directory = ModelDirectory::Open(stage_.staging_path());
  if (directory.ok()) {
    const auto found = (*directory)->ReadSmallFile(kFingerprintFile, kMaxFingerprintBytes);
    if (found.ok() && *found == fingerprint) return;
  }
  Clear();
  // Without it the next run begins anew, no more.
  (void)stage_.WriteText(kFingerprintFile, fingerprint);
}

std::optional<PlannedLayer> PlanCheckpoint::LoadOrNone(size_t layer_idx) const {
  absl::StatusOr<PlannedLayer> layer = ReadLayer(stage_, layer_idx);
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
  stage_.Remove(written);
  RETURN_IF_ERROR(writer.Write(stage_.File(written)));
  return stage_.Rename(written, LayerFile(layer_idx));
}

void PlanCheckpoint::Clear() const {
  stage_.Remove(kFingerprintFile);
  for (size_t layer_idx = 0; layer_idx < num_layers_; ++layer_idx) {
    stage_.Remove(LayerFile(layer_idx));
    stage_.Remove(absl::StrCat(LayerFile(layer_idx), ".new"));
  }
}

}  // namespace octet::model
