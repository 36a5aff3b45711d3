// What `octet serve` says at start about the precision that it was told to compute in, from measured speeds.
#ifndef OCTET_SERVER_CLI_ADVISE_STARTUP_ADVICE_H_
#define OCTET_SERVER_CLI_ADVISE_STARTUP_ADVICE_H_

#include <string>

#include "server/cli/advise/precision_speed.h"

namespace octet::cli {

struct StartupAdvice {
  std::string line;
  bool is_warning = false;  // another precision is faster
};

// `precision`: engine.precision, among the speeds or not.
StartupAdvice AdviceOf(const PrecisionSpeeds& speeds, const std::string& precision);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_ADVISE_STARTUP_ADVICE_H_
