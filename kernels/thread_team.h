// A persistent team of threads that works on one batch at a time. The caller of Run is thread 0; the rest
// sleep between calls (they spin briefly first). oneDNN and OpenMP see one thread per calling thread.
#ifndef OCTET_KERNELS_THREAD_TEAM_H_
#define OCTET_KERNELS_THREAD_TEAM_H_

#include <memory>

#include "absl/functional/function_ref.h"
#include "base/cpu_pacer.h"

namespace octet::kernels {

// Not thread-safe: one caller at a time, always the same way.
class ThreadTeam {
 public:
  // `num_threads` >= 1: starts one fewer. `pacer`: null, or what Pace asks; it must outlive the team.
  explicit ThreadTeam(int num_threads, CpuPacer* pacer = nullptr);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int num_threads() const;

  // Calls body(thread_idx) once on every thread, returns when all are done. body must not throw.
  void Run(absl::FunctionRef<void(int thread_idx)> body);

  // Calls body(0) on the caller and leaves the others asleep.
  void RunAlone(absl::FunctionRef<void(int thread_idx)> body);

  // Inside body only, between pieces of work of a few milliseconds at most: rests if the CPU quota is used up.
  void Pace();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_THREAD_TEAM_H_
