// Lines of an input file or pipe, each one text to embed: as it stands, or as a JSON object with "text" and
// perhaps an "id". Not thread-safe.
#ifndef OCTET_SERVER_CLI_EMBED_INPUT_H_
#define OCTET_SERVER_CLI_EMBED_INPUT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::cli {

inline constexpr size_t kMaxInputLineBytes = 16 << 20;

class LineReader {
 public:
  explicit LineReader(int fd);  // borrowed

  // The next line without its end ("\n" or "\r\n"); a last line without an end counts. False at the end.
  // InvalidArgument for a line above kMaxInputLineBytes, Unavailable when reading fails.
  absl::StatusOr<bool> Next(std::string* line);

  uint64_t bytes_read() const { return consumed_bytes_; }  // of the lines returned
  uint64_t num_lines() const { return num_lines_; }        // returned so far
  // Of the lines returned so far, however they ended: tells inputs apart, nothing more.
  uint64_t hash() const { return hash_; }

 private:
  void AddToHash(absl::string_view line);

  const int fd_;
  std::string buffer_;
  size_t begin_ = 0;
  bool at_end_ = false;
  uint64_t consumed_bytes_ = 0, num_lines_ = 0;
  uint64_t hash_ = 14695981039346656037u;  // FNV-1a, 64 bits
};

struct InputText {
  std::string id_json;  // as it goes into the output: a number or a quoted string
  std::string text;
};

// `line_number` counts from 1 and is the id when the line brings none. InvalidArgument (without the line's
// content) for what is not such an object or not UTF-8.
absl::StatusOr<InputText> ParseInputLine(const std::string& line, bool is_json, uint64_t line_number);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EMBED_INPUT_H_
