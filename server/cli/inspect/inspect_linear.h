// Looks at one linear layer: its weights, the inputs that calibration gave it, and its outputs in the arithmetic that
// serves. Pure functions.
#ifndef OCTET_SERVER_CLI_INSPECT_INSPECT_LINEAR_H_
#define OCTET_SERVER_CLI_INSPECT_INSPECT_LINEAR_H_

#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "kernels/linear.h"
#include "model/linear_load.h"
#include "model/quantize/calibration.h"
#include "server/cli/inspect/inspection.h"

namespace octet::cli {

// Everything is borrowed.
struct LinearSubject {
  Isa isa = Isa::kScalar;
  // As the directory is loaded: s8 for kInt8, else f32; applying to the input after its factors.
  kernels::InputFormat input;
  kernels::LinearWeights weights;
  const model::OwnedLinear* floats = nullptr;   // what it was made from; null: not known
  const model::LinearInputs* inputs = nullptr;  // at least one row; null: no calibration
};

// Fills what the layer itself says: not its name, what a report says of it, and bytes. Errors of kernels.
absl::StatusOr<LinearInspection> InspectLinear(const LinearSubject& subject);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_INSPECT_LINEAR_H_
