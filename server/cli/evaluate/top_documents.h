// Exact nearest neighbours by cosine, the ranking that retrieval metrics judge. Pure function.
#ifndef OCTET_SERVER_CLI_EVALUATE_TOP_DOCUMENTS_H_
#define OCTET_SERVER_CLI_EVALUATE_TOP_DOCUMENTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/matrix_view.h"

namespace octet::cli {

struct SearchOptions {
  size_t k = 10;
  int num_threads = 1;
};

// For each query the indices of the k documents with the largest cosine, best first, of equals the one with the smaller
// index first. excluded[query]: a document that is not ranked for it. queries: [num_queries, dim]; documents:
// [num_documents, dim]. A zero vector has cosine 0 to everything. Sums are f32 in a fixed order, so the answer
// depends neither on the threads nor on the machine.
std::vector<std::vector<uint32_t>> FindTopDocuments(MatrixView<const float> queries, MatrixView<const float> documents,
                                                    std::span<const std::optional<uint32_t>> excluded,
                                                    const SearchOptions& options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_TOP_DOCUMENTS_H_
