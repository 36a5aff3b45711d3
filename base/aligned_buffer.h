// A fixed-size array aligned to cache lines, for weights and scratch. Elements are trivially copyable
// and start uninitialized: Linux gives pages only when they are first touched, so claimed but unused
// scratch costs nothing. Large ones are not taken from the heap (large_memory.h), so that their memory goes back to
// the system when they go (glibc's heap kept 60 MB of a freed workspace). Not a container: it never grows.
#ifndef OCTET_BASE_ALIGNED_BUFFER_H_
#define OCTET_BASE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "base/check.h"
#include "base/large_memory.h"
#include "base/rounding.h"

namespace octet {

template <typename T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  // Precondition: size * sizeof(T) does not overflow; callers with sizes from files check first.
  explicit AlignedBuffer(size_t size, Lifetime lifetime = Lifetime::kLong) : size_(size) {
    if (size == 0) return;
    const size_t bytes = RoundUp(size * sizeof(T), kCacheLineBytes);
    OCTET_CHECK(bytes / sizeof(T) >= size);
    data_ = std::unique_ptr<T, Free>(static_cast<T*>(Allocate(bytes, lifetime)), Free{bytes, lifetime});
    if (data_ == nullptr) throw std::bad_alloc();
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }
  bool empty() const { return size_ == 0; }
  T& operator[](size_t i) { return data_.get()[i]; }
  const T& operator[](size_t i) const { return data_.get()[i]; }
  std::span<T> span() { return {data(), size_}; }
  std::span<const T> span() const { return {data(), size_}; }
  // All bytes, which also makes every page resident.
  void Zero() {
    if (!empty()) std::memset(data(), 0, bytes());
  }

 private:
  // Under AddressSanitizer everything is on the heap, where it sees what runs past the end.
#if defined(__SANITIZE_ADDRESS__)
  static bool IsLarge(size_t) { return false; }
#else
  static bool IsLarge(size_t bytes) { return bytes >= size_t{64} << 10; }
#endif

  // Null when there is no memory.
  static void* Allocate(size_t bytes, Lifetime lifetime) {
    return IsLarge(bytes) ? AllocateLarge(bytes, lifetime) : std::aligned_alloc(kCacheLineBytes, bytes);
  }

  struct Free {
    size_t bytes = 0;
    Lifetime lifetime = Lifetime::kLong;
    void operator()(T* p) const {
      if (IsLarge(bytes)) {
        FreeLarge(p, bytes, lifetime);
      } else {
        std::free(p);
      }
    }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace octet

#endif  // OCTET_BASE_ALIGNED_BUFFER_H_
