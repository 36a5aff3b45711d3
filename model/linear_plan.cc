#include "model/linear_plan.h"

#include "absl/strings/str_cat.h"

namespace octet::model {

std::string LinearName(size_t linear_idx) {
  static constexpr const char* kNames[kLinearsPerLayer] = {"query_key_value", "attention_output", "intermediate",
                                                           "output"};
  return absl::StrCat("layer ", linear_idx / kLinearsPerLayer, " ", kNames[linear_idx % kLinearsPerLayer]);
}

}  // namespace octet::model
