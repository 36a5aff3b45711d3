#include "server/cli/made_variants.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/cli/command.h"
#include "server/cli/evaluate/load_variant.h"
#include "server/cli/exit_code.h"
#include "server/cli/quantize_run.h"

namespace octet::cli {

bool IsMadeVariant(const std::string& name) {
  return std::find(std::begin(kMadeVariants), std::end(kMadeVariants), name) != std::end(kMadeVariants);
}

MadeVariants::~MadeVariants() {
  if (folder_.empty()) return;
  std::error_code ignored;  // a folder that was taken away is as gone
  std::filesystem::remove_all(folder_, ignored);
}

absl::Status MadeVariants::Check(const std::vector<std::string>& names) const {
  for (const std::string& name : names) {
    if (!IsMadeVariant(name) || name == "smooth" || !options_.calibration.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--variants: ", name, " needs --calibration FILE, about 100 texts of the kind to be served"));
  }
  return absl::OkStatus();
}

int MadeVariants::Make(std::vector<std::string>* names) {
  for (std::string& name : *names) {
    if (!IsMadeVariant(name)) continue;
    if (folder_.empty()) {
      std::error_code error;
      std::string pattern = (std::filesystem::temp_directory_path(error) / "octet-variants-XXXXXX").string();
      if (error || mkdtemp(pattern.data()) == nullptr) {
        PrintError("cannot make a temporary folder; set TMPDIR to one that is writable");
        return kExitFailure;
      }
      folder_ = pattern;
    }
    const auto technique = model::ParseTechnique(name);
    const QuantizeOptions quantize{
        .model = options_.model,
        .out = absl::StrCat(folder_, "/", name),
        .calibration = {.path = options_.calibration, .is_json = IsJsonLines("auto", options_.calibration)},
        .technique = {.technique = *technique, .num_threads = options_.num_threads, .isa = options_.isa}};
    if (const int exit_code = RunQuantize(quantize); exit_code != kExitOk) return exit_code;
    name = quantize.out;
  }
  return kExitOk;
}

}  // namespace octet::cli
