#include "model/content_hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace octet::model {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

// 2^64 divided by the golden ratio, made odd: multiplication by an odd number is a bijection mod 2^64.
constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15;

}  // namespace

ContentHash::ContentHash() : pending_{} {
  for (size_t i = 0; i < kNumLanes; ++i) lanes_[i] = kMultiplier * (2 * i + 1);
}

void ContentHash::AddBlocks(const std::byte* data, size_t num_blocks) {
  std::array<uint64_t, kNumLanes> lanes = lanes_;  // in registers; members would be stored each step
  for (size_t block = 0; block < num_blocks; ++block, data += kBlockBytes) {
    for (size_t i = 0; i < kNumLanes; ++i) {
      uint64_t word;
      std::memcpy(&word, data + i * sizeof(word), sizeof(word));
      lanes[i] = std::rotl((lanes[i] ^ word) * kMultiplier, 29);
    }
  }
  lanes_ = lanes;
}

void ContentHash::Update(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  const size_t held = num_bytes_ % kBlockBytes;
  num_bytes_ += bytes.size();
  if (held != 0) {
    const size_t taken = std::min(kBlockBytes - held, bytes.size());
    std::memcpy(pending_.data() + held, bytes.data(), taken);
    bytes = bytes.subspan(taken);
    if (held + taken < kBlockBytes) return;
    AddBlocks(pending_.data(), 1);
  }
  const size_t num_blocks = bytes.size() / kBlockBytes;
  AddBlocks(bytes.data(), num_blocks);
  const std::span<const std::byte> rest = bytes.subspan(num_blocks * kBlockBytes);
  if (!rest.empty()) std::memcpy(pending_.data(), rest.data(), rest.size());
}

ContentHash::Value ContentHash::Get() const {
  ContentHash last = *this;
  const size_t held = num_bytes_ % kBlockBytes;
  if (held != 0) {
    std::fill(last.pending_.begin() + static_cast<ptrdiff_t>(held), last.pending_.end(), std::byte{0});
    last.AddBlocks(last.pending_.data(), 1);
  }
  return {last.lanes_, num_bytes_};
}

}  // namespace octet::model
