// How fast a model computes in each precision on this machine: the short measurement behind advice at start-up.
#ifndef OCTET_SERVER_CLI_ADVISE_PRECISION_SPEED_H_
#define OCTET_SERVER_CLI_ADVISE_PRECISION_SPEED_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "base/cpu_isa.h"

namespace octet::cli {

struct PrecisionSpeeds {
  std::string model_version;                        // ModelInfo::version
  std::map<std::string, double> tokens_per_second;  // by precision, of those that run here
};

// Loads the model in one precision after the other and passes batches of medium texts forward for a fraction of a
// second each. At most one copy of the model is in memory. Errors of the model in int8; a precision that the CPU or the
// directory does not have is left out.
absl::StatusOr<PrecisionSpeeds> MeasurePrecisionSpeeds(const std::string& directory, Isa isa, int num_threads);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_ADVISE_PRECISION_SPEED_H_
