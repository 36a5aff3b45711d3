// What start-up advice (server/cli/advise) says in the log of `octet serve`: which precision pays for each model on this
// machine, with a warning where the configured one does not. Trouble with it is logged and no reason not to serve.
#ifndef OCTET_SERVER_CLI_SERVE_ADVICE_H_
#define OCTET_SERVER_CLI_SERVE_ADVICE_H_

#include "server/cli/config.h"
#include "server/cli/serve_start.h"
#include "serving/model_repository.h"

namespace octet::cli {

// Measures every model; before the models are loaded, since it takes memory of its own for a while.
void LogMeasuredAdvice(const Config& config, const ServePlan& plan);

// What `octet advise --cache` measured of the models that are loaded.
void LogCachedAdvice(const Config& config, const ServePlan& plan, const serving::ModelRepository& repository);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_ADVICE_H_
