// A file of labelled examples in memory, with its digest, and errors that name its lines. Immutable once read.
#ifndef OCTET_SERVER_CLI_EVALUATE_DATA_FILE_H_
#define OCTET_SERVER_CLI_EVALUATE_DATA_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::cli {

// Ten times the largest of the usual corpora (MS MARCO's passages, 3 GB, would take days on a CPU).
inline constexpr uint64_t kMaxDataFileBytes = uint64_t{1} << 30;

// What a report says of a file: its name without folders, which are the machine's own.
struct FileDigest {
  std::string name;
  std::string sha256;  // 64 hex digits
  uint64_t num_bytes = 0;
};

struct DataFile {
  std::string path;     // as the user gave it, for messages
  std::string content;  // valid UTF-8, without a byte order mark
  FileDigest digest;    // of the file as it lies on the disk
};

// NotFound when it cannot be read; InvalidArgument for one that is empty, above kMaxDataFileBytes, no regular file or
// not UTF-8 (with the line).
absl::StatusOr<DataFile> ReadDataFile(const std::string& path);

// InvalidArgument "<path>:<line>: <what>".
absl::Status LineError(absl::string_view path, uint64_t line, absl::string_view what);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_DATA_FILE_H_
