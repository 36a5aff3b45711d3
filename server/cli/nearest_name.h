// "Did you mean": the known name closest to a misspelled one.
#ifndef OCTET_SERVER_CLI_NEAREST_NAME_H_
#define OCTET_SERVER_CLI_NEAREST_NAME_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace octet::cli {

// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (the restricted
// Damerau-Levenshtein distance). Time and memory: a.size() * b.size().
size_t EditDistance(absl::string_view a, absl::string_view b);

// The candidate with the smallest distance to `name`, the first of equals; "" when there is none.
std::string NearestName(absl::string_view name, const std::vector<std::string>& candidates);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_NEAREST_NAME_H_
