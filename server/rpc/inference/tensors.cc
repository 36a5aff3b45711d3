#include "server/rpc/inference/tensors.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace octet::rpc {

std::vector<TensorSpec> InputTensors(const model::ModelInfo& info) {
  // [n, 1] and not [n], which is taken as well: clients that plan batches need a dimension besides the batch's.
  std::vector<TensorSpec> tensors = {{kText, kBytes, {-1, 1}}};
  if (info.task == model::Task::kClassification) tensors.push_back({kTextPair, kBytes, {-1, 1}});
  for (const char* const name : {kInputIds, kAttentionMask, kTokenTypeIds}) {
    tensors.push_back({name, kInt64, {-1, -1}});
  }
  return tensors;
}

std::vector<TensorSpec> OutputTensors(const model::ModelInfo& info) {
  std::vector<TensorSpec> tensors;
  if (info.task == model::Task::kEmbedding) {
    tensors.push_back({kEmbedding, kFp32, {-1, info.hidden_dim}});
  } else {
    tensors.push_back({kLogits, kFp32, {-1, static_cast<int64_t>(info.labels.size())}});
    tensors.push_back({kLabel, kBytes, {-1}});
  }
  tensors.push_back({kLastHiddenState, kFp32, {-1, -1, info.hidden_dim}});
  return tensors;
}

const TensorSpec* FindTensorOrNull(const std::vector<TensorSpec>& tensors, absl::string_view name) {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [name](const TensorSpec& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

std::string TensorNames(const std::vector<TensorSpec>& tensors) {
  return absl::StrJoin(tensors, ", ",
                       [](std::string* out, const TensorSpec& tensor) { absl::StrAppend(out, tensor.name); });
}

std::string QuoteName(absl::string_view name) {
  constexpr size_t kMaxBytes = 32;  // longer than any name that octet knows
  const bool is_identifier =
      !name.empty() && name.size() <= kMaxBytes && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.';
      });
  return is_identifier ? absl::StrCat("\"", name, "\"") : absl::StrCat("a name of ", name.size(), " bytes");
}

}  // namespace octet::rpc
