#include "server/cli/embed_output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace octet::cli {
namespace {

absl::Status FileError(absl::string_view what, const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
}

bool FileExists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::string ReadState(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string CheckpointLine(const Checkpoint& checkpoint) {
  return absl::StrCat(checkpoint.num_rows, " ", checkpoint.num_bytes, " ", checkpoint.input_hash, "\n");
}

// The last of the whole CheckpointLines whose bytes are within `file_bytes`; nothing of a file whose end
// was lost is taken as good, nor half a line.
Checkpoint LastCheckpointWithin(absl::string_view lines, uint64_t file_bytes) {
  Checkpoint last;
  for (size_t end; (end = lines.find('\n')) != absl::string_view::npos; lines.remove_prefix(end + 1)) {
    const std::vector<absl::string_view> parts = absl::StrSplit(lines.substr(0, end), ' ');
    Checkpoint next;
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &next.num_rows) ||
        !absl::SimpleAtoi(parts[1], &next.num_bytes) || !absl::SimpleAtoi(parts[2], &next.input_hash) ||
        next.num_bytes > file_bytes) {
      break;
    }
    last = next;
  }
  return last;
}

absl::Status WriteAllTo(int fd, absl::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("write", path);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<EmbedOutput>> EmbedOutput::Open(const OutputOptions& options) {
  auto output = std::unique_ptr<EmbedOutput>(new EmbedOutput(options));
  if (options.path.empty()) {
    output->fd_ = STDOUT_FILENO;
    return output;
  }
  RETURN_IF_ERROR(output->OpenPartial());
  return output;
}

absl::Status EmbedOutput::OpenPartial() {
  if (FileExists(options_.path) && !options_.overwrite) {
    return absl::FailedPreconditionError(absl::StrCat(options_.path, " exists; give --overwrite or another name"));
  }
  fd_ = open(partial_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) return FileError("write", partial_path());
  // Released by the kernel however this process ends.
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(absl::StrCat(partial_path(), " is being written by another process"));
  }
  if (options_.overwrite) return StartPartial();
  const std::string state = FileExists(state_path()) ? ReadState(state_path()) : "";
  if (absl::StartsWith(state, options_.fingerprint)) {
    return ContinuePartial(absl::string_view(state).substr(options_.fingerprint.size()));
  }
  struct stat status;
  if (fstat(fd_, &status) != 0) return FileError("read", partial_path());
  if (status.st_size > 0) {
    return absl::FailedPreconditionError(absl::StrCat(partial_path(),
                                                      " is from a run with another model, precision or option; give "
                                                      "--overwrite or remove it"));
  }
  return StartPartial();
}

absl::Status EmbedOutput::StartPartial() {
  if (ftruncate(fd_, 0) != 0) return FileError("write", partial_path());
  RETURN_IF_ERROR(StartState());
  if (options_.format == OutputFormat::kNpy) return WriteAll(NpyHeader(0, options_.dimensions));
  return absl::OkStatus();
}

absl::Status EmbedOutput::ContinuePartial(absl::string_view checkpoints) {
  struct stat status;
  if (fstat(fd_, &status) != 0) return FileError("read", partial_path());
  found_ = LastCheckpointWithin(checkpoints, static_cast<uint64_t>(status.st_size));
  if (found_.num_rows == 0) return StartPartial();
  // What came after the checkpoint is computed again.
  const auto keep_bytes = static_cast<off_t>(found_.num_bytes);
  if (ftruncate(fd_, keep_bytes) != 0 || lseek(fd_, keep_bytes, SEEK_SET) < 0) {
    return FileError("write", partial_path());
  }
  written_ = found_;
  return StartState();
}

absl::Status EmbedOutput::StartState() {
  // Under another name first: a state file that is there has its whole beginning.
  const std::string fresh = state_path() + ".new";
  state_fd_ = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (state_fd_ < 0) return FileError("write", fresh);
  const std::string known = found_.num_rows == 0 ? "" : CheckpointLine(found_);
  RETURN_IF_ERROR(WriteAllTo(state_fd_, absl::StrCat(options_.fingerprint, known), fresh));
  if (std::rename(fresh.c_str(), state_path().c_str()) != 0) return FileError("write", state_path());
  return absl::OkStatus();
}

EmbedOutput::~EmbedOutput() {
  if (fd_ > STDERR_FILENO) close(fd_);
  if (state_fd_ >= 0) close(state_fd_);
}

absl::Status EmbedOutput::WriteAll(absl::string_view bytes) {
  written_.num_bytes += bytes.size();
  return WriteAllTo(fd_, bytes, options_.path.empty() ? "stdout" : partial_path());
}

absl::Status EmbedOutput::Write(absl::string_view rows, uint64_t num_rows, uint64_t input_hash) {
  RETURN_IF_ERROR(WriteAll(rows));
  written_.num_rows += num_rows;
  written_.input_hash = input_hash;
  if (options_.path.empty()) return absl::OkStatus();
  // A checkpoint must not outlive, should the machine crash, the rows that it vouches for.
  if (fdatasync(fd_) != 0) return FileError("write", partial_path());
  return WriteAllTo(state_fd_, CheckpointLine(written_), state_path());
}

absl::Status EmbedOutput::Finish() {
  if (options_.path.empty()) return absl::OkStatus();
  if (options_.format == OutputFormat::kNpy) {
    const std::string header = NpyHeader(written_.num_rows, options_.dimensions);
    if (pwrite(fd_, header.data(), header.size(), 0) != static_cast<ssize_t>(header.size())) {
      return FileError("write", partial_path());
    }
  }
  if (fsync(fd_) != 0) return FileError("write", partial_path());
  if (std::rename(partial_path().c_str(), options_.path.c_str()) != 0) return FileError("write", options_.path);
  std::remove(state_path().c_str());
  return absl::OkStatus();
}

std::string FormatRow(OutputFormat format, absl::string_view id_json, std::span<const float> embedding,
                      size_t num_tokens) {
  if (format == OutputFormat::kNpy) {
    return std::string(reinterpret_cast<const char*>(embedding.data()), embedding.size_bytes());
  }
  std::string row = absl::StrCat("{\"id\":", id_json, ",\"embedding\":[");
  row.reserve(row.size() + embedding.size() * 14 + 32);
  for (size_t i = 0; i < embedding.size(); ++i) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof(digits), embedding[i]);
    if (i != 0) row.push_back(',');
    row.append(digits, end.ptr);
  }
  absl::StrAppend(&row, "],\"tokens\":", num_tokens, "}\n");
  return row;
}

std::string NpyHeader(uint64_t num_rows, size_t dimensions) {
  std::string header("\x93NUMPY\x01\x00", 8);
  constexpr size_t kDictBytes = kNpyHeaderBytes - 10;
  header.push_back(static_cast<char>(kDictBytes));
  header.push_back('\0');
  std::string dict =
      absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (", num_rows, ", ", dimensions, "), }");
  dict.resize(kDictBytes - 1, ' ');
  return absl::StrCat(header, dict, "\n");
}

}  // namespace octet::cli
