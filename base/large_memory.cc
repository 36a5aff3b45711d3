#include "base/large_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/mutex.h"
#include "base/rounding.h"

namespace octet {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;  // of x86-64
// Only address space until it is touched.
constexpr size_t kRegionBytes = size_t{128} << 20;
// Larger arrays have a region of their own, so that no more than this is left unused at a region's end. Regions begin alike, and
// arrays that begin alike compete for the same sets of a cache: few are that large.
constexpr size_t kMaxSharedBytes = kRegionBytes / 4;

// `size` bytes at a multiple of kHugePageBytes, or null.
std::byte* Map(size_t size) {
  const size_t mapped = size + kHugePageBytes;
  void* const p = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(p);
  const size_t before =
      RoundUp(reinterpret_cast<uintptr_t>(begin), kHugePageBytes) - reinterpret_cast<uintptr_t>(begin);
  if (before > 0) munmap(begin, before);
  munmap(begin + before + size, mapped - before - size);
  madvise(begin + before, size, MADV_HUGEPAGE);  // advice: a kernel without them has small ones
  return begin + before;
}

class Regions {
 public:
  // keeps_one: a region that nothing is in any more stays, with its pages, for what comes next.
  explicit Regions(bool keeps_one) : keeps_one_(keeps_one) {}

  void* Allocate(size_t bytes) {
    bytes = RoundUp(bytes, kCacheLineBytes);
    const MutexLock lock(&mu_);
    if (bytes > kMaxSharedBytes) return Take(AddRegion(RoundUp(bytes, page_bytes_)), bytes);
    if (current_ == regions_.end() || current_->second.size - current_->second.used < bytes) {
      current_ = AddRegion(kRegionBytes);
    }
    return Take(current_, bytes);
  }

  void Free(void* memory, size_t bytes) {
    bytes = RoundUp(bytes, kCacheLineBytes);
    auto* const begin = static_cast<std::byte*>(memory);
    const MutexLock lock(&mu_);
    const auto after = regions_.upper_bound(begin);
    OCTET_CHECK(after != regions_.begin());
    const auto it = std::prev(after);
    Region& region = it->second;
    const auto offset = static_cast<size_t>(begin - it->first);
    OCTET_CHECK(offset + bytes <= region.used);
    const auto [free_begin, free_end] = region.Free(offset, offset + bytes);
    if (keeps_one_ && it == current_) return;
    if (region.used == 0) return Unmap(it);
    // Whole pages that nothing has a part of any more: a page that stays would become a huge one again, with time.
    const size_t first = std::max(RoundUp(free_begin, page_bytes_), offset / page_bytes_ * page_bytes_);
    const size_t end = std::min(free_end / page_bytes_ * page_bytes_, RoundUp(offset + bytes, page_bytes_));
    if (first < end) madvise(it->first + first, end - first, MADV_DONTNEED);
  }

  void ReleaseKept() {
    const MutexLock lock(&mu_);
    if (current_ != regions_.end() && current_->second.used == 0) Unmap(current_);
  }

 private:
  // All in bytes, from its begin on. Arrays lie in the first `used`, but for what is in `freed`: ranges by their begin, with their end,
  // that do not touch each other. Addresses of these are not used again: where a huge page was split the next array would have small ones.
  struct Region {
    size_t size, used = 0;
    std::map<size_t, size_t> freed = {};

    // All that is free around [begin, end), which was an array.
    std::pair<size_t, size_t> Free(size_t begin, size_t end) {
      auto next = freed.lower_bound(begin);
      if (next != freed.end() && next->first == end) {
        end = next->second;
        next = freed.erase(next);
      }
      if (next != freed.begin() && std::prev(next)->second == begin) {
        begin = std::prev(next)->first;
        freed.erase(std::prev(next));
      }
      if (begin == 0 && end == used) {
        used = 0;
      } else {
        freed[begin] = end;
      }
      return {begin, end};
    }
  };

  using RegionsByBegin = std::map<std::byte*, Region>;

  // The end where there is no memory.
  RegionsByBegin::iterator AddRegion(size_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::byte* const begin = Map(size);
    if (begin == nullptr) return regions_.end();
    return regions_.insert({begin, {.size = size}}).first;
  }

  void Unmap(RegionsByBegin::iterator it) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (it == current_) current_ = regions_.end();
    munmap(it->first, it->second.size);
    regions_.erase(it);
  }

  void* Take(RegionsByBegin::iterator it, size_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (it == regions_.end()) return nullptr;
    Region& region = it->second;
    std::byte* const memory = it->first + region.used;
    region.used += bytes;
    return memory;
  }

  const bool keeps_one_;
  const size_t page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  Mutex mu_;
  RegionsByBegin regions_ ABSL_GUARDED_BY(mu_);
  RegionsByBegin::iterator current_ ABSL_GUARDED_BY(mu_) = regions_.end();  // whose free end is used next
};

// Never destroyed: arrays of static objects are freed late.
Regions& RegionsOf(Lifetime lifetime) {
  static auto* const lasting = new Regions(/*keeps_one=*/false);
  static auto* const short_lived = new Regions(/*keeps_one=*/true);
  return lifetime == Lifetime::kLong ? *lasting : *short_lived;
}

}  // namespace

void* AllocateLarge(size_t bytes, Lifetime lifetime) { return RegionsOf(lifetime).Allocate(bytes); }
void FreeLarge(void* memory, size_t bytes, Lifetime lifetime) { RegionsOf(lifetime).Free(memory, bytes); }
void ReleaseShortLived() { RegionsOf(Lifetime::kShort).ReleaseKept(); }

}  // namespace octet
