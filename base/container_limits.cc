#include "base/container_limits.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace octet {
namespace {

// /proc files report size 0, so they are read to their end, with a cap.
std::optional<std::string> ReadText(const std::string& path) {
  constexpr size_t kMaxBytes = 1 << 20;  // mountinfo of a busy node is about 100 kB
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kMaxBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

std::optional<std::string> ReadWord(const std::string& path) {
  const std::optional<std::string> text = ReadText(path);
  if (!text) return std::nullopt;
  return std::string(absl::StripAsciiWhitespace(*text));
}

std::optional<int64_t> ReadInteger(const std::string& path) {
  const std::optional<std::string> word = ReadWord(path);
  int64_t value;
  if (!word || !absl::SimpleAtoi(*word, &value)) return std::nullopt;
  return value;
}

// Value of `key` in a file of "key value" lines.
std::optional<int64_t> ReadField(const std::string& path, absl::string_view key) {
  const std::optional<std::string> text = ReadText(path);
  if (!text) return std::nullopt;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t value;
    if (words.size() == 2 && words[0] == key && absl::SimpleAtoi(words[1], &value)) return value;
  }
  return std::nullopt;
}

// mountinfo writes space, tab, newline and backslash as three octal digits (proc(5)).
std::string UnescapeMountPath(absl::string_view escaped) {
  std::string path;
  for (size_t i = 0; i < escaped.size(); ++i) {
    const bool is_escape = escaped[i] == '\\' && i + 3 < escaped.size() &&
                           escaped.substr(i + 1, 3).find_first_not_of("01234567") == absl::string_view::npos;
    if (!is_escape) {
      path += escaped[i];
      continue;
    }
    path += static_cast<char>((escaped[i + 1] - '0') * 64 + (escaped[i + 2] - '0') * 8 + (escaped[i + 3] - '0'));
    i += 3;
  }
  return path;
}

struct CgroupMount {
  std::string root;   // the group at the mount's top, as the host names it
  std::string point;  // where it is mounted
};

// Folders of one group and its visible ancestors, own group first.
using GroupPath = std::vector<std::string>;

class CgroupTree {
 public:
  explicit CgroupTree(const std::string& root) : root_(root) {
    ReadMounts();
    ReadGroups();
  }

  bool has_v2() const { return groups_.count("") != 0 && mounts_.count("") != 0; }

  // `controller`: "" for the unified (v2) tree.
  GroupPath PathOf(const std::string& controller) const {
    const auto mount = mounts_.find(controller);
    const auto group = groups_.find(controller);
    if (mount == mounts_.end() || group == groups_.end()) return {};
    // Without a cgroup namespace both names are the host's, and the mount shows only what lies below
    // its own root.
    absl::string_view below = group->second;
    if (mount->second.root != "/" && !absl::ConsumePrefix(&below, mount->second.root)) below = "";
    if (!absl::StartsWith(below, "/")) below = "";  // "/pod1" is no ancestor of "/pod12"
    std::string relative(absl::StripSuffix(below, "/"));
    if (absl::StrContains(relative, "..")) relative = "";  // seen from outside a namespace
    GroupPath path;
    while (!relative.empty()) {
      path.push_back(mount->second.point + relative);
      relative.resize(relative.rfind('/') == std::string::npos ? 0 : relative.rfind('/'));
    }
    path.push_back(mount->second.point);
    return path;
  }

 private:
  void ReadMounts() {
    const std::optional<std::string> text = ReadText(root_ + "/proc/self/mountinfo");
    if (!text) return;
    for (absl::string_view line : absl::StrSplit(*text, '\n')) {
      const std::pair<absl::string_view, absl::string_view> halves = absl::StrSplit(line, absl::MaxSplits(" - ", 1));
      const std::vector<absl::string_view> mount = absl::StrSplit(halves.first, ' ');
      const std::vector<absl::string_view> source = absl::StrSplit(halves.second, ' ');
      if (mount.size() < 5 || source.size() < 3) continue;
      const CgroupMount entry{UnescapeMountPath(mount[3]), root_ + UnescapeMountPath(mount[4])};
      if (source[0] == "cgroup2") mounts_.emplace("", entry);
      if (source[0] != "cgroup") continue;
      for (absl::string_view option : absl::StrSplit(source[2], ',')) {
        mounts_.emplace(std::string(option), entry);
      }
    }
  }

  void ReadGroups() {
    const std::optional<std::string> text = ReadText(root_ + "/proc/self/cgroup");
    if (!text) return;
    for (absl::string_view line : absl::StrSplit(*text, '\n')) {
      const std::vector<absl::string_view> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
      if (fields.size() != 3) continue;
      for (absl::string_view controller : absl::StrSplit(fields[1], ',')) {
        groups_.emplace(std::string(controller), std::string(fields[2]));
      }
    }
  }

  const std::string root_;
  std::map<std::string, CgroupMount> mounts_;  // by controller; first mount wins
  std::map<std::string, std::string> groups_;  // by controller
};

template <typename T>
void LowerTo(std::optional<T>* limit, std::optional<T> value) {
  if (value && (!*limit || *value < **limit)) *limit = value;
}

// cpu.max: "<quota or max> <period>", microseconds.
std::optional<double> QuotaV2(const std::string& folder) {
  const std::optional<std::string> word = ReadWord(folder + "/cpu.max");
  if (!word) return std::nullopt;
  const std::vector<std::string> parts = absl::StrSplit(*word, ' ', absl::SkipEmpty());
  int64_t quota, period;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &quota) || !absl::SimpleAtoi(parts[1], &period) || quota <= 0 ||
      period <= 0) {
    return std::nullopt;
  }
  return static_cast<double>(quota) / static_cast<double>(period);
}

std::optional<double> QuotaV1(const std::string& folder) {
  const std::optional<int64_t> quota = ReadInteger(folder + "/cpu.cfs_quota_us");
  const std::optional<int64_t> period = ReadInteger(folder + "/cpu.cfs_period_us");
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;  // -1: no quota
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<uint64_t> MemoryLimit(const std::string& file) {
  // cgroup v1 writes "no limit" as the largest page-aligned s64, v2 as "max".
  constexpr int64_t kUnlimited = int64_t{1} << 60;
  const std::optional<int64_t> bytes = ReadInteger(file);
  if (!bytes || *bytes < 0 || *bytes >= kUnlimited) return std::nullopt;
  return static_cast<uint64_t>(*bytes);
}

// A group for which the controller is not enabled has the set of its nearest ancestor that has one.
std::optional<int> CpusetOf(const GroupPath& path, absl::string_view file) {
  for (const std::string& folder : path) {
    const std::optional<std::string> list = ReadWord(folder + "/" + std::string(file));
    if (const std::optional<int> count = list ? CountCpuList(*list) : std::nullopt) return count;
  }
  return std::nullopt;
}

// The cpu.stat that counts how long the quota held threads back: of the group that has the smallest quota, as its
// descendants' do not count that; without one, the nearest that counts at all. "" = none.
std::string CpuStatOf(const GroupPath& path, absl::string_view throttled_field,
                      absl::FunctionRef<std::optional<double>(const std::string&)> quota_of) {
  std::string found;
  std::optional<double> smallest;
  for (const std::string& folder : path) {
    const std::string file = folder + "/cpu.stat";
    if (!ReadField(file, throttled_field)) continue;
    const std::optional<double> quota = quota_of(folder);
    if (found.empty() || (quota && (!smallest || *quota < *smallest))) found = file;
    LowerTo(&smallest, quota);
  }
  return found;
}

int AffinityCpus() {
  // The kernel refuses masks smaller than its own, so grow until it fits.
  for (int num_cpus = 1024; num_cpus <= (1 << 20); num_cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(num_cpus));
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(num_cpus));
    const bool ok = sched_getaffinity(0, bytes, set) == 0;
    const int count = ok ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (ok) return std::max(1, count);
  }
  return 1;
}

}  // namespace

std::optional<int> CountCpuList(absl::string_view list) {
  constexpr int kMaxCpus = 1 << 20;
  int count = 0;
  for (absl::string_view range : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    const std::vector<absl::string_view> ends = absl::StrSplit(range, '-');
    int first, last;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends[0], &first) || !absl::SimpleAtoi(ends.back(), &last) || first < 0 ||
        last < first || last >= kMaxCpus) {
      return std::nullopt;
    }
    count = std::min(kMaxCpus, count + last - first + 1);
  }
  if (count == 0) return std::nullopt;
  return count;
}

ContainerLimits ContainerLimits::Detect(const std::string& root, int affinity_cpus) {
  ContainerLimits limits;
  limits.affinity_cpus_ = affinity_cpus > 0 ? affinity_cpus : AffinityCpus();
  const CgroupTree tree(root);
  // A hybrid host mounts both trees; each controller lives in exactly one, so reading both is safe.
  const GroupPath v2 = tree.has_v2() ? tree.PathOf("") : GroupPath{};
  for (const std::string& folder : v2) {
    LowerTo(&limits.cpu_quota_, QuotaV2(folder));
    LowerTo(&limits.memory_limit_bytes_, MemoryLimit(folder + "/memory.max"));
  }
  const GroupPath cpu = tree.PathOf("cpu");
  for (const std::string& folder : cpu) LowerTo(&limits.cpu_quota_, QuotaV1(folder));
  for (const std::string& folder : tree.PathOf("memory")) {
    LowerTo(&limits.memory_limit_bytes_, MemoryLimit(folder + "/memory.limit_in_bytes"));
  }
  LowerTo(&limits.cpuset_cpus_, CpusetOf(v2, "cpuset.cpus.effective"));
  LowerTo(&limits.cpuset_cpus_, CpusetOf(tree.PathOf("cpuset"), "cpuset.effective_cpus"));
  LowerTo(&limits.cpuset_cpus_, CpusetOf(tree.PathOf("cpuset"), "cpuset.cpus"));

  limits.cpu_stat_path_ = CpuStatOf(cpu, "throttled_time", QuotaV1);
  if (limits.cpu_stat_path_.empty()) limits.cpu_stat_path_ = CpuStatOf(v2, "throttled_usec", QuotaV2);
  return limits;
}

int ContainerLimits::NumCpus() const { return std::min(affinity_cpus_, cpuset_cpus_.value_or(affinity_cpus_)); }

int ContainerLimits::NumThreads() const {
  double cpus = NumCpus();
  if (cpu_quota_) cpus = std::min(cpus, *cpu_quota_);
  return std::max(1, static_cast<int>(std::ceil(cpus)));
}

std::optional<CpuThrottling> ContainerLimits::Throttling() const {
  if (cpu_stat_path_.empty()) return std::nullopt;
  CpuThrottling throttling;
  if (const auto usec = ReadField(cpu_stat_path_, "throttled_usec")) {
    throttling.time = absl::Microseconds(*usec);
  } else if (const auto nsec = ReadField(cpu_stat_path_, "throttled_time")) {
    throttling.time = absl::Nanoseconds(*nsec);
  } else {
    return std::nullopt;
  }
  throttling.periods = ReadField(cpu_stat_path_, "nr_periods").value_or(0);
  throttling.throttled_periods = ReadField(cpu_stat_path_, "nr_throttled").value_or(0);
  return throttling;
}

}  // namespace octet
