// A list of names in an error line: quoted, separated by commas, cut after the first ones. Pure function.
#ifndef OCTET_SERVER_CLI_EVALUATE_QUOTED_LIST_H_
#define OCTET_SERVER_CLI_EVALUATE_QUOTED_LIST_H_

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "model/quote.h"

namespace octet::cli {

inline std::string QuotedList(const std::vector<std::string>& names) {
  constexpr size_t kMaxNamed = 16;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMaxNamed));
  const std::string list = absl::StrJoin(names.begin(), end, ", ",
                                         [](std::string* out, const std::string& name) { *out += model::Quote(name); });
  return names.size() > kMaxNamed ? list + ", ..." : list;
}

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_QUOTED_LIST_H_
