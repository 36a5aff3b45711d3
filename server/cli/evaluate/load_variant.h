// The seam where ways of quantizing a model join `octet evaluate`: a variant's name becomes a model ready to run.
// "f32", "bf16", "int8" (what octet serves by default), "dynamic" (int8 without factors), "per_text" and "moving_average" (int8
// with other activation ranges) are made from the model directory; anything else is the directory of another model, such as a
// quantized one. Thread-safe.
#ifndef OCTET_SERVER_CLI_EVALUATE_LOAD_VARIANT_H_
#define OCTET_SERVER_CLI_EVALUATE_LOAD_VARIANT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/cli/embed_model.h"

namespace octet::cli {

inline constexpr char kBaselineVariant[] = "f32";
// Names that the command puts directories in the place of (server/cli/made_variants.h); not for LoadVariant.
inline constexpr const char* kMadeVariants[] = {"smooth", "static", "mixed"};

struct LoadedVariant {
  EmbedModel loaded;
  uint64_t file_bytes = 0;          // of the safetensors files in its directory
  bool depends_on_history = false;  // answers depend on those before: one after the other, by one thread
};

// InvalidArgument for a name that is neither a built-in variant nor a directory, or is there twice; loads nothing.
absl::Status CheckVariantNames(const std::vector<std::string>& names);

// What reports call the variant: the name, or the last part of a directory.
std::string VariantLabel(const std::string& name);

// Unimplemented: this CPU (or OCTET_ISA) cannot run it, but another one could. Else as TextModel::Load, with the
// variant's label in front. `options.precision` is not read.
absl::StatusOr<LoadedVariant> LoadVariant(const std::string& model_directory, const std::string& name,
                                          const EmbedModelOptions& options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_LOAD_VARIANT_H_
