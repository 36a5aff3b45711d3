// The process log: spdlog's default logger on stderr, as text or JSON lines. Callers never wait: lines go
// through a bounded queue, and a line is dropped and counted when the queue is full or stderr takes no
// more. A closed stderr is no error. Never log the text of a request, nor anything else that a client has made up.
// Thread-safe.
#ifndef OCTET_SERVER_CLI_LOG_H_
#define OCTET_SERVER_CLI_LOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "spdlog/common.h"
#include "spdlog/formatter.h"

namespace octet::cli {

// `level`: debug, info, warn, error, off. `json`: lines like
// {"time":"2024-01-31T12:00:00.123Z","level":"info","message":"..."}. May be called again.
void StartLogging(const std::string& level, bool json);

// What a line says besides its message.
struct LogField {
  absl::string_view key;  // letters, digits and _
  std::variant<int64_t, double, std::string> value;
};

// A line with fields: members of the line's object in JSON, key=value behind the message in text.
void LogEvent(spdlog::level::level_enum level, absl::string_view message, const std::vector<LogField>& fields);

// Writes what is queued, as far as stderr takes it, and stops. Logging afterwards does nothing.
void StopLogging();

// What is logged now, and logging from here on what `level` says: as for StartLogging.
std::string LogLevel();
void SetLogLevel(const std::string& level);

// Switches between the level that was set and debug; safe on any thread (not in a signal handler).
void ToggleDebugLogging();

// Lines that were dropped since StartLogging.
uint64_t DroppedLogLines();

// For tests: the line format, one line with its newline; and what LogEvent has it write after time and level.
std::unique_ptr<spdlog::formatter> MakeLogFormatter(bool json);
std::string FormatEvent(bool json, absl::string_view message, const std::vector<LogField>& fields);
inline constexpr char kEventLogger[] = "octet.event";

// `text` as the inside of a JSON string; bytes that are not UTF-8 become U+FFFD.
std::string JsonEscaped(const std::string& text);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_LOG_H_
