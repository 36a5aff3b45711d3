// Memory for large arrays, in huge pages where the system gives them (transparent_hugepage: madvise or always): products read
// weights from L3, where every 4 KB needs an address translation. Arrays lie one after the other in regions, since most are
// smaller than a huge page. What is freed goes back to the system at once, though addresses are used again only when all of
// their region is free. Thread-safe.
#ifndef OCTET_BASE_LARGE_MEMORY_H_
#define OCTET_BASE_LARGE_MEMORY_H_

#include <cstddef>

namespace octet {

// Where an array begins: a multiple of this.
inline constexpr size_t kCacheLineBytes = 64;

// At least `bytes`, not 0. Null when there is no memory.
void* AllocateLarge(size_t bytes);
// Of AllocateLarge, with the same `bytes`.
void FreeLarge(void* memory, size_t bytes);

}  // namespace octet

#endif  // OCTET_BASE_LARGE_MEMORY_H_
