// What tests of a kernel table's rows have in common: a fixture for each level that this machine has, beside the plain reference.
#ifndef OCTET_TESTS_KERNELS_KERNEL_TABLE_TEST_H_
#define OCTET_TESTS_KERNELS_KERNEL_TABLE_TEST_H_

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "base/cpu_isa.h"
#include "kernels/kernel_table.h"
#include "kernels/scalar_kernels.h"

namespace octet::kernels {

inline constexpr size_t kMaxCols = 130;  // eight 512-bit vectors and a tail
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

class KernelTableTest : public testing::TestWithParam<Isa> {
 protected:
  const KernelTable& kernels_ = KernelsFor(GetParam());
  const KernelTable& reference_ = ScalarKernels();
};

inline std::string NameOfLevel(const testing::TestParamInfo<Isa>& isa) { return std::string(IsaName(isa.param)); }

}  // namespace octet::kernels

#endif  // OCTET_TESTS_KERNELS_KERNEL_TABLE_TEST_H_
