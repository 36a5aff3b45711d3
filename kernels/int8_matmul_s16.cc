// The int8 product where there is no VNNI: activations widened to s16 once a block, weights widened on their way
// into registers, pairs of products summed in s32 (PMADDWD). |a b| <= 255 * 127, so nothing can saturate.

#include "absl/strings/str_cat.h"
#include "base/aligned_buffer.h"
#include "base/rounding.h"
#include "kernels/int8_matmul_kinds.h"
#include "kernels/int8_panel_weights.h"
#include "kernels/simd_kernels.h"

namespace octet::kernels {
namespace {

constexpr PanelLayout kLayout = {.cols = kS16PanelCols, .group = 2, .depth_unit = 2};

class S16Context final : public Int8Matmul::Context {
 public:
  explicit S16Context(size_t size) : wide(size) {}
  AlignedBuffer<int16_t> wide;  // [kMaxProductRows, wide_depth]
};

class S16Int8Matmul final : public Int8Matmul {
 public:
  S16Int8Matmul(Isa isa, size_t depth, size_t cols)
      : Int8Matmul(depth, cols),
        isa_(isa),
        gemm_(SimdGemmS16S8(isa)),
        wide_depth_(RoundUp(depth, kLayout.depth_unit)) {}

  absl::StatusOr<std::unique_ptr<PackedInt8Weights>> Pack(std::span<const int8_t> weights) const override {
    return std::make_unique<Int8PanelWeights>(weights, depth(), cols(), kLayout);
  }

  std::unique_ptr<Context> NewContext() const override {
    return std::make_unique<S16Context>(kMaxProductRows * wide_depth_);
  }

  void Run(const uint8_t* a, const PackedInt8Weights& weights, size_t rows, Context* context,
           int32_t* acc) const override {
    int16_t* const wide = static_cast<S16Context*>(context)->wide.data();
    for (size_t r = 0; r < rows; ++r) {
      int16_t* const row = wide + r * wide_depth_;
      for (size_t k = 0; k < depth(); ++k) row[k] = a[r * depth() + k];
      if (wide_depth_ != depth()) row[depth()] = 0;
    }
    gemm_({.a = wide,
           .b = static_cast<const Int8PanelWeights&>(weights).data(),
           .c = acc,
           .rows = rows,
           .cols = cols(),
           .depth = wide_depth_});
  }

  std::string implementation_name() const override {
    const absl::string_view level = IsaName(isa_);
    return absl::StrCat("s16:", level);
  }

 private:
  const Isa isa_;
  void (*const gemm_)(const GemmS16S8&);
  const size_t wide_depth_;
};

}  // namespace

std::unique_ptr<Int8Matmul> MakeS16Int8Matmul(Isa isa, size_t depth, size_t cols) {
  return std::make_unique<S16Int8Matmul>(isa, depth, cols);
}

}  // namespace octet::kernels
