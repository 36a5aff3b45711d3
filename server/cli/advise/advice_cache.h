// The file in which `octet advise --cache` keeps measured speeds for `octet serve`, which writes no files. An entry is
// of one model on one kind of machine: another CPU, thread count or instruction set has its own.
#ifndef OCTET_SERVER_CLI_ADVISE_ADVICE_CACHE_H_
#define OCTET_SERVER_CLI_ADVISE_ADVICE_CACHE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "server/cli/advise/precision_speed.h"

namespace octet::cli {

// What speeds depend on besides the model.
struct MachineKey {
  std::string cpu;  // the model name that /proc/cpuinfo gives, or "unknown"
  std::string octet_version;
  Isa isa = Isa::kScalar;
  int num_threads = 1;
};
MachineKey ThisMachine(Isa isa, int num_threads);

// The entry of a model; nothing when there is none. NotFound for a file that cannot be read, InvalidArgument for one
// that is no such cache.
absl::StatusOr<std::optional<PrecisionSpeeds>> ReadAdvice(const std::string& path, const MachineKey& machine,
                                                          const std::string& model_version);

// Adds or replaces the model's entry, in one step. InvalidArgument for a file that is there and no such cache.
absl::Status WriteAdvice(const std::string& path, const MachineKey& machine, const PrecisionSpeeds& speeds);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_ADVISE_ADVICE_CACHE_H_
