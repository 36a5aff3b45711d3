// One effective configuration from defaults, file, variables and flags, and the checks that need more
// than one key.
#ifndef OCTET_SERVER_CLI_CONFIG_H_
#define OCTET_SERVER_CLI_CONFIG_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "server/cli/config_schema.h"

namespace octet::cli {

// A flag that was given: the key that it sets and its text. "models" may come more than once.
struct FlagValue {
  std::string flag;  // "--threads", for messages
  std::string key;   // "engine.threads"
  std::string text;
};

struct ConfigSources {
  std::string file = {};                      // "" = none
  std::vector<std::string> environment = {};  // "NAME=VALUE"
  std::vector<FlagValue> flags = {};
};

struct LoadedConfig {
  Config config;
  std::vector<std::string> problems;  // one line each; any means: do not start
  std::vector<std::string> warnings;
};

// Flags override variables override the file override the defaults. Ends with CheckConfig.
LoadedConfig LoadConfig(const ConfigSources& sources);

// Checks that need several keys: listeners (config_listeners.h), models and default_model, memory quota against message
// size, connection grace against the deadline, queue against call limits.
void CheckConfig(const Config& config, std::vector<std::string>* problems);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_CONFIG_H_
