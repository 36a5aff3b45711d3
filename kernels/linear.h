// A linear layer over a block of rows, y = x W^T + b, in one of three arithmetics. Each layer says how it wants
// its input; the block's input is prepared so, some rows at a time, by whoever produces it (quantized, rounded or copied
// while in cache), the product of some of its rows goes to scratch, and they are finished a few at a time, where the
// caller fuses what follows. No matrix larger than kMaxProductRows rows is ever written here.
#ifndef OCTET_KERNELS_LINEAR_H_
#define OCTET_KERNELS_LINEAR_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
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

// How a linear layer wants its input.
struct InputFormat {
  LinearKind kind = LinearKind::kInt8;
  // These of kInt8 only.
  RowRange range = RowRange::kAsymmetric;
  RowQuantization fixed = {};       // of RowRange::kFixed
  std::vector<float> factors = {};  // [in_dim], or empty: the input is multiplied by them first (kernel_table.h)

  // Borrows the factors.
  RowQuantizer quantizer() const {
    return {.range = range, .fixed = fixed, .factors = factors.empty() ? nullptr : factors.data()};
  }
  uint64_t bytes() const { return factors.size() * sizeof(float); }
};

// The input of a linear layer: some rows in the format that the layer wants. One thread's scratch.
class InputBlock {
 public:
  // For up to `max_rows` rows. `row_bytes`: the most that RowBytes gives for the layers to come.
  InputBlock(const KernelTable* kernels, size_t max_rows, size_t row_bytes);

  // Rows that follow have `depth` values in `format`, which must outlive them.
  void Start(const InputFormat& format, size_t depth) { Start(format.kind, format.quantizer(), depth); }
  void Start(LinearKind kind, const RowQuantizer& quantizer, size_t depth);
  // x: [rows, depth], from row `first_row` of the block on.
  void SetRows(size_t first_row, size_t rows, const float* x);

  size_t depth() const { return depth_; }
  // Rows from `row_idx` on.
  const uint8_t* u8(size_t row_idx) const { return bytes_.data() + row_idx * depth_; }
  const float* f32(size_t row_idx) const { return reinterpret_cast<const float*>(bytes_.data()) + row_idx * depth_; }
  const uint16_t* bf16(size_t row_idx) const {
    return reinterpret_cast<const uint16_t*>(bytes_.data()) + row_idx * stride();
  }
  const RowQuantization* quantizations(size_t first_row) const { return rows_.data() + first_row; }
  // Elements between rows.
  size_t stride() const { return Stride(kind_, depth_); }

  static size_t RowBytes(LinearKind kind, size_t max_depth);
  // What a block holds of memory.
  static size_t Bytes(size_t max_rows, size_t row_bytes);

 private:
  // `depth`, with zeros up to a multiple of kBf16DepthUnit for BF16.
  static size_t Stride(LinearKind kind, size_t depth);

  const KernelTable* const kernels_;
  LinearKind kind_ = LinearKind::kInt8;
  RowQuantizer quantizer_;
  size_t depth_ = 0;
  AlignedBuffer<uint8_t> bytes_;
  std::vector<RowQuantization> rows_;
};

// One output channel of int8 weights: q[k] = round_half_even(weights[k] / scale); returns the scale, max|w| / 127, or
// 1 when all are zero. q: [weights.size()].
float QuantizeChannelS8(std::span<const float> weights, int8_t* q);
// sums[j] = PairOfSum of weights[j]'s sum; weights: [sums.size(), depth].
void SumColumns(std::span<const int8_t> weights, size_t depth, std::span<int32_t> sums);

// What the layers of one model share: kernels, and one Int8Matmul per shape that needs one. Immutable once the layers
// are made; must outlive them.
class LinearFactory;

// Where products of any layer of a factory go: s32 or f32 [kMaxProductRows, max_cols]. One thread's scratch.
class OutputBlock {
 public:
  explicit OutputBlock(const LinearFactory& factory);

  int32_t* s32() { return acc_.data(); }
  const int32_t* s32() const { return acc_.data(); }
  float* f32() { return reinterpret_cast<float*>(acc_.data()); }
  const float* f32() const { return reinterpret_cast<const float*>(acc_.data()); }
  Int8Matmul::Context* context(size_t matmul_idx) { return contexts_[matmul_idx].get(); }
  // Of the input's rows, the one that the first row of the product belongs to.
  void set_first_row(size_t row_idx) { first_row_ = row_idx; }
  size_t first_row() const { return first_row_; }

 private:
  size_t first_row_ = 0;
  AlignedBuffer<int32_t> acc_;
  std::vector<std::unique_ptr<Int8Matmul::Context>> contexts_;  // per Int8Matmul of the factory
};

// Immutable and thread-safe once it multiplies.
class Linear {
 public:
  virtual ~Linear() = default;
  // Products of `rows` rows (1..kMaxProductRows) of `x`, whose depth is in_dim, from row `first_row` on, into `out`.
  void Multiply(const InputBlock& x, size_t first_row, size_t rows, OutputBlock* out) const {
    out->set_first_row(first_row);
    MultiplyRows(x, rows, out);
  }
  // The last product's rows of x's rows from `first_row` on, scaled and with bias: f32, [rows, out_dim]. They are in `y`,
  // or in `product` if the layer finishes rows as it multiplies. The caller may overwrite them.
  virtual float* FinishRows(const InputBlock& x, OutputBlock* product, size_t first_row, size_t rows,
                            float* y) const = 0;
  // As FinishRows, in `y` in any case.
  void StoreRows(const InputBlock& x, OutputBlock* product, size_t first_row, size_t rows, float* y) const;
  // Before the first product: whether the layer can, and from now on does, give its rows KernelTable::gelu_erf_short_row as it
  // multiplies.
  virtual bool FuseShortGelu() { return false; }
  // Rows of a product, at most kMaxProductRows, at which the layer is fastest where there are many.
  virtual size_t product_rows() const { return kMaxProductRows; }
  virtual const InputFormat& input() const = 0;
  virtual size_t in_dim() const = 0;
  virtual size_t out_dim() const = 0;
  virtual uint64_t bytes() const = 0;  // kept: weights, scales, bias

 private:
  // From out->first_row() on.
  virtual void MultiplyRows(const InputBlock& x, size_t rows, OutputBlock* out) const = 0;
};

// The values of a layer, read and not kept as they are. bias: [out_dim]. One of two forms of the weights, which
// apply to the input after its factors:
struct LinearWeights {
  size_t in_dim = 0, out_dim = 0;
  std::span<const float> bias = {};
  // f32, finite, [out_dim, in_dim]. For int8, q = round_half_even(w / scale), scale = max|w| / 127 per output
  // channel, 1 for a row of zeros.
  std::span<const float> f32 = {};
  // Or quantized already (kInt8 only): [out_dim, in_dim] and one scale per output channel, > 0.
  std::span<const int8_t> s8 = {};
  std::span<const float> scales = {};
};

class LinearFactory {
 public:
  explicit LinearFactory(Isa isa) : isa_(isa), kernels_(&KernelsFor(isa)) {}

  // FailedPrecondition when `kind` needs instructions that `isa` lacks.
  static absl::Status CheckKind(LinearKind kind, Isa isa);

  // As CheckKind, and Internal or ResourceExhausted from oneDNN.
  absl::StatusOr<std::unique_ptr<Linear>> MakeLinear(const LinearWeights& weights, InputFormat input);

  // Bytes that MakeLinear's result keeps, without the padding of panels and of oneDNN.
  static uint64_t LinearBytes(LinearKind kind, Isa isa, uint64_t in_dim, uint64_t out_dim);

  const KernelTable& kernels() const { return *kernels_; }
  size_t max_out_dim() const { return max_out_dim_; }
  std::span<const std::unique_ptr<Int8Matmul>> matmuls() const { return matmuls_; }
  // E.g. "octet:linear_u8s8 vnni 384x1536" for each shape of int8, "octet:gemm_f32 avx2" for all of f32.
  std::vector<std::string> implementation_names() const;

 private:
  // Of `layer` only the sizes and the bias count.
  absl::StatusOr<std::unique_ptr<Linear>> MakeInt8(const LinearWeights& layer, std::span<const int8_t> weights,
                                                   std::span<const float> scales, InputFormat input);
  absl::StatusOr<size_t> MatmulIndex(size_t in_dim, size_t out_dim);

  const Isa isa_;
  const KernelTable* const kernels_;
  size_t max_out_dim_ = 0;
  bool has_bf16_ = false, has_f32_ = false;
  std::set<std::pair<size_t, size_t>> vnni_shapes_;  // (in_dim, out_dim) of VNNI layers, which need no Int8Matmul
  std::vector<std::unique_ptr<Int8Matmul>> matmuls_;
  std::map<std::pair<size_t, size_t>, size_t> matmul_of_shape_;  // (in_dim, out_dim) -> index
};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_LINEAR_H_
