// Where embeddings go: a file of JSON lines, a NumPy file, or JSON lines on a pipe. A file grows as
// FILE.partial beside FILE.state, which says what it is made from and how far it is known to be good, and gets
// its name when it is complete: so FILE never holds half a result, and an interrupted run is continued by
// starting it again.
#ifndef OCTET_SERVER_CLI_EMBED_OUTPUT_H_
#define OCTET_SERVER_CLI_EMBED_OUTPUT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::cli {

enum class OutputFormat { kJsonLines, kNpy };

struct OutputOptions {
  std::string path;  // "" = stdout, which cannot be continued
  OutputFormat format = OutputFormat::kJsonLines;
  size_t dimensions = 0;
  bool overwrite = false;
  // Everything but the input that changes the vectors (model version, precision, ...): a partial file with
  // another one is refused. Ends with a newline.
  std::string fingerprint;
};

// How far a partial file is good: rows, their bytes with the header, and a hash of the input lines that
// they are made from.
struct Checkpoint {
  uint64_t num_rows = 0;
  uint64_t num_bytes = 0;
  uint64_t input_hash = 0;
};

// Not thread-safe.
class EmbedOutput {
 public:
  // FailedPrecondition when the file exists already, or a partial one of another run does, unless
  // `overwrite`; Unavailable when it cannot be written or another process writes it.
  static absl::StatusOr<std::unique_ptr<EmbedOutput>> Open(const OutputOptions& options);
  ~EmbedOutput();

  // What an earlier run has written; the caller skips as many inputs, whose hash must be the same.
  const Checkpoint& found() const { return found_; }

  // `rows`: whole rows as FormatRow makes them, laid end to end. `input_hash`: of all inputs up to the last of
  // these rows. On return a run that is killed can be continued from here.
  absl::Status Write(absl::string_view rows, uint64_t num_rows, uint64_t input_hash);

  // Completes the file and gives it its name.
  absl::Status Finish();

 private:
  explicit EmbedOutput(OutputOptions options) : options_(std::move(options)) {}
  absl::Status OpenPartial();
  absl::Status StartPartial();
  absl::Status ContinuePartial(absl::string_view checkpoints);
  absl::Status StartState();
  absl::Status WriteAll(absl::string_view bytes);
  std::string partial_path() const { return options_.path + ".partial"; }
  std::string state_path() const { return options_.path + ".state"; }

  const OutputOptions options_;
  int fd_ = -1, state_fd_ = -1;
  Checkpoint found_, written_;
};

// One row: a JSON line with "id", "embedding" (shortest digits that read back to the same f32) and "tokens";
// or the raw little-endian f32 values.
std::string FormatRow(OutputFormat format, absl::string_view id_json, std::span<const float> embedding,
                      size_t num_tokens);

// The 128-byte header of a C-ordered f32 array [num_rows, dimensions] (NumPy format 1.0).
std::string NpyHeader(uint64_t num_rows, size_t dimensions);
inline constexpr size_t kNpyHeaderBytes = 128;

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EMBED_OUTPUT_H_
