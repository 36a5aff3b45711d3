// Memory for large arrays, in huge pages where the system gives them (transparent_hugepage: madvise or always): products read
// weights from L3, where every 4 KB needs an address translation. Arrays lie one after the other in regions, since most are
// smaller than a huge page. What is freed goes back to the system at once, though addresses are used again only when all of
// their region is free. Arrays that are gone soon have regions of their own: among those that stay they would leave holes, and
// split the huge pages around them. Thread-safe.
#ifndef OCTET_BASE_LARGE_MEMORY_H_
#define OCTET_BASE_LARGE_MEMORY_H_

#include <cstddef>

namespace octet {

// Where an array begins: a multiple of this.
inline constexpr size_t kCacheLineBytes = 64;

// kShort: gone before others of its kind are wanted, such as what is read while a model is loaded. One region of them is kept
// for the next ones.
enum class Lifetime { kLong, kShort };

// At least `bytes`, not 0. Null when there is no memory.
void* AllocateLarge(size_t bytes, Lifetime lifetime);
// Of AllocateLarge, with the same `bytes` and `lifetime`.
void FreeLarge(void* memory, size_t bytes, Lifetime lifetime);
// Gives the region that is kept back to the system, if nothing is in it.
void ReleaseShortLived();

}  // namespace octet

#endif  // OCTET_BASE_LARGE_MEMORY_H_
