#include "model/float_convert.h"

#include <bit>

namespace octet::model {
namespace {

// The top bit is set exactly for NaN and infinity: with the sign gone, adding 1 to the exponent
// overflows into it only when all exponent bits are ones.
uint32_t NonFiniteBit(uint32_t bits) { return (bits & 0x7FFFFFFFu) + 0x00800000u; }

bool TopBitClear(uint32_t bits) { return bits >> 31 == 0; }

}  // namespace

bool AllFinite(std::span<const float> values) {
  uint32_t bad = 0;
  for (const float value : values) bad |= NonFiniteBit(std::bit_cast<uint32_t>(value));
  return TopBitClear(bad);
}

bool ConvertF16(std::span<const uint16_t> in, std::span<float> out) {
  uint32_t bad = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const uint32_t half = in[i];
    // f16 exponents are biased by 15, f32's by 127: the shifted bits are 2^112 too small, and the product
    // with 2^112 is exact, also for subnormals.
    const float magnitude = std::bit_cast<float>((half & 0x7FFFu) << 13) * 0x1p112f;
    out[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | (half & 0x8000u) << 16);
    bad |= ((half & 0x7FFFu) + 0x0400u) << 16;  // NonFiniteBit with the f16 exponent
  }
  return TopBitClear(bad);
}

bool ConvertBf16(std::span<const uint16_t> in, std::span<float> out) {
  uint32_t bad = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    const uint32_t bits = uint32_t{in[i]} << 16;
    out[i] = std::bit_cast<float>(bits);
    bad |= NonFiniteBit(bits);
  }
  return TopBitClear(bad);
}

bool ConvertF64(std::span<const double> in, std::span<float> out) {
  uint32_t bad = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    out[i] = static_cast<float>(in[i]);
    bad |= NonFiniteBit(std::bit_cast<uint32_t>(out[i]));
  }
  return TopBitClear(bad);
}

}  // namespace octet::model
