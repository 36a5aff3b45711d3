// What goes through a completion queue: operations that were started, handed back when they are done. Internal to the
// transport.
#ifndef OCTET_SERVER_RPC_CQ_OPERATION_H_
#define OCTET_SERVER_RPC_CQ_OPERATION_H_

#include <atomic>
#include <memory>
#include <utility>

namespace octet::rpc {

// What a completion queue hands back. One operation is pending per Event and time.
class Event {
 public:
  virtual ~Event() = default;
  virtual void Happen(bool ok) = 0;
};

// An operation in flight. Keeps its call alive until the queue has handed it back.
template <typename T>
class Operation final : public Event {
 public:
  using Continuation = void (T::*)(bool ok);
  explicit Operation(Continuation continuation) : continuation_(continuation) {}

  // The tag of an operation that is being started.
  void* Start(std::shared_ptr<T> call) {
    call_ = std::move(call);
    handed_over_.store(true, std::memory_order_release);
    return static_cast<Event*>(this);
  }
  // An operation that will never be handed back.
  void Forget() { call_ = nullptr; }

  void Happen(bool ok) override {
    handed_over_.load(std::memory_order_acquire);
    const std::shared_ptr<T> call = std::move(call_);
    ((*call).*continuation_)(ok);
  }

 private:
  const Continuation continuation_;
  std::shared_ptr<T> call_;
  // Orders what was written before Start before what happens after. The queue does so already, but by locks
  // inside libraries that ThreadSanitizer cannot see into.
  std::atomic<bool> handed_over_{false};
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_CQ_OPERATION_H_
