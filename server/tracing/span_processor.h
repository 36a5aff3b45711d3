// Finished calls on their way to the collector: a bounded queue and one thread that makes spans of them and exports
// them in batches. Nobody who ends a call ever waits: what the queue cannot take is dropped, and everything is counted
// in octet_trace_spans_total. Thread-safe.
#ifndef OCTET_SERVER_TRACING_SPAN_PROCESSOR_H_
#define OCTET_SERVER_TRACING_SPAN_PROCESSOR_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/tracing/call_record.h"
#include "server/tracing/export_log.h"
#include "server/tracing/span.h"
#include "serving/metrics.h"

namespace octet::tracing {

struct ProcessorOptions {
  size_t max_queue_spans = 2048;
  size_t max_batch_spans = 512;                       // a batch may exceed it by the spans of one call
  absl::Duration export_interval = absl::Seconds(5);  // a smaller batch leaves after so long
  absl::Duration timeout = absl::Seconds(10);         // of one attempt to export
  // Between the attempts for one batch, which may be 3; twice as long each time.
  absl::Duration retry_delay = absl::Seconds(1);
};

class SpanProcessor {
 public:
  // `metrics` must outlive it. `collector`: its name for the log.
  SpanProcessor(const ProcessorOptions& options, std::unique_ptr<SpanExporter> exporter, serving::Metrics* metrics,
                const std::string& collector);
  ~SpanProcessor() { Stop(absl::ZeroDuration()); }

  // Known once the server has bound its port.
  void SetServerAddress(ServerAddress address);

  void Push(CallRecord record);

  // Takes no more, exports what is queued, for at most `timeout`; what is left then is dropped. Idempotent.
  void Stop(absl::Duration timeout);

 private:
  void Run();
  // Waits for a full batch, the interval or the end, and takes a batch; false at the end.
  bool Take(std::vector<CallRecord>* batch);
  void ExportBatch(const std::vector<CallRecord>& batch);
  // Time for another attempt; zero or less: none.
  absl::Duration TimeLeft() const;
  // True unless the end came first.
  bool Pause(absl::Duration duration);

  const ProcessorOptions options_;
  const std::unique_ptr<SpanExporter> exporter_;
  serving::Metrics* const metrics_;
  ExportLog log_;

  mutable Mutex mu_;
  CondVar wake_;     // of the thread
  CondVar changed_;  // is_done_
  std::deque<CallRecord> queue_ ABSL_GUARDED_BY(mu_);
  size_t num_queued_spans_ ABSL_GUARDED_BY(mu_) = 0;
  ServerAddress address_ ABSL_GUARDED_BY(mu_);
  bool is_stopping_ ABSL_GUARDED_BY(mu_) = false;
  MonotonicTime flush_end_ ABSL_GUARDED_BY(mu_);  // once stopping
  bool is_done_ ABSL_GUARDED_BY(mu_) = false;
  Mutex stop_mu_;  // held by Stop, for its callers one after the other
  std::thread thread_;
};

}  // namespace octet::tracing

#endif  // OCTET_SERVER_TRACING_SPAN_PROCESSOR_H_
