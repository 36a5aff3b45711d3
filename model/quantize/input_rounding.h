// What a linear layer's product sees of its input: the row times its factors, quantized or rounded as the layer's
// format says, and back as floats. Pure functions.
#ifndef OCTET_MODEL_QUANTIZE_INPUT_ROUNDING_H_
#define OCTET_MODEL_QUANTIZE_INPUT_ROUNDING_H_

#include <span>

#include "base/cpu_isa.h"
#include "kernels/linear.h"

namespace octet::model {

// y = gain * round(x * factors). x, y: [in_dim], x finite.
void RoundInputRow(Isa isa, const kernels::InputFormat& format, std::span<const float> x, float gain,
                   std::span<float> y);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_INPUT_ROUNDING_H_
