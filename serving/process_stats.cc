#include "serving/process_stats.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <ctime>

namespace octet::serving {
namespace {

double ReadCpuSeconds() {
  timespec now;
  if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) != 0) return 0;
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// proc(5): the first two numbers of statm are total and resident size in pages.
void ReadMemory(ProcessStats* stats) {
  std::FILE* file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return;
  unsigned long virtual_pages = 0, resident_pages = 0;
  if (std::fscanf(file, "%lu %lu", &virtual_pages, &resident_pages) == 2) {
    const double page_bytes = static_cast<double>(sysconf(_SC_PAGESIZE));
    stats->virtual_bytes = static_cast<double>(virtual_pages) * page_bytes;
    stats->resident_bytes = static_cast<double>(resident_pages) * page_bytes;
  }
  std::fclose(file);
}

double CountOpenFds() {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return 0;
  double count = 0;
  while (const dirent* entry = readdir(dir)) {
    if (entry->d_name[0] != '.') ++count;
  }
  closedir(dir);
  return count - 1;  // the descriptor of the listing itself
}

// proc(5): field 22 of stat, in clock ticks after boot. The second field may hold spaces and parentheses,
// so fields are counted from the last ')'.
double ReadStartTime() {
  std::FILE* file = std::fopen("/proc/self/stat", "re");
  if (file == nullptr) return 0;
  char line[1024];
  const size_t length = std::fread(line, 1, sizeof(line) - 1, file);
  std::fclose(file);
  line[length] = '\0';
  const char* fields = std::strrchr(line, ')');
  unsigned long long start_ticks = 0;
  if (fields == nullptr ||
      std::sscanf(fields + 1, " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                  &start_ticks) != 1) {
    return 0;
  }
  timespec wall, boot;
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const double boot_time =
      static_cast<double>(wall.tv_sec - boot.tv_sec) + static_cast<double>(wall.tv_nsec - boot.tv_nsec) * 1e-9;
  return boot_time + static_cast<double>(start_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  stats.cpu_seconds = ReadCpuSeconds();
  ReadMemory(&stats);
  stats.open_fds = CountOpenFds();
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.max_fds = static_cast<double>(limit.rlim_cur);
  // It never changes; the wall clock it is computed from may be set.
  static const double start_time = ReadStartTime();
  stats.start_time_seconds = start_time;
  return stats;
}

}  // namespace octet::serving
