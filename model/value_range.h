// The range of values that are quantized with one scale. Pure functions.
#ifndef OCTET_MODEL_VALUE_RANGE_H_
#define OCTET_MODEL_VALUE_RANGE_H_

#include <span>

#include "kernels/kernel_table.h"

namespace octet::model {

struct ValueRange {
  float min = 0, max = 0;  // min <= 0 <= max
};

// Of a row times factors ([x.size()], or null: as it is), widened to hold 0. Of a row with a value that is not finite:
// none ({0, 0}); quantizing such a row yields NaN whatever the range.
ValueRange RangeOf(std::span<const float> x, const float* factors);

// Makes `range` hold `other` too.
void Widen(const ValueRange& other, ValueRange* range);

// scale = (max - min) / 255, zero_point = round(-min / scale), computed as the kernels do for a row; a range of zeros
// gets scale 1.
kernels::RowQuantization QuantizationOf(const ValueRange& range);

}  // namespace octet::model

#endif  // OCTET_MODEL_VALUE_RANGE_H_
