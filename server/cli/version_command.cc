#include <cstdio>
#include <memory>
#include <string>

#include "base/cpu_isa.h"
#include "nlohmann/json.hpp"
#include "server/cli/build_info.h"
#include "server/cli/command.h"
#include "server/cli/exit_code.h"

namespace octet::cli {
namespace {

int RunVersion(bool json) {
  const BuildInfo build = GetBuildInfo();
  const std::string isa(IsaName(DetectIsa()));
  if (json) {
    const nlohmann::ordered_json object = {{"version", build.version},
                                           {"commit", build.commit},
                                           {"isa", isa},
                                           {"onednn", build.onednn},
                                           {"grpc", build.grpc}};
    std::printf("%s\n", object.dump().c_str());
    return kExitOk;
  }
  std::printf("octet %s%s%s\ninstruction set %s (of this machine)\noneDNN %s\ngRPC %s\n", build.version.c_str(),
              build.commit.empty() ? "" : ", commit ", build.commit.c_str(), isa.c_str(), build.onednn.c_str(),
              build.grpc.c_str());
  return kExitOk;
}

}  // namespace

void AddVersionCommand(CLI::App& app, CommandBody* chosen) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("version", "Say what this program is and runs on");
  command->add_flag("--json", *json, "As one JSON object");
  command->callback([json, chosen] { *chosen = [json] { return RunVersion(*json); }; });
}

}  // namespace octet::cli
