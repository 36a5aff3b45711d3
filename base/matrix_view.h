// A borrowed row-major matrix: pointer, rows, columns and the distance between rows. Cheap to copy,
// owns nothing; the memory must outlive the view.
#ifndef OCTET_BASE_MATRIX_VIEW_H_
#define OCTET_BASE_MATRIX_VIEW_H_

#include <cstddef>
#include <span>
#include <type_traits>

namespace octet {

template <typename T>
class MatrixView {
 public:
  MatrixView() = default;
  MatrixView(T* data, size_t rows, size_t cols) : MatrixView(data, rows, cols, cols) {}
  // `stride` is in elements, at least `cols`.
  MatrixView(T* data, size_t rows, size_t cols, size_t stride)
      : data_(data), rows_(rows), cols_(cols), stride_(stride) {}
  // A view of mutable elements is also a view of const ones.
  template <typename U>
  requires std::is_same_v<const U, T> MatrixView(const MatrixView<U>& other)  // NOLINT(google-explicit-constructor)
      : MatrixView(other.data(), other.rows(), other.cols(), other.stride()) {}

  T* data() const { return data_; }
  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  size_t stride() const { return stride_; }
  std::span<T> Row(size_t row_idx) const { return {data_ + row_idx * stride_, cols_}; }
  // Rows [begin, begin + count).
  MatrixView Rows(size_t begin, size_t count) const { return {data_ + begin * stride_, count, cols_, stride_}; }

 private:
  T* data_ = nullptr;
  size_t rows_ = 0;
  size_t cols_ = 0;
  size_t stride_ = 0;
};

}  // namespace octet

#endif  // OCTET_BASE_MATRIX_VIEW_H_
