// Writes a model directory whose linear layers are stored as a plan has them, in the layout that
// model/stored_quantization.h reads. Everything that the plan does not touch is copied as it is: other tensors in
// their own types, tokenizer, sentence-transformers settings. The directory appears whole or not at all.
#ifndef OCTET_MODEL_QUANTIZE_QUANTIZED_DIRECTORY_H_
#define OCTET_MODEL_QUANTIZE_QUANTIZED_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/linear_plan.h"

namespace octet::model {

// A folder beside `path` in which the directory is put together, and its later name.
class StagedDirectory {
 public:
  // AlreadyExists when `path` exists and is not an empty folder, unless `overwrite`. A folder that an earlier,
  // interrupted run left is used again.
  static absl::StatusOr<StagedDirectory> Open(const std::string& path, bool overwrite);

  // Where to write.
  const std::string& staging_path() const { return staging_path_; }
  std::string File(absl::string_view name) const;
  // Replaces or makes a file of the staging folder.
  absl::Status WriteText(absl::string_view name, absl::string_view text) const;
  // Takes out what an earlier run left of that name.
  void Remove(absl::string_view name) const;
  absl::Status Rename(absl::string_view name, absl::string_view new_name) const;
  // Gives the folder its name; an older directory of that name is removed only then.
  absl::Status Publish() const;

 private:
  std::string path_, staging_path_;
};

// `source`: the directory that the plan was made from. Every linear layer of kInt8 must have rounded weights; others
// keep their tensors, which `plan` says by their kind (kF32 or kBf16, which is stored as BF16). Writes config.json,
// model.safetensors and copies of the other files; `method`: the technique's name, kept in config.json.
absl::Status WriteQuantizedDirectory(const std::string& source, const QuantizationPlan& plan, absl::string_view method,
                                     const StagedDirectory& out);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_QUANTIZED_DIRECTORY_H_
