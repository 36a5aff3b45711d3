// The YAML file and the OCTET_* variables, laid over a Config. Problems are collected, not thrown at the
// first: each is one line that says where, what and what instead.
#ifndef OCTET_SERVER_CLI_CONFIG_FILE_H_
#define OCTET_SERVER_CLI_CONFIG_FILE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/cli/config_schema.h"

namespace octet::cli {

// Lays the YAML document `text` over `config`. `name` is the file's name for messages
// ("octet.yaml:7: limits.max_txt_bytes: unknown key; nearest is max_text_bytes"). Every problem is appended
// to `problems`; keys with problems are left alone. Repeated keys are a problem too.
void ApplyYaml(absl::string_view text, const std::string& name, Config* config, std::vector<std::string>* problems);

// Reads the file and applies it; one that cannot be read or is above 1 MiB is a problem.
void ApplyYamlFile(const std::string& path, Config* config, std::vector<std::string>* problems);

// `environment`: "NAME=VALUE" entries. Applies those that are a key's variable; appends a line to `warnings`
// for each other OCTET_ name that octet does not know. An empty value counts as not set.
void ApplyEnvironment(const std::vector<std::string>& environment, Config* config, std::vector<std::string>* problems,
                      std::vector<std::string>* warnings);

// This process's environment, in that form.
std::vector<std::string> ProcessEnvironment();

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_CONFIG_FILE_H_
