// What the process says to whoever started it. Stable: scripts and service managers depend on them.
#ifndef OCTET_SERVER_CLI_EXIT_CODE_H_
#define OCTET_SERVER_CLI_EXIT_CODE_H_

namespace octet::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;  // while running
inline constexpr int kExitConfig = 2;   // flags, variables, configuration file, address
inline constexpr int kExitModel = 3;    // a model that cannot be served

inline constexpr char kExitCodesHelp[] =
    "Exit codes: 0 done, 1 failed while running, 2 wrong flag or configuration, 3 model refused.";

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EXIT_CODE_H_
