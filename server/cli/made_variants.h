// Variants that `octet evaluate` and `octet advise` make themselves, as `octet quantize` would, in a folder that goes
// when they are done.
#ifndef OCTET_SERVER_CLI_MADE_VARIANTS_H_
#define OCTET_SERVER_CLI_MADE_VARIANTS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/cpu_isa.h"
#include "server/cli/temporary_folder.h"

namespace octet::cli {

// One of kMadeVariants: the techniques that decide on texts.
bool IsMadeVariant(const std::string& name);

class MadeVariants {
 public:
  struct Options {
    std::string model;        // directory of floats
    std::string calibration;  // file of texts; empty: none can be made
    Isa isa = Isa::kScalar;
    int num_threads = 1;
  };
  explicit MadeVariants(Options options) : options_(std::move(options)) {}

  // InvalidArgument "--variants: ..." for names that need texts when there are none; makes nothing.
  absl::Status Check(const std::vector<std::string>& names) const;

  // Puts a directory in the place of each made variant's name. Returns the exit code; the reason, if it is not kExitOk,
  // is on stderr.
  int Make(std::vector<std::string>* names);

 private:
  const Options options_;
  std::unique_ptr<TemporaryFolder> folder_;  // null until something is made
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_MADE_VARIANTS_H_
