// A linear layer over a block of rows, y = x W^T + b, in one of three arithmetics. The block's input is
// prepared row by row by whoever produces it (quantized, rounded or copied while in cache), the product
// goes to block-sized scratch, and its rows are finished one at a time, where the caller fuses what
// follows. No matrix larger than a block is ever written here.
#ifndef OCTET_KERNELS_LINEAR_H_
#define OCTET_KERNELS_LINEAR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/aligned_buffer.h"
#include "base/cpu_isa.h"
#include "kernels/int8_matmul.h"
#include "kernels/kernel_table.h"

namespace octet::kernels {

enum class LinearKind {
  kInt8,  // u8 per row x s8 per output channel, s32 sums
  kBf16,  // BF16 factors, f32 sums
  kF32,
};

// The input of one or more linear layers: up to kMaxBlockRows rows of up to max_depth values in the
// representation of `kind`. One thread's scratch.
class InputBlock {
 public:
  InputBlock(LinearKind kind, const KernelTable* kernels, size_t max_depth);

  // Rows that follow have `depth` values; at most max_depth.
  void Start(size_t depth) { depth_ = depth; }
  // x: [depth].
  void SetRow(size_t row_idx, const float* x);

  size_t depth() const { return depth_; }
  const uint8_t* u8() const { return bytes_.data(); }
  RowQuantization quantization(size_t row_idx) const { return rows_[row_idx]; }
  const float* f32() const { return reinterpret_cast<const float*>(bytes_.data()); }
  const uint16_t* bf16() const { return reinterpret_cast<const uint16_t*>(bytes_.data()); }
  // Elements between rows: depth, made even for BF16.
  size_t stride() const { return kind_ == LinearKind::kBf16 ? (depth_ + 1) / 2 * 2 : depth_; }

  static size_t ScratchBytes(LinearKind kind, size_t max_depth);

 private:
  const LinearKind kind_;
  const KernelTable* const kernels_;
  size_t depth_ = 0;
  AlignedBuffer<uint8_t> bytes_;
  std::vector<RowQuantization> rows_;
};

// What the layers of one model share: kernels, and one Int8Matmul per shape. Immutable once the layers
// are made; must outlive them.
class LinearFactory;

// Where products of any layer of a factory go: s32 or f32 [kMaxBlockRows, max_cols]. One thread's scratch.
class OutputBlock {
 public:
  explicit OutputBlock(const LinearFactory& factory);

  int32_t* s32() { return acc_.data(); }
  const int32_t* s32() const { return acc_.data(); }
  float* f32() { return reinterpret_cast<float*>(acc_.data()); }
  const float* f32() const { return reinterpret_cast<const float*>(acc_.data()); }
  Int8Matmul::Context* context(size_t matmul_idx) { return contexts_[matmul_idx].get(); }

 private:
  AlignedBuffer<int32_t> acc_;
  std::vector<std::unique_ptr<Int8Matmul::Context>> contexts_;  // per Int8Matmul of the factory
};

// Immutable and thread-safe.
class Linear {
 public:
  virtual ~Linear() = default;
  // Products of the first `rows` rows (1..kMaxBlockRows) of `x`, whose depth is in_dim, into `out`.
  virtual void Multiply(const InputBlock& x, size_t rows, OutputBlock* out) const = 0;
  // y: [out_dim], f32: row `row_idx` of the last product, scaled and with bias.
  virtual void FinishRow(const InputBlock& x, const OutputBlock& product, size_t row_idx, float* y) const = 0;
  virtual size_t in_dim() const = 0;
  virtual size_t out_dim() const = 0;
  virtual uint64_t bytes() const = 0;  // kept: weights, scales, bias
};

class LinearFactory {
 public:
  // FailedPrecondition when `kind` needs instructions that `isa` lacks.
  static absl::StatusOr<std::unique_ptr<LinearFactory>> Create(LinearKind kind, Isa isa);

  // weights: [out_dim, in_dim], f32, finite; bias: [out_dim]. Both are read, neither is kept as is.
  // Int8: q = round_half_even(w / scale), scale = max|w| / 127 per output channel, 1 for a row of zeros.
  absl::StatusOr<std::unique_ptr<Linear>> MakeLinear(std::span<const float> weights, std::span<const float> bias,
                                                     size_t in_dim, size_t out_dim);

  // Bytes that MakeLinear's result keeps, without the padding that oneDNN may add.
  static uint64_t LinearBytes(LinearKind kind, Isa isa, uint64_t in_dim, uint64_t out_dim);

  LinearKind kind() const { return kind_; }
  const KernelTable& kernels() const { return *kernels_; }
  size_t max_out_dim() const { return max_out_dim_; }
  std::span<const std::unique_ptr<Int8Matmul>> matmuls() const { return matmuls_; }
  // E.g. "brg:avx512_core_vnni 384x1536", one per shape.
  std::vector<std::string> implementation_names() const;

 private:
  LinearFactory(LinearKind kind, Isa isa) : kind_(kind), isa_(isa), kernels_(&KernelsFor(isa)) {}
  absl::StatusOr<size_t> MatmulIndex(size_t in_dim, size_t out_dim);

  const LinearKind kind_;
  const Isa isa_;
  const KernelTable* const kernels_;
  size_t max_out_dim_ = 0;
  std::vector<std::unique_ptr<Int8Matmul>> matmuls_;
  std::map<std::pair<size_t, size_t>, size_t> matmul_of_shape_;  // (in_dim, out_dim) -> index
};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_LINEAR_H_
