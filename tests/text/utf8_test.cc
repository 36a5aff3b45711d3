#include "text/utf8.h"

#include <cstdint>
#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace octet::text {
namespace {

// A slow decoder that shares nothing with the code under test: decode by lead byte, then check that the
// value is allowed and that the length is the shortest.
std::optional<size_t> SlowFindInvalid(const std::string& s) {
  size_t i = 0;
  while (i < s.size()) {
    const uint8_t lead = static_cast<uint8_t>(s[i]);
    size_t length = 0;
    uint32_t value = 0;
    if (lead < 0x80) {
      length = 1, value = lead;
    } else if ((lead & 0xE0) == 0xC0) {
      length = 2, value = lead & 0x1F;
    } else if ((lead & 0xF0) == 0xE0) {
      length = 3, value = lead & 0x0F;
    } else if ((lead & 0xF8) == 0xF0) {
      length = 4, value = lead & 0x07;
    } else {
      return i;
    }
    if (i + length > s.size()) return i;
    for (size_t k = 1; k < length; ++k) {
      const uint8_t next = static_cast<uint8_t>(s[i + k]);
      if ((next & 0xC0) != 0x80) return i;
      value = value << 6 | (next & 0x3F);
    }
    const size_t shortest = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
    if (length != shortest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return i;
    i += length;
  }
  return std::nullopt;
}

TEST(Utf8Test, AgreesWithSlowReferenceOnAllStringsUpToThreeBytes) {
  EXPECT_EQ(FindInvalidUtf8(""), std::nullopt);
  for (size_t length = 1; length <= 3; ++length) {
    const uint32_t count = 1u << (8 * length);
    for (uint32_t bits = 0; bits < count; ++bits) {
      std::string s(length, '\0');
      for (size_t i = 0; i < length; ++i) s[i] = static_cast<char>(bits >> (8 * i));
      if (FindInvalidUtf8(s) != SlowFindInvalid(s)) FAIL() << std::hex << bits << " length " << length;
    }
  }
}

TEST(Utf8Test, AgreesWithSlowReferenceOnFourByteSequences) {
  for (uint32_t lead = 0xF0; lead <= 0xFF; ++lead) {
    for (uint32_t second = 0; second < 256; ++second) {
      for (const uint32_t third : {0x00, 0x7F, 0x80, 0xBF, 0xC0}) {
        for (const uint32_t fourth : {0x00, 0x7F, 0x80, 0xBF, 0xC0}) {
          const std::string s = {static_cast<char>(lead), static_cast<char>(second), static_cast<char>(third),
                                 static_cast<char>(fourth)};
          ASSERT_EQ(FindInvalidUtf8(s), SlowFindInvalid(s)) << lead << " " << second;
        }
      }
    }
  }
}

TEST(Utf8Test, FindsTheBadByteAtEveryPositionOfAnAsciiRun) {
  for (size_t length = 1; length <= 40; ++length) {
    for (size_t bad = 0; bad < length; ++bad) {
      std::string s(length, 'a');
      s[bad] = '\xff';
      ASSERT_EQ(FindInvalidUtf8(s), bad);
    }
    EXPECT_EQ(FindInvalidUtf8(std::string(length, '\0')), std::nullopt);
  }
}

}  // namespace
}  // namespace octet::text
