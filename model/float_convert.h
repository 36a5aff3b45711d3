// Element types of weight files to f32, with a check for NaN and infinity in the same pass. Plain loops
// that the compiler vectorizes; no state.
#ifndef OCTET_MODEL_FLOAT_CONVERT_H_
#define OCTET_MODEL_FLOAT_CONVERT_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace octet::model {

// Each returns true when all results are finite (with a false, `out` is still written). `out` has the
// size of `in`. Conversions are exact, but for f64, which is rounded to nearest; an f64 beyond the f32
// range counts as not finite.
bool AllFinite(std::span<const float> values);
bool ConvertF16(std::span<const uint16_t> in, std::span<float> out);
bool ConvertBf16(std::span<const uint16_t> in, std::span<float> out);
bool ConvertF64(std::span<const double> in, std::span<float> out);

}  // namespace octet::model

#endif  // OCTET_MODEL_FLOAT_CONVERT_H_
