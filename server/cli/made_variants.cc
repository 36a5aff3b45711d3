#include "server/cli/made_variants.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/cli/command.h"
#include "server/cli/evaluate/load_variant.h"
#include "server/cli/exit_code.h"
#include "server/cli/quantize_run.h"
#include "server/cli/temporary_folder.h"

namespace octet::cli {

bool IsMadeVariant(const std::string& name) {
  return std::find(std::begin(kMadeVariants), std::end(kMadeVariants), name) != std::end(kMadeVariants);
}

absl::Status MadeVariants::Check(const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    if (!IsMadeVariant(name) || !options_.calibration.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--variants: ", name, " needs --calibration FILE, about 100 texts of the kind to be served"));
  }
  return absl::OkStatus();
}

int MadeVariants::Make(std::vector<std::string>* names) {
  for (std::string& name : *names) {
    if (!IsMadeVariant(name)) continue;
    if (folder_ == nullptr) {
      auto folder = TemporaryFolder::Make("octet-variants");
      if (!folder.ok()) {
        PrintError(std::string(folder.status().message()));
        return kExitFailure;
      }
      folder_ = *std::move(folder);
    }
    const auto technique = model::ParseTechnique(name);
    const QuantizeOptions quantize{
        .model = options_.model,
        .out = absl::StrCat(folder_->path(), "/", name),
        .calibration = {.path = options_.calibration, .is_json = IsJsonLines("auto", options_.calibration)},
        .technique = {.technique = *technique, .num_threads = options_.num_threads, .isa = options_.isa}};
    if (const int exit_code = RunQuantize(quantize); exit_code != kExitOk) return exit_code;
    name = quantize.out;
  }
  return kExitOk;
}

}  // namespace octet::cli
