// What /proc says about this process, for the process_* metrics. A value that cannot be read is 0.
#ifndef OCTET_SERVING_PROCESS_STATS_H_
#define OCTET_SERVING_PROCESS_STATS_H_

namespace octet::serving {

struct ProcessStats {
  double cpu_seconds = 0;  // user + system, of all threads since start
  double resident_bytes = 0;
  double virtual_bytes = 0;
  double open_fds = 0;
  double max_fds = 0;             // soft limit
  double start_time_seconds = 0;  // since the Unix epoch
};

ProcessStats ReadProcessStats();

}  // namespace octet::serving

#endif  // OCTET_SERVING_PROCESS_STATS_H_
