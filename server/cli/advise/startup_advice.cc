#include "server/cli/advise/startup_advice.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/cli/advise/advice.h"

namespace octet::cli {

StartupAdvice AdviceOf(const PrecisionSpeeds& speeds, const std::string& precision) {
  const auto& by_precision = speeds.tokens_per_second;
  std::string measured;
  for (const auto& [name, speed] : by_precision) {
    absl::StrAppendFormat(&measured, "%s%s %.0f", measured.empty() ? "" : ", ", name, speed);
  }
  absl::StrAppend(&measured, " tokens/s");
  const auto own = by_precision.find(precision);
  if (own == by_precision.end()) return {.line = absl::StrCat(measured, "; ", precision, " was not measured")};
  if (by_precision.size() == 1)
    return {.line = absl::StrCat(measured, "; there is no other precision to compare with")};
  const auto fastest = std::max_element(by_precision.begin(), by_precision.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
  if (own->second < (1 - kSpeedNoise) * fastest->second) {
    return {.line = absl::StrFormat("%s; %s has %.2f times the speed of %s here: set engine.precision: %s", measured,
                                    precision, own->second / fastest->second, fastest->first, fastest->first),
            .is_warning = true};
  }
  double next = 0;
  for (const auto& [name, speed] : by_precision) {
    if (name != precision) next = std::max(next, speed);
  }
  return {.line = absl::StrFormat("%s; %s pays: %.2f times the next", measured, precision, own->second / next)};
}

}  // namespace octet::cli
