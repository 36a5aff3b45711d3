#include "server/cli/evaluate/label_reader.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "model/quote.h"

namespace octet::cli {
namespace {

// A mistaken column must not become a table of 2^32 counters; the largest published label sets have thousands.
constexpr uint32_t kMaxLabels = 65536;

}  // namespace

absl::StatusOr<LabelIndices> ReadLabelNames(const DataFile& file) {
  LabelIndices names;
  std::vector<absl::string_view> lines = absl::StrSplit(file.content, '\n');
  if (lines.back().empty()) lines.pop_back();
  for (const absl::string_view line : lines) {
    const auto index = static_cast<uint32_t>(names.size());
    const absl::string_view name = absl::StripAsciiWhitespace(line);
    if (name.empty()) return LineError(file.path, index + 1, "empty; want one label name a line");
    if (absl::StrContains(name, ',')) {
      return LineError(file.path, index + 1,
                       absl::StrCat("label ", model::Quote(name), ": a name may not have a comma"));
    }
    if (index == kMaxLabels) return LineError(file.path, index + 1, absl::StrCat("above ", kMaxLabels, " labels"));
    if (!names.emplace(name, index).second) {
      return LineError(file.path, index + 1, absl::StrCat("label ", model::Quote(name), ": there already"));
    }
  }
  return names;
}

absl::StatusOr<LabelIndices> LoadLabelNames(const std::string& path, std::vector<FileDigest>* files) {
  if (path.empty()) return LabelIndices();
  ASSIGN_OR_RETURN(const DataFile file, ReadDataFile(path));
  files->push_back(file.digest);
  return ReadLabelNames(file);
}

absl::StatusOr<LabelSet> ParseLabels(const std::string& field, const LabelIndices& names) {
  LabelSet labels;
  if (absl::StripAsciiWhitespace(field).empty()) return labels;
  const uint32_t num_labels = names.empty() ? kMaxLabels : static_cast<uint32_t>(names.size());
  for (const absl::string_view part : absl::StrSplit(field, ',')) {
    const absl::string_view name = absl::StripAsciiWhitespace(part);
    uint32_t label = 0;
    if (const auto it = names.find(name); it != names.end()) {
      label = it->second;
    } else if (!absl::SimpleAtoi(name, &label) || label >= num_labels) {
      const std::string allowed =
          names.empty() ? absl::StrCat("an index below ", kMaxLabels, "; names need --labels FILE")
                        : absl::StrCat("one of the ", num_labels, " names of --labels or an index below it");
      return absl::InvalidArgumentError(absl::StrCat("label ", model::Quote(name), ": unknown; want ", allowed));
    }
    labels.push_back(label);
  }
  std::sort(labels.begin(), labels.end());
  if (std::adjacent_find(labels.begin(), labels.end()) != labels.end()) {
    return absl::InvalidArgumentError(absl::StrCat("labels ", model::Quote(field), ": one is there twice"));
  }
  return labels;
}

}  // namespace octet::cli
