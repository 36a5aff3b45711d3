// Texts of a wanted number of tokens, for load that looks like the real thing to a server.
#ifndef OCTET_BENCH_RANDOM_TEXTS_H_
#define OCTET_BENCH_RANDOM_TEXTS_H_

#include <algorithm>
#include <cmath>
#include <iterator>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"

namespace octet {

// A text of `num_tokens` tokens, [CLS] and [SEP] included (at least 3): each word is one piece of BERT's vocabulary.
inline std::string RandomText(size_t num_tokens, std::mt19937* random) {
  constexpr const char* kWords[] = {"the",   "river", "runs",     "under", "a",     "stone", "bridge",
                                    "while", "seven", "children", "count", "boats", "and",   "clouds"};
  std::uniform_int_distribution<size_t> word(0, std::size(kWords) - 1);
  std::string text;
  for (size_t i = 2; i < num_tokens; ++i) absl::StrAppend(&text, i == 2 ? "" : " ", kWords[word(*random)]);
  return text;
}

// Lengths of real requests: log-normal with median 24 and sigma 0.8, clipped to 4..256 tokens, as workload W4 of
// the peer benchmark.
class LogNormalLengths {
 public:
  size_t operator()(std::mt19937* random) {
    return static_cast<size_t>(std::clamp(std::lround(distribution_(*random)), 4L, 256L));
  }

 private:
  std::lognormal_distribution<double> distribution_{std::log(24.0), 0.8};
};

}  // namespace octet

#endif  // OCTET_BENCH_RANDOM_TEXTS_H_
