// A thread that, while calls wait beside a busy worker, looks every few milliseconds for those that nobody
// wants any more, so that their places are free at once and their answers do not wait for a long batch or
// a hung one. Sleeps when nothing waits. Thread-safe.
#ifndef OCTET_SERVING_SWEEPER_H_
#define OCTET_SERVING_SWEEPER_H_

#include <functional>
#include <thread>

#include "base/mutex.h"
#include "serving/heartbeat.h"

namespace octet::serving {

class Sweeper {
 public:
  // `sweep` returns whether anything still waits.
  explicit Sweeper(std::function<bool()> sweep) : sweep_(std::move(sweep)) {}
  ~Sweeper() { Stop(); }

  void Start(Heartbeats* heartbeats);
  // Something waits now.
  void Arm();
  void Stop();  // joins

 private:
  void Run(Heartbeat* beat);

  const std::function<bool()> sweep_;
  Mutex mu_;
  CondVar wake_;
  bool armed_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_SWEEPER_H_
