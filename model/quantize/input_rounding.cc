#include "model/quantize/input_rounding.h"

#include <bit>
#include <cstdint>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/scalar_kernels.h"

namespace octet::model {
namespace {

using kernels::LinearKind;

void RoundToU8(Isa isa, const kernels::InputFormat& format, std::span<const float> x, float gain, std::span<float> y) {
  std::vector<uint8_t> q(x.size());
  kernels::RowQuantization row;
  kernels::KernelsFor(isa).quantize_rows_u8(x.data(), 1, format.quantizer(), x.size(), q.data(), &row);
  const float scale = row.scale * gain;
  for (size_t c = 0; c < q.size(); ++c) y[c] = scale * static_cast<float>(int32_t{q[c]} - row.zero_point);
}

void RoundToBf16(std::span<const float> x, float gain, std::span<float> y) {
  std::vector<uint16_t> halves(x.size());
  // The reference: every level that has BF16 rounds alike, and the others' tables have no such kernel.
  kernels::ScalarKernels().f32_to_bf16_row(x.data(), x.size(), halves.data());
  for (size_t c = 0; c < y.size(); ++c) y[c] = gain * std::bit_cast<float>(static_cast<uint32_t>(halves[c]) << 16);
}

}  // namespace

void RoundInputRow(Isa isa, const kernels::InputFormat& format, std::span<const float> x, float gain,
                   std::span<float> y) {
  switch (format.kind) {
    case LinearKind::kInt8:
      return RoundToU8(isa, format, x, gain, y);
    case LinearKind::kBf16:
      return RoundToBf16(x, gain, y);
    case LinearKind::kF32:
      for (size_t c = 0; c < y.size(); ++c) y[c] = gain * x[c];
      return;
  }
}

}  // namespace octet::model
