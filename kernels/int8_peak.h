// A level's practical int8 peak: a loop of its exact int8 products on registers only, on every thread of a
// team. What matrix products are compared with.
#ifndef OCTET_KERNELS_INT8_PEAK_H_
#define OCTET_KERNELS_INT8_PEAK_H_

#include <optional>

#include "absl/time/time.h"
#include "base/cpu_isa.h"
#include "kernels/thread_team.h"

namespace octet::kernels {

// Operations per second (a multiply-add is two) of all threads of `team` together, over a run of about `run`: as long as
// what it is compared with, since a clock that moves may be higher for a millisecond. Nothing at level scalar. On machines
// with AMX products may pass it: the figure is that of the vector units on all machines, so that shares can be compared.
std::optional<double> MeasureInt8PeakOpsPerSecond(Isa isa, absl::Duration run, ThreadTeam* team);

// The instructions of that loop: "VPDPBUSD", or without VNNI "VPMADDWD + VPADDD", since the one-instruction
// products of older processors saturate. "" at level scalar.
const char* Int8PeakInstructions(Isa isa);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_INT8_PEAK_H_
