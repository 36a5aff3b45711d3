#include "server/cli/bench_report.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace octet::cli {
namespace {

using nlohmann::json;

constexpr const char* kModelKeys[] = {"family", "num_layers", "hidden_dim", "num_heads", "intermediate_dim"};
constexpr const char* kRunKeys[] = {"precision", "quantization", "isa", "onednn_isa", "peak_instructions", "threads"};

void PrintPhases(const CaseResult& result, std::ostream& out) {
  double total = 0;
  for (const PhaseTime& phase : result.phases) total += phase.ms;
  for (const PhaseTime& phase : result.phases) {
    out << absl::StrFormat("        %-25s %9.3f ms %5.1f %%", phase.name, phase.ms, 100 * phase.ms / total);
    if (phase.gops) out << absl::StrFormat("  %6.0f GOP/s", *phase.gops);
    if (phase.gops && result.peak_gops) {
      out << absl::StrFormat(" %5.1f %% of peak", 100 * *phase.gops / *result.peak_gops);
    }
    out << "\n";
  }
}

// The peak, and what the median and the shortest pass reach of it.
std::string Shares(const CaseResult& r) {
  if (!r.peak_gops) return "     -        -        -";
  const double share = 100 * r.gops / *r.peak_gops;
  return absl::StrFormat("%6.0f  %5.1f %%  %5.1f %%", *r.peak_gops, share, share * r.median_ms / r.min_ms);
}

json CaseJson(const CaseResult& result) {
  json phases = json::object();
  for (const PhaseTime& phase : result.phases) {
    phases[phase.name] = {{"ms", phase.ms}};
    if (phase.gops) phases[phase.name]["gops"] = *phase.gops;
  }
  json root = {{"length", result.length},           {"batch", result.batch},
               {"repetitions", result.repetitions}, {"min_ms", result.min_ms},
               {"median_ms", result.median_ms},     {"p90_ms", result.p90_ms},
               {"linear_gops", result.gops},        {"tokens_per_second", result.tokens_per_second}};
  if (result.peak_gops) root["int8_peak_gops"] = *result.peak_gops;
  if (!result.phases.empty()) root["phases"] = std::move(phases);
  return root;
}

json AboutJson(const BenchReport& report) {
  json root = {{"family", report.family},
               {"num_layers", report.num_layers},
               {"hidden_dim", report.hidden_dim},
               {"num_heads", report.num_heads},
               {"intermediate_dim", report.intermediate_dim},
               {"precision", report.precision},
               {"isa", report.isa},
               {"onednn_isa", report.onednn_isa},
               {"kernels", report.kernels},
               {"threads", report.threads}};
  if (!report.quantization.empty()) root["quantization"] = report.quantization;
  if (!report.peak_instructions.empty()) root["peak_instructions"] = report.peak_instructions;
  return root;
}

using Words = std::map<std::string, std::string>;

// The strings and numbers of a report's first level.
Words ReadWords(const json& report) {
  Words words;
  for (const auto& [key, value] : report.items()) {
    if (value.is_primitive()) words[key] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return words;
}

// "num_layers 6 before, 12 now; ...": of what both reports say.
std::string Differences(const BenchBaseline& baseline, const BenchReport& report, std::span<const char* const> keys) {
  const Words now = ReadWords(AboutJson(report));
  std::vector<std::string> differences;
  for (const char* key : keys) {
    const auto then_it = baseline.about.find(key), now_it = now.find(key);
    if (then_it == baseline.about.end() || now_it == now.end() || then_it->second == now_it->second) continue;
    differences.push_back(absl::StrCat(key, " ", then_it->second, " before, ", now_it->second, " now"));
  }
  return absl::StrJoin(differences, "; ");
}

}  // namespace

absl::StatusOr<BenchBaseline> ReadBaseline(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("--compare: cannot read ", path));
  try {
    const json root = json::parse(file);
    for (const char* key : {"family", "precision", "isa", "threads"}) root.at(key);  // or it throws
    BenchBaseline baseline{.path = path, .about = ReadWords(root), .median_ms = {}};
    for (const json& c : root.at("cases")) {
      baseline.median_ms[{c.at("length").get<size_t>(), c.at("batch").get<size_t>()}] = c.at("median_ms").get<double>();
    }
    return baseline;
  } catch (const json::exception& e) {
    return absl::InvalidArgumentError(
        absl::StrCat("--compare: ", path, " is not a report of bench --json: ", e.what()));
  }
}

absl::Status CheckSameModel(const BenchBaseline& baseline, const BenchReport& report) {
  const std::string differences = Differences(baseline, report, kModelKeys);
  if (differences.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--compare: ", baseline.path, " is of another model (", differences,
                                                 "); compare reports of one model"));
}

void PrintTable(const BenchReport& report, const BenchBaseline* baseline, std::ostream& out) {
  out << absl::StrFormat("%s, %d layers, hidden %d; precision %s, instruction set %s, %d threads\nkernels: %s\n",
                         report.family, report.num_layers, report.hidden_dim, report.precision, report.isa,
                         report.threads, absl::StrJoin(report.kernels, "; "));
  if (!report.peak_instructions.empty()) {
    out << "peak: int8 operations a second of the vector units, register-only " << report.peak_instructions
        << "\nof peak: of the median pass, and of the shortest, which is disturbed as little as the best run of the "
           "peak loop\n";
  }
  if (baseline != nullptr) {
    const std::string differences = Differences(*baseline, report, kRunKeys);
    out << "before: " << baseline->path << (differences.empty() ? "" : "; the runs differ: ") << differences << "\n";
  }
  out << "length batch      min ms   median ms      p90 ms    tokens/s   GOP/s    peak  of peak  at best"
      << (baseline != nullptr ? "   before\n" : "\n");
  for (const CaseResult& r : report.cases) {
    out << absl::StrFormat("%6d %5d %11.3f %11.3f %11.3f %11.0f %7.0f  %s", r.length, r.batch, r.min_ms, r.median_ms,
                           r.p90_ms, r.tokens_per_second, r.gops, Shares(r));
    if (baseline != nullptr) {
      const auto it = baseline->median_ms.find({r.length, r.batch});
      out << (it == baseline->median_ms.end() ? "        -" : absl::StrFormat("  %6.3fx", it->second / r.median_ms));
    }
    out << "\n";
    PrintPhases(r, out);
  }
}

void PrintJson(const BenchReport& report, std::ostream& out) {
  json cases = json::array();
  for (const CaseResult& result : report.cases) cases.push_back(CaseJson(result));
  json root = AboutJson(report);
  root["cases"] = std::move(cases);
  out << root.dump(2) << "\n";
}

}  // namespace octet::cli
