// What a forward pass takes from the heap: nothing in code of ours; of oneDNN's int8 products a bounded number of small
// pieces. Every malloc of the process is counted, libraries' too.
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tests/model/text_model_fixture.h"
#include "tests/model/tiny_model.h"

namespace {

std::atomic<uint64_t> num_allocations{0};

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
constexpr bool kCounts = true;

// The C library's own names of what these replace.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t num, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(size_t num, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(num, size);
}
void* realloc(void* memory, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(memory, size);
}
void* memalign(size_t alignment, size_t size) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** memory, size_t alignment, size_t size) {
  *memory = memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;  // ENOMEM
}
}
#else
constexpr bool kCounts = false;  // sanitizers replace the same functions
#endif

namespace octet::model {
namespace {

// oneDNN 3.2 has 8 a product: its arguments, as maps.
constexpr uint64_t kMaxAllocationsAProduct = 12;

class EncoderAllocationsTest : public TextModelFixture {
 protected:
  void SetUp() override {
    TextModelFixture::SetUp();
    if (!kCounts) GTEST_SKIP() << "a sanitizer has malloc";
    // A counter that counts nothing would pass every test.
    const uint64_t before = num_allocations;
    std::vector<int>* volatile vector = new std::vector<int>(10);  // volatile: it may not be left out
    delete vector;
    ASSERT_GE(num_allocations, before + 2);
  }

  // Of one pass over `num_texts` texts, by two threads, after passes that may have filled caches.
  uint64_t AllocationsOfAPass(Precision precision, size_t num_texts, uint32_t intermediate_dim = 64) {
    octet::testing::TempDir dir;
    octet::testing::WriteTinyModel(dir.path(), {.num_layers = kNumLayers,
                                                .hidden_dim = 64,
                                                .intermediate_dim = intermediate_dim,
                                                .num_positions = kTextTokens,
                                                .max_seq_length = 0});
    const auto model = Load(dir.path(), Options(precision, 2));
    kernels::ThreadTeam team(2);
    const auto workspace = model->encoder().NewWorkspace(&team);
    const std::vector<int32_t> ids(num_texts * kTextTokens, 7);
    std::vector<uint32_t> starts;
    for (size_t t = 0; t <= num_texts; ++t) starts.push_back(static_cast<uint32_t>(t * kTextTokens));
    const auto run = [&] {
      EXPECT_TRUE(model->encoder().Forward({.ids = ids, .type_ids = {}, .starts = starts}, workspace.get()).ok());
    };
    run();
    run();
    const uint64_t before = num_allocations;
    run();
    return num_allocations - before;
  }

  static constexpr size_t kNumLayers = 3, kTextTokens = 100;
};

TEST_F(EncoderAllocationsTest, PassesOfOwnProductsHaveNone) {
  for (const size_t num_texts : {1, 7}) {
    EXPECT_EQ(AllocationsOfAPass(Precision::kInt8, num_texts), 0u);
    EXPECT_EQ(AllocationsOfAPass(Precision::kF32, num_texts), 0u);
    if (isa_ >= Isa::kAvx512Bf16) {
      EXPECT_EQ(AllocationsOfAPass(Precision::kBf16, num_texts), 0u);
    }
  }
}

TEST_F(EncoderAllocationsTest, Int8PassesHaveThoseOfOneDnnsProducts) {
  if (isa_ != Isa::kAvx512Vnni && isa_ != Isa::kAvx512Bf16)
    GTEST_SKIP() << "this level has an own product of any depth";
  for (const size_t num_texts : {1, 7}) {
    const uint64_t allocations = AllocationsOfAPass(Precision::kInt8, num_texts, 66);  // no multiple of 4
    EXPECT_GT(allocations, 0u);
    // Blocks of both threads, each in parts of kMaxProductRows rows.
    const size_t most_products = kNumLayers * (num_texts * kTextTokens / kernels::kMaxProductRows + 2);
    std::printf("%zu texts: %llu allocations, at most %zu products\n", num_texts,
                static_cast<unsigned long long>(allocations), most_products);
    EXPECT_LE(allocations, kMaxAllocationsAProduct * most_products);
  }
}

}  // namespace
}  // namespace octet::model
