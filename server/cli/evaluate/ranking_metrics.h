// How good the first k of a ranked list of documents are, for one query. Pure functions, thread-safe.
#ifndef OCTET_SERVER_CLI_EVALUATE_RANKING_METRICS_H_
#define OCTET_SERVER_CLI_EVALUATE_RANKING_METRICS_H_

#include <cstddef>
#include <span>

namespace octet::cli {

// In all of them: `gains` are the judged grades of the ranked documents, best rank first, 0 for one that is not
// relevant or was not judged; `judged` are the grades of all relevant documents of the query, in any order, each
// above 0. Requires a non-empty `judged` and k >= 1. Results lie in [0, 1].

// Normalized discounted cumulative gain: DCG = sum over ranks i = 1..k of gain_i / log2(i + 1), divided by the DCG of
// the best possible order. Gains are linear, as in trec_eval's ndcg_cut and so in BEIR (not 2^gain - 1). Source:
// Jarvelin and Kekalainen (2002), "Cumulated gain-based evaluation of IR techniques".
double NdcgAt(size_t k, std::span<const double> gains, std::span<const double> judged);

// Share of the relevant documents that are among the first k. Source: trec_eval, recall.
double RecallAt(size_t k, std::span<const double> gains, std::span<const double> judged);

// 1 / rank of the first relevant document, 0 when none is among the first k; its mean over queries is MRR.
// Source: Voorhees (1999), "The TREC-8 question answering track report".
double ReciprocalRankAt(size_t k, std::span<const double> gains);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_RANKING_METRICS_H_
