#include "kernels/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/rounding.h"
#include "base/status_macros.h"
#include "kernels/panels.h"
#include "kernels/scalar_kernels.h"
#include "kernels/vnni_linear.h"

namespace octet::kernels {
namespace {

size_t ElementBytes(LinearKind kind) {
  switch (kind) {
    case LinearKind::kInt8:
      return 1;
    case LinearKind::kBf16:
      return 2;
    case LinearKind::kF32:
      return 4;
  }
  return 4;
}

AlignedBuffer<float> Copy(std::span<const float> values) {
  AlignedBuffer<float> copy(values.size());
  std::copy(values.begin(), values.end(), copy.data());
  return copy;
}

// By an Int8Matmul, whose sums are finished some rows at a time.
class Int8Linear final : public Linear {
 public:
  // scales, bias: [out_dim].
  Int8Linear(const KernelTable* kernels, const Int8Matmul* matmul, size_t matmul_idx, std::span<const float> scales,
             std::span<const float> bias, InputFormat input)
      : kernels_(kernels),
        matmul_(matmul),
        matmul_idx_(matmul_idx),
        input_(std::move(input)),
        column_sums_(bias.size()),
        scales_(Copy(scales)),
        bias_(Copy(bias)) {}

  absl::Status Pack(std::span<const int8_t> weights) {
    SumColumns(weights, in_dim(), column_sums_.span());
    ASSIGN_OR_RETURN(packed_, matmul_->Pack(weights));
    return absl::OkStatus();
  }

  float* FinishRows(const InputBlock& x, OutputBlock* product, size_t first_row, size_t rows, float* y) const override {
    const int32_t* const sums = product->s32() + (first_row - product->first_row()) * out_dim();
    for (size_t r = 0; r < rows; r += kMaxRowsAtOnce) {
      kernels_->dequantize_rows(
          sums + r * out_dim(), x.quantizations(first_row + r), std::min(kMaxRowsAtOnce, rows - r),
          {.column_sums = column_sums_.data(), .weight_scales = scales_.data(), .bias = bias_.data()}, out_dim(),
          y + r * out_dim());
    }
    return y;
  }

  const InputFormat& input() const override { return input_; }
  size_t in_dim() const override { return matmul_->depth(); }
  size_t out_dim() const override { return matmul_->cols(); }
  uint64_t bytes() const override {
    return packed_->bytes() + column_sums_.bytes() + scales_.bytes() + bias_.bytes() + input_.bytes();
  }

 private:
  void MultiplyRows(const InputBlock& x, size_t rows, OutputBlock* out) const override {
    matmul_->Run(x.u8(out->first_row()), *packed_, rows, out->context(matmul_idx_), out->s32());
  }

  const KernelTable* const kernels_;
  const Int8Matmul* const matmul_;
  const size_t matmul_idx_;
  const InputFormat input_;
  std::unique_ptr<PackedInt8Weights> packed_;
  AlignedBuffer<int32_t> column_sums_;
  AlignedBuffer<float> scales_;
  AlignedBuffer<float> bias_;
};

// Products that are sums of floats already, of weights kept in panels of columns, and a bias.
template <typename Element, LinearKind kKind>
class PanelLinear : public Linear {
 public:
  PanelLinear(const KernelTable* kernels, size_t in_dim, std::span<const float> bias, size_t num_elements)
      : kernels_(kernels), in_dim_(in_dim), panels_(num_elements), bias_(Copy(bias)) {
    panels_.Zero();
  }

  float* FinishRows(const InputBlock&, OutputBlock* product, size_t first_row, size_t rows, float* y) const override {
    const float* const sums = product->f32() + (first_row - product->first_row()) * out_dim();
    for (size_t r = 0; r < rows; ++r) {
      kernels_->add_row(sums + r * out_dim(), bias_.data(), out_dim(), y + r * out_dim());
    }
    return y;
  }

  const InputFormat& input() const override { return input_; }
  size_t in_dim() const override { return in_dim_; }
  size_t out_dim() const override { return bias_.size(); }
  uint64_t bytes() const override { return panels_.bytes() + bias_.bytes(); }

 protected:
  const KernelTable* const kernels_;
  const InputFormat input_{.kind = kKind};
  const size_t in_dim_;
  AlignedBuffer<Element> panels_;
  AlignedBuffer<float> bias_;
};

// Weights as panels of gemm_f32_panel_cols output channels, [panel][k][column], zeros past the last channel.
class F32Linear final : public PanelLinear<float, LinearKind::kF32> {
 public:
  F32Linear(const KernelTable* kernels, std::span<const float> weights, std::span<const float> bias, size_t in_dim)
      : PanelLinear(kernels, in_dim, bias, RoundUp(bias.size(), kernels->gemm_f32_panel_cols) * in_dim),
        panel_cols_(kernels->gemm_f32_panel_cols) {
    for (size_t j = 0; j < bias.size(); ++j) {
      float* const panel = panels_.data() + j / panel_cols_ * panel_cols_ * in_dim;
      for (size_t k = 0; k < in_dim; ++k) panel[k * panel_cols_ + j % panel_cols_] = weights[j * in_dim + k];
    }
  }

 private:
  void MultiplyRows(const InputBlock& x, size_t rows, OutputBlock* out) const override {
    for (size_t begin = 0; begin < out_dim(); begin += panel_cols_) {
      const float* const panel = panels_.data() + begin * in_dim_;
      kernels_->gemm_f32({.a = x.f32(out->first_row()),
                          .lda = x.stride(),
                          .b = panel,
                          .ldb = panel_cols_,
                          .c = out->f32() + begin,
                          .ldc = out_dim(),
                          .rows = rows,
                          .cols = std::min(panel_cols_, out_dim() - begin),
                          .depth = in_dim_,
                          .next_b = begin + panel_cols_ < out_dim() ? panel + panel_cols_ * in_dim_ : nullptr});
    }
  }

  const size_t panel_cols_;
};

// As F32Linear, in BF16 with pairs of k interleaved and zeros after the depth (kernel_table.h, GemmBf16).
class Bf16Linear final : public PanelLinear<uint16_t, LinearKind::kBf16> {
 public:
  Bf16Linear(const KernelTable* kernels, std::span<const float> weights, std::span<const float> bias, size_t in_dim)
      : PanelLinear(kernels, in_dim, bias, RoundUp(bias.size(), kBf16PanelCols) * RoundUp(in_dim, kBf16DepthUnit)),
        depth_(RoundUp(in_dim, kBf16DepthUnit)) {
    AlignedBuffer<uint16_t> row(in_dim);
    for (size_t j = 0; j < bias.size(); ++j) {
      kernels_->f32_to_bf16_row(weights.data() + j * in_dim, in_dim, row.data());
      for (size_t k = 0; k < in_dim; ++k) {
        panels_.data()[kLayout.Index(k, j, depth_)] = row.data()[k];
      }
    }
  }

 private:
  void MultiplyRows(const InputBlock& x, size_t rows, OutputBlock* out) const override {
    for (size_t begin = 0; begin < out_dim(); begin += kBf16PanelCols) {
      kernels_->gemm_bf16({.a = x.bf16(out->first_row()),
                           .lda = x.stride(),
                           .b = panels_.data() + begin * depth_,
                           .c = out->f32() + begin,
                           .ldc = out_dim(),
                           .rows = rows,
                           .cols = std::min(kBf16PanelCols, out_dim() - begin),
                           .depth = depth_});
    }
  }

  static constexpr PanelLayout kLayout = {.cols = kBf16PanelCols, .group = 2, .depth_unit = kBf16DepthUnit};
  const size_t depth_;
};

}  // namespace

float QuantizeChannelS8(std::span<const float> weights, int8_t* q) {
  float max = 0;
  for (const float w : weights) max = std::max(max, std::abs(w));
  float scale = max / 127.0f;
  if (scale < 1e-37f) scale = 1;  // zeros, or too small for 1 / scale
  const float factor = 1.0f / scale;
  for (size_t k = 0; k < weights.size(); ++k) {
    q[k] = static_cast<int8_t>(std::clamp(std::lrintf(weights[k] * factor), -127L, 127L));
  }
  return scale;
}

void SumColumns(std::span<const int8_t> weights, size_t depth, std::span<int32_t> sums) {
  for (size_t j = 0; j < sums.size(); ++j) {
    const std::span<const int8_t> channel = weights.subspan(j * depth, depth);
    sums[j] = PairOfSum(std::accumulate(channel.begin(), channel.end(), int32_t{0}));
  }
}

void Linear::StoreRows(const InputBlock& x, OutputBlock* product, size_t first_row, size_t rows, float* y) const {
  const float* const finished = FinishRows(x, product, first_row, rows, y);
  if (finished != y) std::copy_n(finished, rows * out_dim(), y);
}

InputBlock::InputBlock(const KernelTable* kernels, size_t max_rows, size_t row_bytes)
    : kernels_(kernels), bytes_(Bytes(max_rows, row_bytes)), rows_(max_rows) {
  // Rows past the last one set are multiplied too and thrown away; they must only be readable.
  bytes_.Zero();
}

void InputBlock::Start(LinearKind kind, const RowQuantizer& quantizer, size_t depth) {
  kind_ = kind;
  quantizer_ = quantizer;
  depth_ = depth;
}

size_t InputBlock::Stride(LinearKind kind, size_t depth) {
  return kind == LinearKind::kBf16 ? RoundUp(depth, kBf16DepthUnit) : depth;
}

// Of every kind at least its stride, and more for wider elements.
size_t InputBlock::RowBytes(LinearKind kind, size_t max_depth) {
  return RoundUp(max_depth, kBf16DepthUnit) * ElementBytes(kind);
}

size_t InputBlock::Bytes(size_t max_rows, size_t row_bytes) {
  return RoundUp(max_rows, kMaxProductRows) * row_bytes + kInt8OverreadBytes;
}

void InputBlock::SetRows(size_t first_row, size_t rows, const float* x) {
  switch (kind_) {
    case LinearKind::kInt8:
      for (size_t r = 0; r < rows; r += kMaxRowsAtOnce) {
        kernels_->quantize_rows_u8(x + r * depth_, std::min(kMaxRowsAtOnce, rows - r), quantizer_, depth_,
                                   bytes_.data() + (first_row + r) * depth_, rows_.data() + first_row + r);
      }
      break;
    case LinearKind::kBf16:
      for (size_t r = 0; r < rows; ++r) {
        uint16_t* const row = reinterpret_cast<uint16_t*>(bytes_.data()) + (first_row + r) * stride();
        kernels_->f32_to_bf16_row(x + r * depth_, depth_, row);
        std::fill(row + depth_, row + stride(), uint16_t{0});
      }
      break;
    case LinearKind::kF32:
      std::memcpy(bytes_.data() + first_row * depth_ * sizeof(float), x, rows * depth_ * sizeof(float));
      break;
  }
}

OutputBlock::OutputBlock(const LinearFactory& factory) : acc_(kMaxProductRows * factory.max_out_dim()) {
  acc_.Zero();
  for (const auto& matmul : factory.matmuls()) contexts_.push_back(matmul->NewContext());
}

absl::Status LinearFactory::CheckKind(LinearKind kind, Isa isa) {
  if (kind == LinearKind::kBf16 && KernelsFor(isa).gemm_bf16 == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("precision bf16 needs a CPU with BF16 dot products (level avx512_bf16), this process runs at ",
                     IsaName(isa), "; use int8 or f32"));
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> LinearFactory::MatmulIndex(size_t in_dim, size_t out_dim) {
  const auto shape = std::make_pair(in_dim, out_dim);
  if (const auto it = matmul_of_shape_.find(shape); it != matmul_of_shape_.end()) return it->second;
  ASSIGN_OR_RETURN(auto matmul, Int8Matmul::Create(isa_, in_dim, out_dim));
  matmuls_.push_back(std::move(matmul));
  return matmul_of_shape_[shape] = matmuls_.size() - 1;
}

absl::StatusOr<std::unique_ptr<Linear>> LinearFactory::MakeLinear(const LinearWeights& weights, InputFormat input) {
  const size_t in_dim = weights.in_dim, out_dim = weights.out_dim;
  const bool is_quantized = !weights.s8.empty();
  OCTET_CHECK(weights.bias.size() == out_dim && (is_quantized || weights.f32.size() == in_dim * out_dim));
  OCTET_CHECK(!is_quantized || (input.kind == LinearKind::kInt8 && weights.s8.size() == in_dim * out_dim &&
                                weights.scales.size() == out_dim));
  OCTET_CHECK(input.factors.empty() || (input.kind == LinearKind::kInt8 && input.factors.size() == in_dim));
  RETURN_IF_ERROR(CheckKind(input.kind, isa_));
  max_out_dim_ = std::max(max_out_dim_, out_dim);
  switch (input.kind) {
    case LinearKind::kInt8: {
      if (is_quantized) return MakeInt8(weights, weights.s8, weights.scales, std::move(input));
      AlignedBuffer<int8_t> quantized(weights.f32.size(), Lifetime::kShort);
      std::vector<float> scales(out_dim);
      for (size_t j = 0; j < out_dim; ++j) {
        scales[j] = QuantizeChannelS8(weights.f32.subspan(j * in_dim, in_dim), quantized.data() + j * in_dim);
      }
      return MakeInt8(weights, quantized.span(), scales, std::move(input));
    }
    case LinearKind::kBf16:
      has_bf16_ = true;
      return std::make_unique<Bf16Linear>(kernels_, weights.f32, weights.bias, in_dim);
    case LinearKind::kF32:
      has_f32_ = true;
      return std::make_unique<F32Linear>(kernels_, weights.f32, weights.bias, in_dim);
  }
  return absl::InternalError("unknown linear kind");
}

absl::StatusOr<std::unique_ptr<Linear>> LinearFactory::MakeInt8(const LinearWeights& layer,
                                                                std::span<const int8_t> weights,
                                                                std::span<const float> scales, InputFormat input) {
  if (HasVnniLinear(isa_, layer.in_dim)) {
    vnni_shapes_.emplace(layer.in_dim, layer.out_dim);
    return MakeVnniLinear(layer.in_dim, weights, scales, layer.bias, std::move(input));
  }
  ASSIGN_OR_RETURN(const size_t matmul_idx, MatmulIndex(layer.in_dim, layer.out_dim));
  auto linear = std::make_unique<Int8Linear>(kernels_, matmuls_[matmul_idx].get(), matmul_idx, scales, layer.bias,
                                             std::move(input));
  RETURN_IF_ERROR(linear->Pack(weights));
  return linear;
}

uint64_t LinearFactory::LinearBytes(LinearKind kind, Isa isa, uint64_t in_dim, uint64_t out_dim) {
  if (kind == LinearKind::kInt8) return in_dim * out_dim + out_dim * 12;  // sums, scales, bias
  const uint64_t padded_cols =
      RoundUp(out_dim, kind == LinearKind::kBf16 ? kBf16PanelCols : KernelsFor(isa).gemm_f32_panel_cols);
  const uint64_t padded_depth = kind == LinearKind::kBf16 ? RoundUp(in_dim, kBf16DepthUnit) : in_dim;
  return padded_cols * padded_depth * ElementBytes(kind) + out_dim * 4;
}

std::vector<std::string> LinearFactory::implementation_names() const {
  std::vector<std::string> names;
  for (const auto& [in_dim, out_dim] : vnni_shapes_) {
    names.push_back(absl::StrCat("octet:linear_u8s8 vnni ", in_dim, "x", out_dim));
  }
  for (const auto& matmul : matmuls_) {
    names.push_back(absl::StrCat(matmul->implementation_name(), " ", matmul->depth(), "x", matmul->cols()));
  }
  if (has_bf16_) names.push_back(isa_ >= Isa::kAvx512Amx ? "octet:gemm_bf16 amx" : "octet:gemm_bf16");
  if (has_f32_) {
    names.push_back(isa_ == Isa::kScalar ? "scalar"
                    : isa_ == Isa::kAvx2 ? "octet:gemm_f32 avx2"
                                         : "octet:gemm_f32 avx512");
  }
  return names;
}

}  // namespace octet::kernels
