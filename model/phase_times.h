// Where the time of a forward pass goes: each thread says which phase it enters, and the time since the last
// such word is booked on the phase before. Off unless somebody asks; then it costs about 25 cycles a row and phase.
#ifndef OCTET_MODEL_PHASE_TIMES_H_
#define OCTET_MODEL_PHASE_TIMES_H_

#include <array>
#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace octet::model {

enum class Phase {
  kEmbed,          // table lookups and the first LayerNorm
  kQuantize,       // rows into the representation of the next linear layer
  kQueryKeyValue,  // products: the four linear layers of an encoder layer
  kAttentionOutput,
  kIntermediate,
  kOutput,
  kEpilogue,  // scales and bias; storing queries, keys and values
  kActivation,
  kAttention,
  kNorm,         // residual and LayerNorm
  kSynchronize,  // waiting for the other threads of the team
};
inline constexpr size_t kNumPhases = 11;

// Ticks of the processor's clock, by phase.
using PhaseTicks = std::array<uint64_t, kNumPhases>;

// One thread's stopwatch.
class PhaseMeter {
 public:
  // Starts from zero.
  void Enable() {
    enabled_ = true;
    ticks_ = {};
  }
  // The time until the first Enter of a pass is nobody's.
  void Begin(Phase phase) {
    if (!enabled_) return;
    since_ = __rdtsc();
    current_ = phase;
  }
  void Enter(Phase phase) {
    if (!enabled_) return;
    const uint64_t now = __rdtsc();
    ticks_[static_cast<size_t>(current_)] += now - since_;
    since_ = now;
    current_ = phase;
  }
  const PhaseTicks& ticks() const { return ticks_; }

 private:
  bool enabled_ = false;
  Phase current_ = Phase::kSynchronize;
  uint64_t since_ = 0;
  PhaseTicks ticks_ = {};
};

}  // namespace octet::model

#endif  // OCTET_MODEL_PHASE_TIMES_H_
