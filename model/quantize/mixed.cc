#include "model/quantize/mixed.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "kernels/int8_matmul.h"
#include "model/linear_load.h"
#include "model/model_directory.h"

namespace octet::model {
namespace {

using kernels::InputBlock;
using kernels::kMaxProductRows;
using kernels::LinearFactory;
using kernels::LinearKind;

// Blocks timed for each layer and kind; the least of them counts, which is what a quiet machine takes.
constexpr int kTimedRuns = 9;

// Time of a block's quantization, product and epilogue, in nanoseconds.
absl::StatusOr<double> TimeLinear(Isa isa, LinearKind kind, const LinearShape& shape) {
  LinearFactory factory(isa);
  const std::vector<float> weights(shape.in_dim * shape.out_dim, 0.5f), bias(shape.out_dim),
      x(kMaxProductRows * shape.in_dim, 1.0f);
  ASSIGN_OR_RETURN(const auto linear,
                   factory.MakeLinear({.in_dim = shape.in_dim, .out_dim = shape.out_dim, .bias = bias, .f32 = weights},
                                      {.kind = kind}));
  InputBlock input(&factory.kernels(), kMaxProductRows, InputBlock::RowBytes(kind, shape.in_dim));
  kernels::OutputBlock product(factory);
  std::vector<float> y(kMaxProductRows * shape.out_dim);
  absl::Duration least = absl::InfiniteDuration();
  for (int run = 0; run < kTimedRuns; ++run) {
    const MonotonicTime start = SteadyClock::Get().Now();
    input.Start(linear->input(), shape.in_dim);
    input.SetRows(0, kMaxProductRows, x.data());
    linear->Multiply(input, 0, kMaxProductRows, &product);
    linear->FinishRows(input, &product, 0, kMaxProductRows, y.data());
    least = std::min(least, SteadyClock::Get().Now() - start);
  }
  return absl::ToDoubleNanoseconds(least);
}

class MixedSearch {
 public:
  MixedSearch(const MixedOptions& options, const QuantizationPlan& int8, const TokenizedTexts& texts)
      : options_(options), int8_(int8), texts_(texts), num_linears_(int8.linears.size()) {
    const bool has_bf16 = LinearFactory::CheckKind(LinearKind::kBf16, options.model.isa).ok();
    result_.float_kind = has_bf16 ? LinearKind::kBf16 : LinearKind::kF32;
    all_.resize(num_linears_);
    std::iota(all_.begin(), all_.end(), size_t{0});
  }

  absl::StatusOr<MixedResult> Run() {
    // A layer's own damage, then every prefix of the order.
    total_steps_ = 1 + num_linears_ + num_linears_ + 1;
    RETURN_IF_ERROR(TimeKinds());
    ASSIGN_OR_RETURN(reference_, ComputeTexts(*options_.floats, texts_));
    Step();
    RETURN_IF_ERROR(MeasureSensitivity());
    RETURN_IF_ERROR(MeasureCurve());
    result_.num_float = num_linears_;
    for (const CurvePoint& point : result_.curve) {
      if (!point.fidelity.AtLeast(options_.limit)) continue;
      result_.num_float = point.num_float;
      result_.meets_limit = true;
      break;
    }
    return std::move(result_);
  }

 private:
  absl::Status TimeKinds() {
    ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(options_.directory));
    ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*directory));
    for (size_t i = 0; i < num_linears_; ++i) {
      if (i >= kLinearsPerLayer) {  // every encoder layer has the same shapes
        int8_times_.push_back(int8_times_[i % kLinearsPerLayer]);
        float_times_.push_back(float_times_[i % kLinearsPerLayer]);
        continue;
      }
      const LinearShape shape = ShapeOfLinear(config, i);
      ASSIGN_OR_RETURN(const double int8_time, TimeLinear(options_.model.isa, LinearKind::kInt8, shape));
      ASSIGN_OR_RETURN(const double float_time, TimeLinear(options_.model.isa, result_.float_kind, shape));
      int8_times_.push_back(int8_time);
      float_times_.push_back(float_time);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Fidelity> Measure(QuantizationPlan plan) {
    TextModelOptions options = options_.model;
    options.precision = Precision::kInt8;
    options.plan = std::make_shared<const QuantizationPlan>(std::move(plan));
    ASSIGN_OR_RETURN(const auto model, TextModel::Load(options_.directory, options));
    ASSIGN_OR_RETURN(const std::vector<float> vectors, ComputeTexts(*model, texts_));
    Step();
    return CompareOutputs(model->info().task, reference_, vectors, model->head().OutputSize(1));
  }

  absl::Status MeasureSensitivity() {
    result_.sensitivity.resize(num_linears_);
    for (size_t i = 0; i < num_linears_; ++i) {
      std::vector<size_t> others = all_;
      others.erase(others.begin() + static_cast<ptrdiff_t>(i));
      ASSIGN_OR_RETURN(const Fidelity fidelity, Measure(MixedPlan(int8_, others, others.size(), result_.float_kind)));
      result_.sensitivity[i] = 1 - fidelity.cosine_mean;
    }
    result_.order = all_;
    const auto damage_per_time = [this](size_t i) {
      // Floats that are no slower cost nothing to take.
      return result_.sensitivity[i] / std::max(float_times_[i] - int8_times_[i], 1.0);
    };
    std::stable_sort(result_.order.begin(), result_.order.end(),
                     [&](size_t a, size_t b) { return damage_per_time(a) > damage_per_time(b); });
    return absl::OkStatus();
  }

  absl::Status MeasureCurve() {
    const double all_int8 = std::accumulate(int8_times_.begin(), int8_times_.end(), 0.0);
    double time = all_int8;
    for (size_t num_float = 0; num_float <= num_linears_; ++num_float) {
      if (num_float > 0) {
        const size_t last = result_.order[num_float - 1];
        time += float_times_[last] - int8_times_[last];
      }
      ASSIGN_OR_RETURN(const Fidelity fidelity,
                       Measure(MixedPlan(int8_, result_.order, num_float, result_.float_kind)));
      result_.curve.push_back({.num_float = num_float, .fidelity = fidelity, .relative_time = time / all_int8});
    }
    return absl::OkStatus();
  }

  void Step() {
    if (options_.progress) options_.progress(++done_steps_, total_steps_);
  }

  const MixedOptions& options_;
  const QuantizationPlan& int8_;
  const TokenizedTexts& texts_;
  const size_t num_linears_;
  size_t done_steps_ = 0, total_steps_ = 0;
  std::vector<size_t> all_;
  std::vector<double> int8_times_, float_times_;  // of a block, by linear_idx
  std::vector<float> reference_;
  MixedResult result_;
};

}  // namespace

absl::StatusOr<MixedResult> ChooseMixed(const MixedOptions& options, const QuantizationPlan& int8,
                                        const TokenizedTexts& texts) {
  return MixedSearch(options, int8, texts).Run();
}

QuantizationPlan MixedPlan(const QuantizationPlan& int8, const std::vector<size_t>& order, size_t num_float,
                           kernels::LinearKind kind) {
  QuantizationPlan plan = int8;
  for (size_t i = 0; i < num_float; ++i) plan.linears[order[i]] = LinearPlan{.input = {.kind = kind}};
  return plan;
}

}  // namespace octet::model
