#include "serving/model_repository.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "serving/request.h"

namespace octet::serving {
namespace {

constexpr size_t kMaxNameBytes = 128;

bool IsValidName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || !absl::ascii_isalnum(name[0])) return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(c) && c != '.' && c != '_' && c != '/' && c != '-') return false;
  }
  return true;
}

}  // namespace

ModelRepository::ModelRepository(std::string default_model) : default_model_(std::move(default_model)) {}

absl::Status ModelRepository::Add(ServedModel model) {
  if (!IsValidName(model.name)) {
    return absl::InvalidArgumentError(
        "model name: must be 1 to 128 letters, digits or . _ / - and begin with a letter or digit");
  }
  if (model.model == nullptr) return absl::InvalidArgumentError("model: null");
  std::string name = model.name;
  auto served = std::make_shared<const ServedModel>(std::move(model));
  MutexLock lock(&mu_);
  const auto [it, inserted] = models_.emplace(std::move(name), std::move(served));
  if (!inserted) return absl::AlreadyExistsError(absl::StrCat("model name: ", it->first, " is in use"));
  return absl::OkStatus();
}

std::shared_ptr<const ServedModel> ModelRepository::FindOrNull(absl::string_view name) const {
  if (name.empty() && default_model_.empty()) {
    return models_.size() == 1 ? models_.begin()->second : nullptr;
  }
  // Debian's absl::string_view does not convert to std::string_view, which the map could compare with.
  const auto it = models_.find(name.empty() ? default_model_ : std::string(name.data(), name.size()));
  return it == models_.end() ? nullptr : it->second;
}

absl::StatusOr<std::shared_ptr<const ServedModel>> ModelRepository::Find(absl::string_view name) const {
  // A longer name cannot be there; the bound also keeps the lookup's copy small.
  const bool possible = name.size() <= kMaxNameBytes;
  MutexLock lock(&mu_);
  if (auto found = possible ? FindOrNull(name) : nullptr) return found;
  if (name.empty() && default_model_.empty()) {
    return WithReason(absl::InvalidArgumentError(
                          absl::StrCat("model: empty, and the server has ", models_.size(), " models and no default")),
                      kReasonUnknownModel);
  }
  return WithReason(absl::NotFoundError("model: not found"), kReasonUnknownModel);
}

absl::string_view ModelRepository::LabelOf(absl::string_view name) const {
  if (name.size() > kMaxNameBytes) return "unknown";
  MutexLock lock(&mu_);
  const auto found = FindOrNull(name);
  return found == nullptr ? absl::string_view("unknown") : absl::string_view(found->name);
}

std::vector<std::shared_ptr<const ServedModel>> ModelRepository::List() const {
  std::vector<std::shared_ptr<const ServedModel>> list;
  MutexLock lock(&mu_);
  for (const auto& [name, model] : models_) list.push_back(model);
  return list;
}

}  // namespace octet::serving
