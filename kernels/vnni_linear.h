// Int8 layers at the levels with VNNI and without AMX, by a kernel of VPDPBUSD that finishes its sums in registers.
// Internal to this folder.
#ifndef OCTET_KERNELS_VNNI_LINEAR_H_
#define OCTET_KERNELS_VNNI_LINEAR_H_

#include <memory>
#include <span>

#include "kernels/linear.h"

namespace octet::kernels {

// Whether a level has it for a depth: a multiple of 4.
bool HasVnniLinear(Isa isa, size_t in_dim);

// weights: [out_dim, in_dim], scales and bias: [out_dim]. Precondition: HasVnniLinear.
std::unique_ptr<Linear> MakeVnniLinear(size_t in_dim, std::span<const int8_t> weights, std::span<const float> scales,
                                       std::span<const float> bias, InputFormat input);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_VNNI_LINEAR_H_
