// The invariance check itself is checked: an engine whose activation ranges are shared by the rows of a
// batch, as in runtimes that quantize a whole tensor at once, must fail it. This program replaces KernelsFor
// at link time by one whose quantization widens each row's range to that of the row before.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/scalar_kernels.h"
#include "tests/model/encoder_invariance.h"
#include "tests/model/tiny_model.h"

namespace octet::kernels {
namespace {

void QuantizeWithSharedRange(const float* x, size_t rows, const RowQuantizer& quantizer, size_t n, uint8_t* q,
                             RowQuantization* quantizations) {
  if (rows > 1) {
    QuantizeWithSharedRange(x, rows - 1, quantizer, n, q, quantizations);
    x += (rows - 1) * n;
    q += (rows - 1) * n;
    quantizations += rows - 1;
  }
  thread_local float min = 0, max = 0;
  const auto [row_min, row_max] = std::minmax_element(x, x + n);
  std::vector<float> widened(x, x + n);
  widened.push_back(min);
  widened.push_back(max);
  min = *row_min;
  max = *row_max;
  std::vector<uint8_t> quantized(n + 2);
  ScalarKernels().quantize_rows_u8(widened.data(), 1, quantizer, n + 2, quantized.data(), quantizations);
  std::copy_n(quantized.begin(), n, q);
}

}  // namespace

const KernelTable& KernelsFor(Isa) {
  static const KernelTable table = [] {
    KernelTable mutant = ScalarKernels();
    mutant.quantize_rows_u8 = QuantizeWithSharedRange;
    return mutant;
  }();
  return table;
}

}  // namespace octet::kernels

namespace octet::model {
namespace {

TEST(EncoderInvarianceMutantTest, SharedRangesAreCaught) {
  octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(), {.max_seq_length = 0});
  const InvarianceOptions options{.directory = dir.path(), .num_texts = 20, .max_batch_tokens = 200};
  const InvarianceResult result = RunInvariance(options);
  std::printf("%zu differing bytes in %zu comparisons\n", result.differing_bytes, result.compared_texts);
  EXPECT_GT(result.differing_bytes, 1000u);
}

}  // namespace
}  // namespace octet::model
