// The int8 matrix product: u8 activations x s8 weights -> exact s32. One Int8Matmul per (depth, cols) serves all
// layers of that shape, except at VNNI levels, whose layers mostly need none (vnni_linear.h). With AMX it is an own kernel on
// tiles, else from VNNI on oneDNN's: a primitive per number of rows, made at load, and weights packed once in a layout that all
// of them accept. Without VNNI oneDNN's u8 x s8 kernels saturate in 16
// bits once |sum of two products| > 32767; there an own kernel multiplies 16-bit factors, whose pairs of
// products are summed in 32 bits. At level scalar it is the plain reference. docs/decisions/0010 has why.
#ifndef OCTET_KERNELS_INT8_MATMUL_H_
#define OCTET_KERNELS_INT8_MATMUL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cpu_isa.h"

namespace octet::kernels {

// Rows of the largest product: its sums stay in L2 for the epilogue (64 x 1536 x 4 bytes = 384 KB).
inline constexpr size_t kMaxProductRows = 64;
// So many bytes after its input a product may read, and ignores them.
inline constexpr size_t kInt8OverreadBytes = 64;

// Caps oneDNN at `isa` for the life of the process and checks that it took effect. Must come before any
// other use of oneDNN; calling again with the same level is fine, with another is FailedPrecondition.
absl::Status LimitOneDnn(Isa isa);

// What oneDNN says it runs at, e.g. "avx512_core_vnni"; "none" before LimitOneDnn or at level scalar.
std::string OneDnnIsaName();

// Weights of one layer in the layout of its Int8Matmul. Immutable.
class PackedInt8Weights {
 public:
  virtual ~PackedInt8Weights() = default;
  virtual size_t bytes() const = 0;
};

// Immutable after Create and thread-safe; every thread runs with a Context of its own.
class Int8Matmul {
 public:
  // Scratch and argument records of one thread.
  class Context {
   public:
    virtual ~Context() = default;
  };

  // FailedPrecondition when LimitOneDnn was not called for `isa`; Internal when oneDNN offers only a
  // reference kernel for the shape, or when numbers of rows disagree about the weight layout.
  static absl::StatusOr<std::unique_ptr<Int8Matmul>> Create(Isa isa, size_t depth, size_t cols);
  virtual ~Int8Matmul() = default;

  // weights: [cols, depth] s8, dense; copied.
  virtual absl::StatusOr<std::unique_ptr<PackedInt8Weights>> Pack(std::span<const int8_t> weights) const = 0;

  virtual std::unique_ptr<Context> NewContext() const = 0;

  // acc[r, j] = sum over k of a[r, k] * weights[j, k] for the `rows` first rows, 1..kMaxProductRows.
  // Rows are rounded up to a prepared number: 4, then multiples of 8.
  // a: [rounded rows, depth], 64-byte aligned, and kInt8OverreadBytes more; rows past `rows` may hold anything.
  // acc: [rounded rows, cols], 64-byte aligned; rows past `rows` are overwritten with anything.
  virtual void Run(const uint8_t* a, const PackedInt8Weights& weights, size_t rows, Context* context,
                   int32_t* acc) const = 0;

  // The kernels behind them, e.g. "octet:gemm_u8s8 amx", "brg:avx512_core_vnni", "s16:avx2", "scalar".
  virtual std::string implementation_name() const = 0;
  size_t depth() const { return depth_; }
  size_t cols() const { return cols_; }

 protected:
  Int8Matmul(size_t depth, size_t cols) : depth_(depth), cols_(cols) {}

 private:
  const size_t depth_, cols_;
};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_INT8_MATMUL_H_
