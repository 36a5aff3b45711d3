#include "base/large_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/rounding.h"

namespace octet {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

// Pages that lie wholly within [p, p + bytes) and are in memory; -1 where one is not mapped any more.
int ResidentPages(const void* p, size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(p);
  const size_t first = RoundUp(begin, page), end = (begin + bytes) / page * page;
  std::vector<unsigned char> pages((end - first) / page);
  if (mincore(reinterpret_cast<void*>(first), end - first, pages.data()) != 0) return -1;
  int num = 0;
  for (const unsigned char is_resident : pages) num += is_resident & 1;
  return num;
}

// Bytes in huge pages of the mapping that holds `p`.
size_t HugePageBytes(const void* p) {
  std::ifstream smaps("/proc/self/smaps");
  bool is_here = false;
  for (std::string line; std::getline(smaps, line);) {
    uintptr_t begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%zx-%zx ", &begin, &end) == 2) {
      is_here = begin <= reinterpret_cast<uintptr_t>(p) && reinterpret_cast<uintptr_t>(p) < end;
    }
    size_t kilobytes = 0;
    if (is_here && std::sscanf(line.c_str(), "AnonHugePages: %zu kB", &kilobytes) == 1) return kilobytes << 10;
  }
  return 0;
}

struct Array {
  uint8_t* data;
  size_t bytes;
  uint8_t value;
  Lifetime lifetime;
};

Array NewArray(size_t bytes, uint8_t value, Lifetime lifetime = Lifetime::kLong) {
  auto* const data = static_cast<uint8_t*>(AllocateLarge(bytes, lifetime));
  EXPECT_NE(data, nullptr);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % kCacheLineBytes, 0u);
  std::memset(data, value, bytes);
  return {data, bytes, value, lifetime};
}

void CheckAndFree(const Array& array) {
  for (size_t i = 0; i < array.bytes; ++i) ASSERT_EQ(array.data[i], array.value);
  FreeLarge(array.data, array.bytes, array.lifetime);
}

TEST(LargeMemoryTest, ArraysDoNotOverlapWhateverIsFreedBetween) {
  std::mt19937 rng(1);
  std::vector<Array> arrays;
  for (int i = 0; i < 400; ++i) {
    const size_t bytes = 1 + rng() % (i % 20 == 0 ? 20 * kMiB : kMiB);
    arrays.push_back(NewArray(bytes, static_cast<uint8_t>(i), i % 3 == 0 ? Lifetime::kShort : Lifetime::kLong));
    if (arrays.size() < 12) continue;
    std::swap(arrays[rng() % arrays.size()], arrays.back());
    CheckAndFree(arrays.back());
    arrays.pop_back();
  }
  for (const Array& array : arrays) CheckAndFree(array);
}

TEST(LargeMemoryTest, WhatIsFreedGoesBackToTheSystemThoughItsNeighborsStay) {
  const Array before = NewArray(kMiB, 1), array = NewArray(4 * kMiB, 2), after = NewArray(kMiB, 3);
  ASSERT_GT(ResidentPages(array.data, array.bytes), 0);
  CheckAndFree(array);
  EXPECT_EQ(ResidentPages(array.data, array.bytes), 0);
  CheckAndFree(before);
  CheckAndFree(after);
}

// The page that two freed neighbors share as well: what is left of a huge page's range may become a huge page again.
TEST(LargeMemoryTest, NothingStaysOfFreedNeighbors) {
  const Array before = NewArray(kMiB, 1);
  std::vector<Array> arrays;
  for (int i = 0; i < 8; ++i) arrays.push_back(NewArray(kMiB / 2 + kCacheLineBytes, 2));
  const Array after = NewArray(kMiB, 3);
  for (const size_t i : {3, 1, 2, 6, 7, 5, 0, 4}) CheckAndFree(arrays[i]);
  EXPECT_EQ(ResidentPages(arrays[0].data, static_cast<size_t>(after.data - arrays[0].data)), 0);
  CheckAndFree(before);
  CheckAndFree(after);
}

TEST(LargeMemoryTest, ShortLivedArraysLieApartAndTheirPagesAreKeptForTheNext) {
  ReleaseShortLived();
  const Array before = NewArray(kMiB, 1), first = NewArray(4 * kMiB, 2, Lifetime::kShort), after = NewArray(kMiB, 3);
  EXPECT_EQ(after.data, before.data + before.bytes);
  const Array second = NewArray(kMiB, 4, Lifetime::kShort);
  const int pages = ResidentPages(first.data, first.bytes);
  CheckAndFree(first);
  CheckAndFree(second);
  EXPECT_EQ(ResidentPages(first.data, first.bytes), pages);
  const Array next = NewArray(2 * kMiB, 5, Lifetime::kShort);
  EXPECT_EQ(next.data, first.data);
  ReleaseShortLived();  // not while something is in it
  CheckAndFree(next);
  ReleaseShortLived();
  EXPECT_EQ(ResidentPages(next.data, next.bytes), -1);
  CheckAndFree(before);
  CheckAndFree(after);
}

TEST(LargeMemoryTest, AnArrayOfManyMegabytesIsUnmappedWhenItIsFreed) {
  const Array array = NewArray(200 * kMiB, 1);
  CheckAndFree(array);
  EXPECT_EQ(ResidentPages(array.data, array.bytes), -1);
}

TEST(LargeMemoryTest, HasHugePages) {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string setting;
  std::getline(file, setting);
  if (!file || setting.find("[never]") != std::string::npos) GTEST_SKIP() << "the system has no transparent huge pages";
  std::vector<Array> small;
  for (int i = 0; i < 40; ++i) small.push_back(NewArray(kMiB / 4, 1));
  const Array large = NewArray(40 * kMiB, 1);
  // A machine short of whole huge pages may have given fewer than all.
  EXPECT_GT(HugePageBytes(small.back().data), 0u);
  EXPECT_GT(HugePageBytes(large.data), 0u);
  for (const Array& array : small) CheckAndFree(array);
  CheckAndFree(large);
}

TEST(LargeMemoryTest, IsNullWhereThereIsNoMemory) {
  EXPECT_EQ(AllocateLarge(size_t{1} << 60, Lifetime::kLong), nullptr);
}

TEST(LargeMemoryTest, ThreadsAllocateAndFreeAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      std::mt19937 rng(static_cast<uint32_t>(t));
      for (int i = 0; i < 50; ++i) {
        const Array a = NewArray(1 + rng() % kMiB, static_cast<uint8_t>(t)),
                    b = NewArray(1 + rng() % kMiB, 255, Lifetime::kShort);
        CheckAndFree(a);
        CheckAndFree(b);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace octet
