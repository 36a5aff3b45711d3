// One run of `octet inspect`: a model directory, and perhaps calibration texts, to what is known of its linear layers.
#ifndef OCTET_SERVER_CLI_INSPECT_INSPECT_RUN_H_
#define OCTET_SERVER_CLI_INSPECT_INSPECT_RUN_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "server/cli/calibration_file.h"
#include "server/cli/inspect/inspection.h"
#include "server/cli/progress.h"

namespace octet::cli {

struct InspectOptions {
  std::string model;            // directory, of floats or quantized
  std::string floats;           // of a quantized one: the directory it was made from; "": not known
  CalibrationFile calibration;  // path "": none
  Isa isa = Isa::kScalar;
  int num_threads = 1;  // each looks at encoder layers of its own
};

// How far a run came: whose fault an error is.
enum class InspectStep {
  kLoading,        // of the directories'
  kCheckingFlags,  // of the flags': directories that do not fit each other, texts that cannot be read
  kInspecting,     // of the run itself
};

// Everything of an Inspection but the build and the reports of `octet evaluate`. A directory of floats is looked at as
// serving would quantize it. InvalidArgument for --floats that does not fit; errors of TextModel::Load and of
// ReadCalibrationFile; ResourceExhausted without enough memory. `step` says where the run is, also when it fails.
absl::StatusOr<Inspection> RunInspect(const InspectOptions& options, Progress* progress, InspectStep* step);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_INSPECT_RUN_H_
