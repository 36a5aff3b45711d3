#include "server/cli/log.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "spdlog/async.h"
#include "spdlog/sinks/base_sink.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

constexpr size_t kQueueLines = 4096;
// Within PIPE_BUF: after poll has said that a pipe is writable, a write of this size does not block.
constexpr size_t kMaxLineBytes = 4096;
constexpr int kStallMilliseconds = 100;
// So that a JSON line with its other members stays whole within kMaxLineBytes.
constexpr size_t kMaxMessageBytes = 3072;

std::atomic<uint64_t> sink_drops{0};
std::atomic<spdlog::level::level_enum> configured_level{spdlog::level::info};
std::atomic<bool> writes_json{false};

// Runs on spdlog's one thread. Once stderr has been full for kStallMilliseconds, lines are dropped without
// waiting until it takes data again, so that the end of the process is not held up either.
class StderrSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (line.size() > kMaxLineBytes) {
      line.resize(kMaxLineBytes);
      line[kMaxLineBytes - 1] = '\n';
    }
    pollfd descriptor{STDERR_FILENO, POLLOUT, 0};
    const int ready = poll(&descriptor, 1, stalled_ ? 0 : kStallMilliseconds);
    stalled_ = ready != 1;
    const bool written =
        ready == 1 && (descriptor.revents & POLLOUT) != 0 && write(STDERR_FILENO, line.data(), line.size()) >= 0;
    if (!written) sink_drops.fetch_add(1, std::memory_order_relaxed);
  }
  void flush_() override {}

 private:
  bool stalled_ = false;
};

absl::string_view LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::info:
      return "info";
    case spdlog::level::warn:
      return "warn";
    default:
      return "error";
  }
}

// Escaped, and cut so that it stays within the bound: escaping makes up to six bytes of one.
std::string BoundedEscaped(std::string text) {
  if (text.size() > kMaxMessageBytes) text.resize(kMaxMessageBytes);
  std::string escaped = JsonEscaped(text);
  while (escaped.size() > kMaxMessageBytes) {
    text.resize(text.size() / 2);
    escaped = JsonEscaped(text);
  }
  return escaped;
}

void ReplaceLineBreaks(std::string* text) {
  for (char& c : *text) {
    if (c == '\n' || c == '\r') c = ' ';  // one event, one line
  }
}

// A word as it is; anything else quoted.
std::string TextValue(const std::string& value) {
  const auto is_plain = [](char c) {
    return absl::ascii_isalnum(c) || absl::string_view("._/-:").find(c) != std::string::npos;
  };
  if (!value.empty() && std::all_of(value.begin(), value.end(), is_plain)) return value;
  return absl::StrCat("\"", JsonEscaped(value), "\"");
}

std::string FieldValue(bool json, const LogField& field) {
  if (const auto* number = std::get_if<int64_t>(&field.value)) return absl::StrCat(*number);
  if (const auto* number = std::get_if<double>(&field.value)) return absl::StrFormat("%.3f", *number);
  const auto& text = std::get<std::string>(field.value);
  return json ? absl::StrCat("\"", JsonEscaped(text), "\"") : TextValue(text);
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(bool json) : json_(json) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& line) override {
    const std::string time =
        absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::FromChrono(message.time), absl::UTCTimeZone());
    const absl::string_view level = LevelName(message.level);
    std::string payload(message.payload.data(), message.payload.size());
    // Only LogEvent writes to that logger, and what it writes is in this form already.
    const bool is_event = message.logger_name == kEventLogger;
    std::string text;
    if (json_) {
      if (!is_event) payload = absl::StrCat("\"message\":\"", BoundedEscaped(std::move(payload)), "\"");
      text = absl::StrCat("{\"time\":\"", time, "\",\"level\":\"", level, "\",", payload, "}\n");
    } else {
      ReplaceLineBreaks(&payload);
      text = absl::StrCat(time, " ", level, " ", payload, "\n");
    }
    line.append(text.data(), text.data() + text.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<LineFormatter>(json_); }

 private:
  const bool json_;
};

}  // namespace

std::string JsonEscaped(const std::string& text) {
  const std::string quoted = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

std::unique_ptr<spdlog::formatter> MakeLogFormatter(bool json) { return std::make_unique<LineFormatter>(json); }

void StartLogging(const std::string& level, bool json) {
  sink_drops = 0;
  spdlog::drop_all();
  spdlog::init_thread_pool(kQueueLines, 1);
  auto sink = std::make_shared<StderrSink>();
  sink->set_formatter(MakeLogFormatter(json));
  const auto make_logger = [&](const char* name) {
    return std::make_shared<spdlog::async_logger>(name, sink, spdlog::thread_pool(),
                                                  spdlog::async_overflow_policy::overrun_oldest);
  };
  writes_json = json;
  spdlog::register_logger(make_logger(kEventLogger));
  spdlog::set_default_logger(make_logger("octet"));
  SetLogLevel(level);
}

std::string FormatEvent(bool json, absl::string_view message, const std::vector<LogField>& fields) {
  std::string text(message.data(), message.size());
  if (json) text = absl::StrCat("\"message\":\"", BoundedEscaped(std::move(text)), "\"");
  for (const LogField& field : fields) {
    absl::StrAppend(&text, json ? ",\"" : " ", field.key, json ? "\":" : "=", FieldValue(json, field));
  }
  return text;
}

void LogEvent(spdlog::level::level_enum level, absl::string_view message, const std::vector<LogField>& fields) {
  const auto logger = spdlog::get(kEventLogger);
  if (logger == nullptr || !logger->should_log(level)) return;  // not started, or stopped
  logger->log(level, "{}", FormatEvent(writes_json, message, fields));
}

void StopLogging() { spdlog::shutdown(); }

std::string LogLevel() {
  if (spdlog::get_level() == spdlog::level::off) return "off";
  const absl::string_view name = LevelName(spdlog::get_level());
  return std::string(name.data(), name.size());
}

void SetLogLevel(const std::string& level) {
  configured_level = spdlog::level::from_str(level == "warn" ? "warning" : level);
  spdlog::set_level(configured_level);
}

void ToggleDebugLogging() {
  const bool is_debug = spdlog::get_level() == spdlog::level::debug;
  spdlog::set_level(is_debug ? configured_level.load() : spdlog::level::debug);
}

uint64_t DroppedLogLines() {
  const auto pool = spdlog::thread_pool();
  return sink_drops.load() + (pool == nullptr ? 0 : pool->overrun_counter());
}

}  // namespace octet::cli
