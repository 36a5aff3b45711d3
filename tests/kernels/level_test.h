// A fixture of programs that ctest starts once per level, with OCTET_ISA set: one process runs at one level.
#ifndef OCTET_TESTS_KERNELS_LEVEL_TEST_H_
#define OCTET_TESTS_KERNELS_LEVEL_TEST_H_

#include <gtest/gtest.h>

#include "base/cpu_isa.h"

namespace octet::kernels {

class LevelTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto isa = IsaFromEnvironment();
    if (!isa.ok()) GTEST_SKIP() << "SKIPPED LEVEL: " << isa.status();
    isa_ = *isa;
  }

  Isa isa_ = Isa::kScalar;
};

}  // namespace octet::kernels

#endif  // OCTET_TESTS_KERNELS_LEVEL_TEST_H_
