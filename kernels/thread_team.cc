#include "kernels/thread_team.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/spin_wait.h"

// Of the OpenMP run-time library that oneDNN uses. Declared here because only compilers that bring a library
// of their own have the header.
extern "C" void omp_set_num_threads(int num_threads);

namespace octet::kernels {

struct ThreadTeam::State {
  State(int num_threads_in, CpuPacer* pacer_in) : num_threads(num_threads_in), pacer(pacer_in) {}

  const int num_threads;
  CpuPacer* const pacer;
  std::vector<std::thread> threads;

  // Run: the caller writes `body`, then raises `generation`; every thread runs it once per generation and
  // passes the barrier, which ends the run.
  const absl::FunctionRef<void(int)>* body = nullptr;
  std::atomic<uint32_t> generation{0};
  std::atomic<bool> stopping{false};

  // Barrier: the last of num_threads arrivals resets the count and raises the phase.
  std::atomic<int> arrived{0};
  std::atomic<uint32_t> phase{0};

  void Barrier() {
    if (num_threads == 1) return;
    const uint32_t old = phase.load(std::memory_order_relaxed);
    if (arrived.fetch_add(1, std::memory_order_acq_rel) == num_threads - 1) {
      arrived.store(0, std::memory_order_relaxed);
      StoreAndNotify(phase, old + 1);
    } else {
      WaitWhileEqual(phase, old);
    }
  }

  // Lets the threads run `body`, or end.
  void NextGeneration() { StoreAndNotify(generation, generation.load(std::memory_order_relaxed) + 1); }

  void ThreadMain(int thread_idx) {
    omp_set_num_threads(1);  // oneDNN must not start a team of its own inside ours
    for (uint32_t seen = 0;; ++seen) {
      WaitWhileEqual(generation, seen);
      if (stopping.load(std::memory_order_acquire)) return;
      (*body)(thread_idx);
      Barrier();
    }
  }
};

ThreadTeam::ThreadTeam(int num_threads, CpuPacer* pacer) : state_(std::make_unique<State>(num_threads, pacer)) {
  OCTET_CHECK(num_threads >= 1);
  for (int i = 1; i < num_threads; ++i) {
    state_->threads.emplace_back([state = state_.get(), i] { state->ThreadMain(i); });
  }
}

ThreadTeam::~ThreadTeam() {
  state_->stopping.store(true, std::memory_order_release);
  state_->NextGeneration();
  for (std::thread& thread : state_->threads) thread.join();
}

int ThreadTeam::num_threads() const { return state_->num_threads; }

void ThreadTeam::Run(absl::FunctionRef<void(int thread_idx)> body) {
  omp_set_num_threads(1);  // a setting of the calling thread, not of the process
  if (state_->num_threads > 1) {
    state_->body = &body;
    state_->NextGeneration();
  }
  body(0);
  state_->Barrier();
}

void ThreadTeam::RunAlone(absl::FunctionRef<void(int thread_idx)> body) {
  omp_set_num_threads(1);
  body(0);
}

void ThreadTeam::Pace() {
  if (state_->pacer != nullptr) state_->pacer->Pace();
}

}  // namespace octet::kernels
