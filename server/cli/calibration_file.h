// A file of texts that quantization is calibrated with, or looked at with: one a line, or JSON lines with "text",
// turned into token ids as the model takes them. Not thread-safe.
#ifndef OCTET_SERVER_CLI_CALIBRATION_FILE_H_
#define OCTET_SERVER_CLI_CALIBRATION_FILE_H_

#include <cstdint>
#include <span>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/text_model.h"

namespace octet::cli {

struct CalibrationFile {
  std::string path;
  bool is_json = false;  // lines are {"text": ...}
  size_t max_texts = 0;  // the first ones; 0: all
};

struct CalibrationSummary {
  std::string sha256;  // of the lines read, 64 hex digits
  uint64_t num_texts = 0, num_tokens = 0, num_truncated = 0;
};

// What `format` ("text", "jsonl" or "auto") means for a file: whether its lines are JSON.
bool IsJsonLines(absl::string_view format, absl::string_view path);

// Gives the token ids of one text after the other, empty lines left out, to `add`, with the number of the text from 1.
// NotFound for a file that cannot be opened, InvalidArgument (with the line) for lines that are no texts, or none.
absl::StatusOr<CalibrationSummary> ReadCalibrationFile(
    const CalibrationFile& file, const model::TextModel& model,
    absl::FunctionRef<void(uint64_t number, std::span<const int32_t> ids)> add);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_CALIBRATION_FILE_H_
