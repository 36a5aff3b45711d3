#include "kernels/int8_matmul.h"

#include <cstring>

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "kernels/int8_matmul_kinds.h"
#include "kernels/scalar_kernels.h"

namespace octet::kernels {
namespace {

class DensePackedWeights final : public PackedInt8Weights {
 public:
  explicit DensePackedWeights(std::span<const int8_t> weights) : weights_(weights.size()) {
    std::memcpy(weights_.data(), weights.data(), weights.size());
  }
  size_t bytes() const override { return weights_.bytes(); }
  const int8_t* data() const { return weights_.data(); }

 private:
  AlignedBuffer<int8_t> weights_;
};

class ScalarInt8Matmul final : public Int8Matmul {
 public:
  ScalarInt8Matmul(size_t depth, size_t cols) : Int8Matmul(depth, cols) {}

  absl::StatusOr<std::unique_ptr<PackedInt8Weights>> Pack(std::span<const int8_t> weights) const override {
    OCTET_CHECK(weights.size() == depth() * cols());
    return std::make_unique<DensePackedWeights>(weights);
  }
  std::unique_ptr<Context> NewContext() const override { return std::make_unique<Context>(); }
  void Run(const uint8_t* a, const PackedInt8Weights& weights, size_t rows, Context*, int32_t* acc) const override {
    MatmulU8S8Scalar(a, static_cast<const DensePackedWeights&>(weights).data(), rows, cols(), depth(), acc);
  }
  std::string implementation_name() const override { return "scalar"; }
};

}  // namespace

absl::StatusOr<std::unique_ptr<Int8Matmul>> Int8Matmul::Create(Isa isa, size_t depth, size_t cols) {
  RETURN_IF_ERROR(LimitOneDnn(isa));
  if (isa == Isa::kScalar) return std::make_unique<ScalarInt8Matmul>(depth, cols);
  if (isa < Isa::kAvx512Vnni) return MakeS16Int8Matmul(isa, depth, cols);
  if (isa >= Isa::kAvx512Amx) return MakeAmxInt8Matmul(depth, cols);
  return MakeOneDnnInt8Matmul(depth, cols);
}

}  // namespace octet::kernels
