#include "model/float_convert.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "model/content_hash.h"

namespace octet::model {
namespace {

// The definition of IEEE 754 binary16, by arithmetic.
double HalfValue(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(FloatConvertTest, EveryHalfMatchesItsDefinition) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    float value;
    const bool finite = ConvertF16({&half, 1}, {&value, 1});
    ASSERT_EQ(finite, (half & 0x7C00) != 0x7C00) << bits;
    if (finite) {
      ASSERT_EQ(static_cast<double>(value), HalfValue(half)) << bits;
    }
  }
}

TEST(FloatConvertTest, EveryBf16IsTheUpperHalfOfAnF32) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const uint16_t half = static_cast<uint16_t>(bits);
    float value;
    const bool finite = ConvertBf16({&half, 1}, {&value, 1});
    ASSERT_EQ(std::bit_cast<uint32_t>(value), bits << 16);
    ASSERT_EQ(finite, std::isfinite(value)) << bits;
  }
}

TEST(FloatConvertTest, FindsOneBadValueAtEveryPosition) {
  for (size_t size = 1; size <= 70; ++size) {
    for (size_t bad = 0; bad < size; ++bad) {
      std::vector<float> values(size, 3e38f);
      EXPECT_TRUE(AllFinite(values));
      values[bad] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_FALSE(AllFinite(values)) << size << " " << bad;
    }
  }
}

TEST(FloatConvertTest, DoubleBeyondFloatIsNotFinite) {
  const double values[] = {3.4e38, 1e-320, -0.5};
  float out[3];
  EXPECT_TRUE(ConvertF64(values, out));
  EXPECT_EQ(out[2], -0.5f);
  const double big = 1e39;
  EXPECT_FALSE(ConvertF64({&big, 1}, {out, 1}));
}

std::vector<std::byte> SomeBytes(size_t size) {
  std::vector<std::byte> bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 37 + i / 251);
  return bytes;
}

TEST(ContentHashTest, DoesNotDependOnHowTheStreamIsCut) {
  const std::vector<std::byte> bytes = SomeBytes(1000);
  ContentHash whole;
  whole.Update(bytes);
  for (size_t step = 1; step < 200; ++step) {
    ContentHash parts;
    for (size_t i = 0; i < bytes.size(); i += step) {
      parts.Update(std::span(bytes).subspan(i, std::min(step, bytes.size() - i)));
    }
    EXPECT_EQ(parts.Get().lanes, whole.Get().lanes) << step;
    EXPECT_EQ(parts.Get().num_bytes, 1000u);
  }
}

TEST(ContentHashTest, EveryFlippedBitChangesIt) {
  std::vector<std::byte> bytes = SomeBytes(200);
  ContentHash original;
  original.Update(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const std::byte mask{static_cast<unsigned char>(1 << bit % 8)};
    bytes[bit / 8] ^= mask;
    ContentHash flipped;
    flipped.Update(bytes);
    EXPECT_NE(flipped.Get().lanes, original.Get().lanes) << bit;
    bytes[bit / 8] ^= mask;
  }
}

}  // namespace
}  // namespace octet::model
