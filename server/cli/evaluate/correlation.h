// Correlation of two series of numbers. Pure functions, thread-safe.
#ifndef OCTET_SERVER_CLI_EVALUATE_CORRELATION_H_
#define OCTET_SERVER_CLI_EVALUATE_CORRELATION_H_

#include <span>
#include <vector>

namespace octet::cli {

// Rank of each value, 1 for the smallest; equal values share the mean of the ranks that they take up
// ("average" ranks). Requires values without NaN.
std::vector<double> AverageRanks(std::span<const double> values);

// sum((a - mean a)(b - mean b)) / sqrt(sum((a - mean a)^2) sum((b - mean b)^2)), in [-1, 1]. NaN where that is not
// defined: fewer than two pairs, or a series that is constant. Requires equal lengths.
// Source: Pearson (1895), "Note on regression and inheritance in the case of two parents".
double Pearson(std::span<const double> a, std::span<const double> b);

// Pearson of the average ranks, NaN as there. Source: Spearman (1904), "The proof and measurement of association
// between two things"; average ranks for ties: Kendall (1945), "The treatment of ties in ranking problems".
double Spearman(std::span<const double> a, std::span<const double> b);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_CORRELATION_H_
