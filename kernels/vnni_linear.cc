#include "kernels/vnni_linear.h"

#include <algorithm>
#include <utility>

#include "base/rounding.h"
#include "kernels/int8_panel_weights.h"
#include "kernels/simd_kernels.h"

namespace octet::kernels {
namespace {

// With zeros up to `size`.
AlignedBuffer<float> Padded(std::span<const float> values, size_t size) {
  AlignedBuffer<float> padded(size);
  padded.Zero();
  std::copy(values.begin(), values.end(), padded.data());
  return padded;
}

class VnniLinear final : public Linear {
 public:
  VnniLinear(size_t in_dim, std::span<const int8_t> weights, std::span<const float> scales, std::span<const float> bias,
             InputFormat input)
      : in_dim_(in_dim),
        out_dim_(bias.size()),
        input_(std::move(input)),
        panels_(weights, in_dim, out_dim_, kVnniU8S8Layout),
        column_sums_(RoundUp(out_dim_, kVnniU8S8Layout.cols)),
        scales_(Padded(scales, column_sums_.size())),
        bias_(Padded(bias, column_sums_.size())) {
    column_sums_.Zero();
    SumColumns(weights, in_dim, column_sums_.span().first(out_dim_));
  }

  float* FinishRows(const InputBlock&, OutputBlock* product, size_t first_row, size_t, float*) const override {
    return product->f32() + (first_row - product->first_row()) * out_dim_;
  }

  bool FuseShortGelu() override { return has_gelu_ = true; }

  // The sums of more push weights and the rest of the block out of L2, fewer read the weights too often (docs/decisions/0010).
  size_t product_rows() const override { return 32; }

  const InputFormat& input() const override { return input_; }
  size_t in_dim() const override { return in_dim_; }
  size_t out_dim() const override { return out_dim_; }
  uint64_t bytes() const override {
    return panels_.bytes() + column_sums_.bytes() + scales_.bytes() + bias_.bytes() + input_.bytes();
  }

 private:
  void MultiplyRows(const InputBlock& x, size_t rows, OutputBlock* out) const override {
    VnniLinearU8S8()(
        {.a = x.u8(out->first_row()),
         .quantizations = x.quantizations(out->first_row()),
         .b = panels_.data(),
         .columns = {.column_sums = column_sums_.data(), .weight_scales = scales_.data(), .bias = bias_.data()},
         .has_gelu = has_gelu_,
         .y = out->f32(),
         .rows = rows,
         .cols = out_dim_,
         .depth = in_dim_});
  }

  const size_t in_dim_, out_dim_;
  const InputFormat input_;
  const Int8PanelWeights panels_;
  AlignedBuffer<int32_t> column_sums_;
  AlignedBuffer<float> scales_, bias_;
  bool has_gelu_ = false;
};

}  // namespace

bool HasVnniLinear(Isa isa, size_t in_dim) {
  return isa >= Isa::kAvx512Vnni && isa < Isa::kAvx512Amx && in_dim % kVnniU8S8Layout.group == 0;
}

std::unique_ptr<Linear> MakeVnniLinear(size_t in_dim, std::span<const int8_t> weights, std::span<const float> scales,
                                       std::span<const float> bias, InputFormat input) {
  return std::make_unique<VnniLinear>(in_dim, weights, scales, bias, std::move(input));
}

}  // namespace octet::kernels
