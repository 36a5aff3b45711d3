#include "server/cli/advise/advice_cache.h"

#include <cmath>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/strict_json.h"
#include "server/cli/build_info.h"
#include "server/cli/report/report_file.h"

namespace octet::cli {
namespace {

using model::Json;

constexpr char kSchema[] = "octet.advice/1";

std::string IsaText(Isa isa) {
  const absl::string_view name = IsaName(isa);
  return std::string(name.data(), name.size());
}

bool IsOf(const Json& entry, const MachineKey& machine, const std::string& model_version) {
  return entry["cpu"] == machine.cpu && entry["octet"] == machine.octet_version &&
         entry["isa"] == IsaText(machine.isa) && entry["threads"] == machine.num_threads &&
         entry["model_version"] == model_version;
}

bool IsEntry(const Json& entry) {
  if (!entry.is_object()) return false;
  for (const char* key : {"cpu", "octet", "isa", "model_version"}) {
    if (!entry.contains(key) || !entry[key].is_string()) return false;
  }
  if (!entry.contains("threads") || !entry["threads"].is_number_integer()) return false;
  if (!entry.contains("tokens_per_second") || !entry["tokens_per_second"].is_object()) return false;
  for (const Json& speed : entry["tokens_per_second"]) {
    if (!speed.is_number() || !(speed.get<double>() > 0)) return false;
  }
  return true;
}

// The entries, all well-formed.
absl::StatusOr<Json> ReadEntries(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  ASSIGN_OR_RETURN(const Json json, model::ParseStrictJson(text, path));
  const auto wrong = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", what, "; want a file that octet advise --cache wrote"));
  };
  if (!json.is_object() || !json.contains("schema") || json["schema"] != kSchema) {
    return wrong(absl::StrCat("schema is not ", kSchema));
  }
  if (!json.contains("entries") || !json["entries"].is_array()) return wrong("no entries");
  for (const Json& entry : json["entries"]) {
    if (!IsEntry(entry)) return wrong("an entry is not well-formed");
  }
  return json["entries"];
}

}  // namespace

MachineKey ThisMachine(Isa isa, int num_threads) {
  MachineKey machine{.cpu = "unknown", .octet_version = GetBuildInfo().version, .isa = isa, .num_threads = num_threads};
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!absl::StartsWith(line, "model name")) continue;
    const size_t colon = line.find(':');
    if (colon != std::string::npos) machine.cpu = std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    break;
  }
  return machine;
}

absl::StatusOr<std::optional<PrecisionSpeeds>> ReadAdvice(const std::string& path, const MachineKey& machine,
                                                          const std::string& model_version) {
  ASSIGN_OR_RETURN(const Json entries, ReadEntries(path));
  for (const Json& entry : entries) {
    if (!IsOf(entry, machine, model_version)) continue;
    return PrecisionSpeeds{.model_version = model_version,
                           .tokens_per_second = entry["tokens_per_second"].get<std::map<std::string, double>>()};
  }
  return std::nullopt;
}

absl::Status WriteAdvice(const std::string& path, const MachineKey& machine, const PrecisionSpeeds& speeds) {
  absl::StatusOr<Json> old = ReadEntries(path);
  if (!old.ok() && !absl::IsNotFound(old.status())) return old.status();
  Json entries = Json::array();
  if (old.ok()) {
    for (const Json& entry : *old) {
      if (!IsOf(entry, machine, speeds.model_version)) entries.push_back(entry);
    }
  }
  Json tokens_per_second = Json::object();
  for (const auto& [precision, speed] : speeds.tokens_per_second) tokens_per_second[precision] = std::round(speed);
  entries.push_back({{"cpu", machine.cpu},
                     {"octet", machine.octet_version},
                     {"isa", IsaText(machine.isa)},
                     {"threads", machine.num_threads},
                     {"model_version", speeds.model_version},
                     {"tokens_per_second", tokens_per_second}});
  return WriteReportFile(path, Json{{"schema", kSchema}, {"entries", entries}}.dump(2) + "\n");
}

}  // namespace octet::cli
