// A fixed-size array aligned to cache lines, for weights and scratch. Elements are trivially copyable
// and start uninitialized: Linux gives pages only when they are first touched, so claimed but unused
// scratch costs nothing. Not a container: it never grows.
#ifndef OCTET_BASE_ALIGNED_BUFFER_H_
#define OCTET_BASE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "base/check.h"

namespace octet {

inline constexpr size_t kCacheLineBytes = 64;

template <typename T>
class AlignedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  AlignedBuffer() = default;
  // Precondition: size * sizeof(T) does not overflow; callers with sizes from files check first.
  explicit AlignedBuffer(size_t size) : size_(size) {
    if (size == 0) return;
    const size_t bytes = (size * sizeof(T) + kCacheLineBytes - 1) / kCacheLineBytes * kCacheLineBytes;
    OCTET_CHECK(bytes / sizeof(T) >= size);
    data_.reset(static_cast<T*>(std::aligned_alloc(kCacheLineBytes, bytes)));
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

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace octet

#endif  // OCTET_BASE_ALIGNED_BUFFER_H_
