// The int8 product is exact at every level and by every kernel of it, saturating data included. One process runs at one
// level: ctest starts this program once per level with OCTET_ISA set.
#include "kernels/int8_matmul.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/aligned_buffer.h"
#include "kernels/int8_matmul_kinds.h"
#include "kernels/scalar_kernels.h"
#include "tests/kernels/level_test.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

// "brg:<isa>" in oneDNN 3.2, "brg_matmul:<isa>" in later ones; one kernel for all block sizes.
void ExpectBatchReduce(const std::string& name, const std::string& isa) {
  EXPECT_TRUE(absl::StartsWith(name, "brg") && absl::EndsWith(name, absl::StrCat(":", isa))) << name;
  EXPECT_FALSE(absl::StrContains(name, ",")) << name;
}

class Int8MatmulTest : public LevelTest {
 protected:
  // What serves the shape at this level, and oneDNN's where that is another.
  std::vector<std::unique_ptr<Int8Matmul>> Kinds(size_t depth, size_t cols) const {
    std::vector<std::unique_ptr<Int8Matmul>> kinds;
    auto matmul = Int8Matmul::Create(isa_, depth, cols);
    EXPECT_TRUE(matmul.ok()) << matmul.status();
    kinds.push_back(*std::move(matmul));
    if (isa_ >= Isa::kAvx512Amx) {
      auto one_dnn = MakeOneDnnInt8Matmul(depth, cols);
      EXPECT_TRUE(one_dnn.ok()) << one_dnn.status();
      kinds.push_back(*std::move(one_dnn));
    }
    return kinds;
  }

  // Runs a against w by every kind, checks every element, and returns how many differ from the reference.
  size_t CountDifferences(const std::vector<uint8_t>& a, const std::vector<int8_t>& w, size_t rows, size_t cols,
                          size_t depth) {
    AlignedBuffer<uint8_t> input(kMaxProductRows * depth + kInt8OverreadBytes);
    std::fill(input.data(), input.data() + input.size(), uint8_t{255});
    std::copy(a.begin(), a.end(), input.data());
    std::vector<int32_t> expected(rows * cols);
    MatmulU8S8Scalar(a.data(), w.data(), rows, cols, depth, expected.data());
    size_t differences = 0;
    for (const auto& matmul : Kinds(depth, cols)) {
      auto packed = matmul->Pack(w);
      EXPECT_TRUE(packed.ok()) << packed.status();
      auto context = matmul->NewContext();
      AlignedBuffer<int32_t> acc(kMaxProductRows * cols);
      matmul->Run(input.data(), **packed, rows, context.get(), acc.data());
      for (size_t i = 0; i < expected.size(); ++i) differences += acc[i] != expected[i];
    }
    return differences;
  }
};

TEST_F(Int8MatmulTest, SaturatingInputsGiveTheTrueSum) {
  for (const int weight : {127, -127}) {
    for (const size_t rows : {1, 8, 64}) {
      EXPECT_EQ(CountDifferences(std::vector<uint8_t>(rows * 384, 255),
                                 std::vector<int8_t>(1536 * 384, static_cast<int8_t>(weight)), rows, 1536, 384),
                0u)
          << weight << " rows " << rows;
    }
  }
}

TEST_F(Int8MatmulTest, RandomExtremesAreExactForEveryBlockSizeAndTail) {
  constexpr size_t kCols = 72;
  for (const size_t depth : {100, 192}) {
    for (size_t rows = 1; rows <= kMaxProductRows; ++rows) {
      // Mostly the ends of both ranges, where 16-bit sums would saturate.
      auto a = RandomInts<uint8_t>(rows * depth, rows, 0, 255);
      for (size_t i = 0; i < a.size(); i += 2) a[i] = i % 3 == 0 ? 255 : 254;
      auto w = RandomInts<int8_t>(kCols * depth, 1000 + rows, -127, 127);
      for (size_t i = 0; i < w.size(); i += 2) w[i] = i % 5 == 0 ? -127 : 127;
      EXPECT_EQ(CountDifferences(a, w, rows, kCols, depth), 0u) << rows << " x " << depth;
    }
  }
}

TEST_F(Int8MatmulTest, OddShapesAreExact) {
  for (const auto& [depth, cols] : {std::pair<size_t, size_t>{1, 1}, {3, 5}, {26, 312}, {312, 1200}, {768, 30}}) {
    const auto a = RandomInts<uint8_t>(5 * depth, 1, 0, 255);
    const auto w = RandomInts<int8_t>(cols * depth, 2, -127, 127);
    EXPECT_EQ(CountDifferences(a, w, 5, cols, depth), 0u) << depth << "x" << cols;
  }
}

TEST_F(Int8MatmulTest, EveryTailOfColumnsIsExact) {
  constexpr size_t kDepth = 64;
  for (const size_t rows : {3, 16, 17, 33}) {
    for (size_t cols = 1; cols <= 80; ++cols) {
      const auto a = RandomInts<uint8_t>(rows * kDepth, static_cast<uint32_t>(cols), 0, 255);
      const auto w = RandomInts<int8_t>(cols * kDepth, 2, -127, 127);
      EXPECT_EQ(CountDifferences(a, w, rows, cols, kDepth), 0u) << rows << " x " << cols;
    }
  }
}

TEST_F(Int8MatmulTest, OneDnnRunsAtTheForcedLevelAndNeverWithAReferenceKernel) {
  ASSERT_TRUE(LimitOneDnn(isa_).ok());
  auto matmul = isa_ >= Isa::kAvx512Amx ? MakeOneDnnInt8Matmul(312, 1152) : Int8Matmul::Create(isa_, 312, 1152);
  ASSERT_TRUE(matmul.ok()) << matmul.status();
  const std::string name = (*matmul)->implementation_name();
  std::printf("level %s: oneDNN %s, kernels %s\n", std::string(IsaName(isa_)).c_str(), OneDnnIsaName().c_str(),
              name.c_str());
  switch (isa_) {
    case Isa::kScalar:
      EXPECT_EQ(OneDnnIsaName(), "none");
      EXPECT_EQ(name, "scalar");
      return;
    case Isa::kAvx2:
      EXPECT_EQ(OneDnnIsaName(), "avx2");
      EXPECT_EQ(name, "s16:avx2");
      break;
    case Isa::kAvx512:
      EXPECT_EQ(OneDnnIsaName(), "avx512_core");
      EXPECT_EQ(name, "s16:avx512");
      break;
    case Isa::kAvx512Vnni:
      EXPECT_EQ(OneDnnIsaName(), "avx512_core_vnni");
      ExpectBatchReduce(name, "avx512_core_vnni");
      break;
    case Isa::kAvx512Bf16:
      EXPECT_EQ(OneDnnIsaName(), "avx512_core_bf16");
      ExpectBatchReduce(name, "avx512_core_vnni");
      break;
    case Isa::kAvx512Amx:
      EXPECT_EQ(OneDnnIsaName(), "avx512_core_amx");
      // oneDNN 3.7 names the same tile kernel avx10_1_512_amx, whatever the cap on the instruction set.
      ExpectBatchReduce(name, absl::StrContains(name, "avx10_1_512_amx") ? "avx10_1_512_amx" : "avx512_core_amx");
      break;
  }
  EXPECT_FALSE(absl::StrContains(name, "ref")) << name;
}

TEST_F(Int8MatmulTest, AnotherLevelInTheSameProcessIsRefused) {
  ASSERT_TRUE(LimitOneDnn(isa_).ok());
  const Isa other = isa_ == Isa::kScalar ? Isa::kAvx2 : Isa::kScalar;
  EXPECT_EQ(LimitOneDnn(other).code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace octet::kernels
