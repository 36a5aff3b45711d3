#include "base/trace_context.h"

#include <algorithm>
#include <array>
#include <functional>
#include <random>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace octet {
namespace {

// Places of the parts in "vv-tttttttttttttttttttttttttttttttt-ssssssssssssssss-ff".
constexpr size_t kTraceIdPlace = 3, kSpanIdPlace = 36, kFlagsPlace = 53, kTraceparentBytes = 55;
constexpr uint64_t kSampledFlag = 1;
constexpr uint64_t kFirstVersion = 0, kInvalidVersion = 0xff;

constexpr size_t kMaxTracestateBytes = 512, kMaxTracestateMembers = 32;
constexpr size_t kMaxKeyBytes = 256, kMaxValueBytes = 256;

// At most 16 digits, lower case only, unlike the libraries' parsers.
std::optional<uint64_t> ParseHex(absl::string_view digits) {
  uint64_t value = 0;
  for (const char c : digits) {
    const bool is_letter = c >= 'a' && c <= 'f';
    if (!is_letter && !absl::ascii_isdigit(c)) return std::nullopt;
    value = value << 4 | static_cast<uint64_t>(is_letter ? c - 'a' + 10 : c - '0');
  }
  return value;
}

bool IsKey(absl::string_view key) {
  if (key.empty() || key.size() > kMaxKeyBytes) return false;
  if (!absl::ascii_islower(key[0]) && !absl::ascii_isdigit(key[0])) return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) ||
           absl::string_view("_-*/@").find(c) != absl::string_view::npos;
  });
}

bool IsValue(absl::string_view value) {
  return !value.empty() && value.size() <= kMaxValueBytes && value.back() != ' ' &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~' && c != '='; });
}

// One generator per thread: no lock, and no thread waits for another's seed.
std::mt19937_64& Generator() {
  thread_local std::mt19937_64 generator = [] {
    std::random_device device;
    std::array<uint32_t, 8> words;
    std::generate(words.begin(), words.end(), std::ref(device));
    std::seed_seq seed(words.begin(), words.end());
    return std::mt19937_64(seed);
  }();
  return generator;
}

}  // namespace

std::optional<TraceContext> ParseTraceparent(absl::string_view text) {
  if (text.size() < kTraceparentBytes) return std::nullopt;
  for (const size_t place : {kTraceIdPlace, kSpanIdPlace, kFlagsPlace}) {
    if (text[place - 1] != '-') return std::nullopt;
  }
  const auto version = ParseHex(text.substr(0, 2));
  const auto high = ParseHex(text.substr(kTraceIdPlace, 16));
  const auto low = ParseHex(text.substr(kTraceIdPlace + 16, 16));
  const auto span_id = ParseHex(text.substr(kSpanIdPlace, 16));
  const auto flags = ParseHex(text.substr(kFlagsPlace, 2));
  if (!version || !high || !low || !span_id || !flags || *version == kInvalidVersion) return std::nullopt;
  const bool has_more = text.size() > kTraceparentBytes;
  if (has_more && (*version == kFirstVersion || text[kTraceparentBytes] != '-')) return std::nullopt;
  const TraceContext context = {{*high, *low}, *span_id, (*flags & kSampledFlag) != 0};
  if (!context.trace_id.valid() || context.span_id == 0) return std::nullopt;
  return context;
}

bool IsTracestate(absl::string_view text) {
  if (text.size() > kMaxTracestateBytes) return false;
  std::vector<absl::string_view> keys;
  for (absl::string_view member : absl::StrSplit(text, ',')) {
    // Blanks around members and empty members are allowed; a value may begin with blanks of its own.
    member = absl::StripAsciiWhitespace(member);
    if (member.empty()) continue;
    const size_t equals = member.find('=');
    if (equals == absl::string_view::npos) return false;
    const absl::string_view key = member.substr(0, equals);
    if (!IsKey(key) || !IsValue(member.substr(equals + 1))) return false;
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) return false;
    keys.push_back(key);
  }
  return !keys.empty() && keys.size() <= kMaxTracestateMembers;
}

TraceId NewTraceId() {
  TraceId id;
  while (!id.valid()) id = {Generator()(), Generator()()};
  return id;
}

uint64_t NewSpanId() {
  uint64_t id = 0;
  while (id == 0) id = Generator()();
  return id;
}

std::string TraceIdHex(const TraceId& id) {
  return absl::StrCat(absl::Hex(id.high, absl::kZeroPad16), absl::Hex(id.low, absl::kZeroPad16));
}

std::string SpanIdHex(uint64_t id) { return absl::StrCat(absl::Hex(id, absl::kZeroPad16)); }

}  // namespace octet
