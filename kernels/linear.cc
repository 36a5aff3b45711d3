#include "kernels/linear.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "kernels/pair_panels.h"
#include "kernels/scalar_kernels.h"

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

class Int8Linear final : public Linear {
 public:
  Int8Linear(const KernelTable* kernels, const Int8Matmul* matmul, size_t matmul_idx, std::span<const float> bias)
      : kernels_(kernels),
        matmul_(matmul),
        matmul_idx_(matmul_idx),
        column_sums_(bias.size()),
        scales_(bias.size()),
        bias_(Copy(bias)) {}

  absl::Status Pack(std::span<const float> weights) {
    const size_t depth = in_dim();
    AlignedBuffer<int8_t> quantized(weights.size());
    for (size_t j = 0; j < out_dim(); ++j) {
      QuantizeChannel(weights.subspan(j * depth, depth), j, quantized.data() + j * depth);
    }
    ASSIGN_OR_RETURN(packed_, matmul_->Pack(quantized.span()));
    return absl::OkStatus();
  }

  void Multiply(const InputBlock& x, size_t rows, OutputBlock* out) const override {
    matmul_->Run(x.u8(), *packed_, rows, out->context(matmul_idx_), out->s32());
  }

  void FinishRow(const InputBlock& x, const OutputBlock& product, size_t row_idx, float* y) const override {
    kernels_->dequantize_row(
        product.s32() + row_idx * out_dim(), x.quantization(row_idx),
        {.column_sums = column_sums_.data(), .weight_scales = scales_.data(), .bias = bias_.data()}, out_dim(), y);
  }

  size_t in_dim() const override { return matmul_->depth(); }
  size_t out_dim() const override { return matmul_->cols(); }
  uint64_t bytes() const override { return packed_->bytes() + column_sums_.bytes() + scales_.bytes() + bias_.bytes(); }

 private:
  void QuantizeChannel(std::span<const float> w, size_t channel, int8_t* q) {
    float max = 0;
    for (const float v : w) max = std::max(max, std::abs(v));
    float scale = max / 127.0f;
    if (scale < 1e-37f) scale = 1;  // zeros, or too small for 1 / scale
    const float factor = 1.0f / scale;
    int32_t sum = 0;
    for (size_t k = 0; k < w.size(); ++k) {
      q[k] = static_cast<int8_t>(std::clamp(std::lrintf(w[k] * factor), -127L, 127L));
      sum += q[k];
    }
    scales_[channel] = scale;
    column_sums_[channel] = sum;
  }

  const KernelTable* const kernels_;
  const Int8Matmul* const matmul_;
  const size_t matmul_idx_;
  std::unique_ptr<PackedInt8Weights> packed_;
  AlignedBuffer<int32_t> column_sums_;
  AlignedBuffer<float> scales_;
  AlignedBuffer<float> bias_;
};

// Weights as panels of gemm_f32_panel_cols output channels, [panel][k][column], zeros past the last channel.
class F32Linear final : public Linear {
 public:
  F32Linear(const KernelTable* kernels, std::span<const float> weights, std::span<const float> bias, size_t in_dim)
      : kernels_(kernels),
        in_dim_(in_dim),
        panel_cols_(kernels->gemm_f32_panel_cols),
        panels_(RoundUp(bias.size(), panel_cols_) * in_dim),
        bias_(Copy(bias)) {
    std::fill(panels_.data(), panels_.data() + panels_.size(), 0.0f);
    for (size_t j = 0; j < bias.size(); ++j) {
      float* const panel = panels_.data() + j / panel_cols_ * panel_cols_ * in_dim;
      for (size_t k = 0; k < in_dim; ++k) panel[k * panel_cols_ + j % panel_cols_] = weights[j * in_dim + k];
    }
  }

  void Multiply(const InputBlock& x, size_t rows, OutputBlock* out) const override {
    for (size_t begin = 0; begin < out_dim(); begin += panel_cols_) {
      kernels_->gemm_f32({.a = x.f32(),
                          .lda = x.stride(),
                          .b = panels_.data() + begin * in_dim_,
                          .ldb = panel_cols_,
                          .c = out->f32() + begin,
                          .ldc = out_dim(),
                          .rows = rows,
                          .cols = std::min(panel_cols_, out_dim() - begin),
                          .depth = in_dim_});
    }
  }

  void FinishRow(const InputBlock&, const OutputBlock& product, size_t row_idx, float* y) const override {
    kernels_->add_row(product.f32() + row_idx * out_dim(), bias_.data(), out_dim(), y);
  }

  size_t in_dim() const override { return in_dim_; }
  size_t out_dim() const override { return bias_.size(); }
  uint64_t bytes() const override { return panels_.bytes() + bias_.bytes(); }

 private:
  const KernelTable* const kernels_;
  const size_t in_dim_, panel_cols_;
  AlignedBuffer<float> panels_;
  AlignedBuffer<float> bias_;
};

// As F32Linear, in BF16 with pairs of k interleaved (kernel_table.h, GemmBf16); odd depths get a zero.
class Bf16Linear final : public Linear {
 public:
  Bf16Linear(const KernelTable* kernels, std::span<const float> weights, std::span<const float> bias, size_t in_dim)
      : kernels_(kernels),
        in_dim_(in_dim),
        depth_(RoundUp(in_dim, 2)),
        panels_(RoundUp(bias.size(), kBf16PanelCols) * depth_),
        bias_(Copy(bias)) {
    std::fill(panels_.data(), panels_.data() + panels_.size(), uint16_t{0});
    AlignedBuffer<uint16_t> row(in_dim);
    for (size_t j = 0; j < bias.size(); ++j) {
      kernels_->f32_to_bf16_row(weights.data() + j * in_dim, in_dim, row.data());
      for (size_t k = 0; k < in_dim; ++k) {
        panels_.data()[PairPanelIndex(k, j, depth_, kBf16PanelCols)] = row.data()[k];
      }
    }
  }

  void Multiply(const InputBlock& x, size_t rows, OutputBlock* out) const override {
    for (size_t begin = 0; begin < out_dim(); begin += kBf16PanelCols) {
      kernels_->gemm_bf16({.a = x.bf16(),
                           .lda = x.stride(),
                           .b = panels_.data() + begin * depth_,
                           .c = out->f32() + begin,
                           .ldc = out_dim(),
                           .rows = rows,
                           .cols = std::min(kBf16PanelCols, out_dim() - begin),
                           .depth = depth_});
    }
  }

  void FinishRow(const InputBlock&, const OutputBlock& product, size_t row_idx, float* y) const override {
    kernels_->add_row(product.f32() + row_idx * out_dim(), bias_.data(), out_dim(), y);
  }

  size_t in_dim() const override { return in_dim_; }
  size_t out_dim() const override { return bias_.size(); }
  uint64_t bytes() const override { return panels_.bytes() + bias_.bytes(); }

 private:
  const KernelTable* const kernels_;
  const size_t in_dim_, depth_;
  AlignedBuffer<uint16_t> panels_;
  AlignedBuffer<float> bias_;
};

}  // namespace

InputBlock::InputBlock(LinearKind kind, const KernelTable* kernels, size_t max_depth)
    : kind_(kind), kernels_(kernels), bytes_(ScratchBytes(kind, max_depth)), rows_(kMaxBlockRows) {
  // Rows past the last one set are multiplied too and thrown away; they must only be readable.
  std::memset(bytes_.data(), 0, bytes_.bytes());
}

size_t InputBlock::ScratchBytes(LinearKind kind, size_t max_depth) {
  return kMaxBlockRows * (max_depth + 1) / 2 * 2 * ElementBytes(kind);
}

void InputBlock::SetRow(size_t row_idx, const float* x) {
  switch (kind_) {
    case LinearKind::kInt8:
      rows_[row_idx] = kernels_->quantize_row_u8(x, depth_, bytes_.data() + row_idx * depth_);
      break;
    case LinearKind::kBf16: {
      uint16_t* const row = reinterpret_cast<uint16_t*>(bytes_.data()) + row_idx * stride();
      kernels_->f32_to_bf16_row(x, depth_, row);
      if (stride() != depth_) row[depth_] = 0;
      break;
    }
    case LinearKind::kF32:
      std::memcpy(bytes_.data() + row_idx * depth_ * sizeof(float), x, depth_ * sizeof(float));
      break;
  }
}

OutputBlock::OutputBlock(const LinearFactory& factory) : acc_(kMaxBlockRows * factory.max_out_dim()) {
  std::memset(acc_.data(), 0, acc_.bytes());
  for (const auto& matmul : factory.matmuls()) contexts_.push_back(matmul->NewContext());
}

absl::StatusOr<std::unique_ptr<LinearFactory>> LinearFactory::Create(LinearKind kind, Isa isa) {
  std::unique_ptr<LinearFactory> factory(new LinearFactory(kind, isa));
  if (kind == LinearKind::kBf16 && factory->kernels_->gemm_bf16 == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("precision bf16 needs a CPU with BF16 dot products (level avx512_bf16), this process runs at ",
                     IsaName(isa), "; use int8 or f32"));
  }
  return factory;
}

absl::StatusOr<size_t> LinearFactory::MatmulIndex(size_t in_dim, size_t out_dim) {
  const auto shape = std::make_pair(in_dim, out_dim);
  if (const auto it = matmul_of_shape_.find(shape); it != matmul_of_shape_.end()) return it->second;
  ASSIGN_OR_RETURN(auto matmul, Int8Matmul::Create(isa_, in_dim, out_dim));
  matmuls_.push_back(std::move(matmul));
  return matmul_of_shape_[shape] = matmuls_.size() - 1;
}

absl::StatusOr<std::unique_ptr<Linear>> LinearFactory::MakeLinear(std::span<const float> weights,
                                                                  std::span<const float> bias, size_t in_dim,
                                                                  size_t out_dim) {
  OCTET_CHECK(weights.size() == in_dim * out_dim && bias.size() == out_dim);
  max_out_dim_ = std::max(max_out_dim_, out_dim);
  switch (kind_) {
    case LinearKind::kInt8: {
      ASSIGN_OR_RETURN(const size_t matmul_idx, MatmulIndex(in_dim, out_dim));
      auto linear = std::make_unique<Int8Linear>(kernels_, matmuls_[matmul_idx].get(), matmul_idx, bias);
      RETURN_IF_ERROR(linear->Pack(weights));
      return linear;
    }
    case LinearKind::kBf16:
      return std::make_unique<Bf16Linear>(kernels_, weights, bias, in_dim);
    case LinearKind::kF32:
      return std::make_unique<F32Linear>(kernels_, weights, bias, in_dim);
  }
  return absl::InternalError("unknown linear kind");
}

uint64_t LinearFactory::LinearBytes(LinearKind kind, Isa isa, uint64_t in_dim, uint64_t out_dim) {
  if (kind == LinearKind::kInt8) return in_dim * out_dim + out_dim * 12;  // sums, scales, bias
  const uint64_t padded_cols =
      RoundUp(out_dim, kind == LinearKind::kBf16 ? kBf16PanelCols : KernelsFor(isa).gemm_f32_panel_cols);
  const uint64_t padded_depth = kind == LinearKind::kBf16 ? RoundUp(in_dim, 2) : in_dim;
  return padded_cols * padded_depth * ElementBytes(kind) + out_dim * 4;
}

std::vector<std::string> LinearFactory::implementation_names() const {
  std::vector<std::string> names;
  for (const auto& matmul : matmuls_) {
    names.push_back(absl::StrCat(matmul->implementation_name(), " ", matmul->depth(), "x", matmul->cols()));
  }
  if (kind_ == LinearKind::kBf16) names.push_back("octet:gemm_bf16");
  if (kind_ == LinearKind::kF32) {
    names.push_back(isa_ == Isa::kScalar ? "scalar"
                    : isa_ == Isa::kAvx2 ? "octet:gemm_f32 avx2"
                                         : "octet:gemm_f32 avx512");
  }
  return names;
}

}  // namespace octet::kernels
