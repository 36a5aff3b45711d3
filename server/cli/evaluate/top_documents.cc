#include "server/cli/evaluate/top_documents.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>

#include "kernels/thread_team.h"

namespace octet::cli {
namespace {

struct Candidate {
  float cosine = 0;
  uint32_t document = 0;

  bool IsBetterThan(const Candidate& other) const {
    return cosine != other.cosine ? cosine > other.cosine : document < other.document;
  }
};

// In eight lanes, so that the compiler may use vectors without changing the order of any sum.
float Dot(const float* a, const float* b, size_t size) {
  constexpr size_t kLanes = 8;
  std::array<float, kLanes> lanes = {};
  size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  }
  for (; i < size; ++i) lanes[i % kLanes] += a[i] * b[i];
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

// 1 / length, or 0 for a zero vector.
std::vector<float> InverseNorms(MatrixView<const float> rows) {
  std::vector<float> norms(rows.rows());
  for (size_t i = 0; i < rows.rows(); ++i) {
    double sum = 0;
    for (const float value : rows.Row(i)) sum += static_cast<double>(value) * value;
    norms[i] = sum == 0 ? 0 : static_cast<float>(1 / std::sqrt(sum));
  }
  return norms;
}

// Keeps the best k seen; the worst of them on top of the heap.
void Offer(const Candidate& candidate, size_t k, std::vector<Candidate>* heap) {
  const auto better = [](const Candidate& a, const Candidate& b) { return a.IsBetterThan(b); };
  if (heap->size() == k) {
    if (!candidate.IsBetterThan(heap->front())) return;
    std::pop_heap(heap->begin(), heap->end(), better);
    heap->pop_back();
  }
  heap->push_back(candidate);
  std::push_heap(heap->begin(), heap->end(), better);
}

}  // namespace

std::vector<std::vector<uint32_t>> FindTopDocuments(MatrixView<const float> queries, MatrixView<const float> documents,
                                                    std::span<const std::optional<uint32_t>> excluded,
                                                    const SearchOptions& options) {
  // The query's own length does not change its order.
  const std::vector<float> inverse_norms = InverseNorms(documents);
  std::vector<std::vector<uint32_t>> top(queries.rows());
  std::atomic<size_t> next_query{0};
  kernels::ThreadTeam team(options.num_threads);
  team.Run([&](int) {
    std::vector<Candidate> heap;
    for (size_t query; (query = next_query.fetch_add(1, std::memory_order_relaxed)) < queries.rows();) {
      heap.clear();
      const float* row = queries.Row(query).data();
      for (uint32_t document = 0; document < documents.rows(); ++document) {
        if (excluded[query] == document) continue;
        const float dot = Dot(row, documents.Row(document).data(), documents.cols());
        Offer({.cosine = dot * inverse_norms[document], .document = document}, options.k, &heap);
      }
      std::sort(heap.begin(), heap.end(), [](const Candidate& a, const Candidate& b) { return a.IsBetterThan(b); });
      for (const Candidate& candidate : heap) top[query].push_back(candidate.document);
    }
  });
  return top;
}

}  // namespace octet::cli
