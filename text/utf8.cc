#include "text/utf8.h"

#include <cstdint>
#include <cstring>

namespace octet::text {
namespace {

// Length of the valid sequence at `p`, or 0. The ranges of the second byte exclude overlong forms,
// surrogates and values above U+10FFFF (Unicode 15, table 3-7).
size_t SequenceLength(const uint8_t* p, size_t available) {
  const auto continues = [&](size_t i) { return (p[i] & 0xC0) == 0x80; };
  const uint8_t lead = p[0];
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return available >= 2 && continues(1) ? 2 : 0;
  if (lead < 0xF0) {
    if (available < 3 || !continues(1) || !continues(2)) return 0;
    if (lead == 0xE0 && p[1] < 0xA0) return 0;
    if (lead == 0xED && p[1] > 0x9F) return 0;
    return 3;
  }
  if (lead > 0xF4 || available < 4 || !continues(1) || !continues(2) || !continues(3)) return 0;
  if (lead == 0xF0 && p[1] < 0x90) return 0;
  if (lead == 0xF4 && p[1] > 0x8F) return 0;
  return 4;
}

}  // namespace

std::optional<size_t> FindInvalidUtf8(absl::string_view s) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(s.data());
  size_t i = 0;
  while (i < s.size()) {
    // Eight ASCII bytes at a time: most text is mostly ASCII.
    uint64_t word;
    while (s.size() - i >= sizeof(word)) {
      std::memcpy(&word, bytes + i, sizeof(word));
      if ((word & 0x8080808080808080u) != 0) break;
      i += sizeof(word);
    }
    if (i == s.size()) break;
    const size_t length = SequenceLength(bytes + i, s.size() - i);
    if (length == 0) return i;
    i += length;
  }
  return std::nullopt;
}

}  // namespace octet::text
