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

#include "absl/strings/str_cat.h"
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

absl::Status WriteState(const std::string& path, const std::string& state) {
  // Under another name first: a state file that is there is whole.
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::binary | std::ios::trunc);
  file << state;
  file.close();
  if (!file || std::rename(fresh.c_str(), path.c_str()) != 0) return FileError("write", path);
  return absl::OkStatus();
}

// Whole lines of `fd` from its start, and the bytes that they take.
absl::StatusOr<std::pair<uint64_t, uint64_t>> CountLines(int fd, const std::string& path) {
  std::vector<char> buffer(1 << 20);
  uint64_t lines = 0, bytes = 0, position = 0;
  for (;;) {
    const ssize_t count = pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(position));
    if (count < 0) return FileError("read", path);
    if (count == 0) return std::make_pair(lines, bytes);
    for (ssize_t i = 0; i < count; ++i) {
      if (buffer[i] != '\n') continue;
      ++lines;
      bytes = position + static_cast<uint64_t>(i) + 1;
    }
    position += static_cast<uint64_t>(count);
  }
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
    return absl::FailedPreconditionError(
        absl::StrCat(options_.path, " exists; give --overwrite or another name"));
  }
  fd_ = open(partial_path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) return FileError("write", partial_path());
  // Released by the kernel however this process ends.
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(absl::StrCat(partial_path(), " is being written by another process"));
  }
  const std::string state = FileExists(state_path()) ? ReadState(state_path()) : "";
  if (state == options_.fingerprint) return RecoverRows();
  struct stat status;
  if (fstat(fd_, &status) != 0) return FileError("read", partial_path());
  if (status.st_size > 0 && !options_.overwrite) {
    return absl::FailedPreconditionError(
        absl::StrCat(partial_path(), " is from a run with another model, precision, option or input; give "
                                     "--overwrite or remove it"));
  }
  if (ftruncate(fd_, 0) != 0) return FileError("write", partial_path());
  RETURN_IF_ERROR(WriteState(state_path(), options_.fingerprint));
  if (options_.format == OutputFormat::kNpy) return WriteAll(NpyHeader(0, options_.dimensions));
  return absl::OkStatus();
}

absl::Status EmbedOutput::RecoverRows() {
  uint64_t keep_bytes = 0;
  if (options_.format == OutputFormat::kJsonLines) {
    ASSIGN_OR_RETURN(const auto found, CountLines(fd_, partial_path()));
    num_rows_found_ = found.first;
    keep_bytes = found.second;
  } else {
    struct stat status;
    if (fstat(fd_, &status) != 0) return FileError("read", partial_path());
    const uint64_t row_bytes = options_.dimensions * sizeof(float);
    const auto size = static_cast<uint64_t>(status.st_size);
    if (size >= kNpyHeaderBytes) num_rows_found_ = (size - kNpyHeaderBytes) / row_bytes;
    keep_bytes = kNpyHeaderBytes + num_rows_found_ * row_bytes;
    const std::string header = NpyHeader(0, options_.dimensions);
    if (pwrite(fd_, header.data(), header.size(), 0) != static_cast<ssize_t>(header.size())) {
      return FileError("write", partial_path());
    }
  }
  num_rows_ = num_rows_found_;
  // Half a row is computed again.
  if (ftruncate(fd_, static_cast<off_t>(keep_bytes)) != 0 ||
      lseek(fd_, static_cast<off_t>(keep_bytes), SEEK_SET) < 0) {
    return FileError("write", partial_path());
  }
  return absl::OkStatus();
}

EmbedOutput::~EmbedOutput() {
  if (fd_ > STDERR_FILENO) close(fd_);
}

absl::Status EmbedOutput::WriteAll(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("write", options_.path.empty() ? "stdout" : partial_path());
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status EmbedOutput::Write(absl::string_view rows, uint64_t num_rows) {
  num_rows_ += num_rows;
  return WriteAll(rows);
}

absl::Status EmbedOutput::Finish() {
  if (options_.path.empty()) return absl::OkStatus();
  if (options_.format == OutputFormat::kNpy) {
    const std::string header = NpyHeader(num_rows_, options_.dimensions);
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
  std::string dict = absl::StrCat("{'descr': '<f4', 'fortran_order': False, 'shape': (", num_rows, ", ",
                                  dimensions, "), }");
  dict.resize(kDictBytes - 1, ' ');
  return absl::StrCat(header, dict, "\n");
}

}  // namespace octet::cli
