#include "server/cli/embed_input.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "text/utf8.h"

namespace octet::cli {

LineReader::LineReader(int fd) : fd_(fd) {}

absl::StatusOr<bool> LineReader::Next(std::string* line) {
  size_t searched = begin_;
  for (;;) {
    const size_t end = buffer_.find('\n', searched);
    if (end != std::string::npos || (at_end_ && begin_ < buffer_.size())) {
      const size_t stop = end == std::string::npos ? buffer_.size() : end;
      line->assign(buffer_, begin_, stop - begin_);
      consumed_bytes_ += line->size() + (end == std::string::npos ? 0 : 1);
      begin_ = end == std::string::npos ? stop : stop + 1;
      ++num_lines_;
      if (!line->empty() && line->back() == '\r') line->pop_back();
      AddToHash(*line);
      return true;
    }
    if (at_end_) return false;
    if (buffer_.size() - begin_ > kMaxInputLineBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", num_lines_ + 1, ": above ", kMaxInputLineBytes, " bytes"));
    }
    buffer_.erase(0, begin_);
    begin_ = 0;
    searched = buffer_.size();
    constexpr size_t kReadBytes = 256 << 10;
    buffer_.resize(searched + kReadBytes);
    ssize_t count;
    do {
      count = read(fd_, buffer_.data() + searched, kReadBytes);
    } while (count < 0 && errno == EINTR);
    buffer_.resize(searched + static_cast<size_t>(count < 0 ? 0 : count));
    if (count < 0) return absl::UnavailableError(absl::StrCat("cannot read input: ", std::strerror(errno)));
    at_end_ = count == 0;
  }
}

void LineReader::AddToHash(absl::string_view line) {
  constexpr uint64_t kPrime = 1099511628211u;
  for (const char c : line) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * kPrime;
  hash_ = (hash_ ^ '\n') * kPrime;
}

absl::StatusOr<InputText> ParseInputLine(const std::string& line, bool is_json, uint64_t line_number) {
  const auto wrong = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("line ", line_number, ": ", what));
  };
  if (const std::optional<size_t> position = text::FindInvalidUtf8(line); position.has_value()) {
    return wrong(absl::StrCat("not valid UTF-8 at byte ", *position));
  }
  InputText input;
  input.id_json = absl::StrCat(line_number);
  if (!is_json) {
    input.text = line;
    return input;
  }
  // Without exceptions and without building deep trees of what is not wanted: the line length bounds both.
  nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return wrong("not a JSON object; want {\"id\": ..., \"text\": \"...\"}");
  const auto text = object.find("text");
  if (text == object.end() || !text->is_string()) return wrong("has no string \"text\"");
  if (const auto id = object.find("id"); id != object.end()) {
    if (!id->is_string() && !id->is_number_integer()) return wrong("\"id\" is neither a string nor an integer");
    input.id_json = id->dump();
  }
  input.text = std::move(text->get_ref<std::string&>());
  return input;
}

}  // namespace octet::cli
