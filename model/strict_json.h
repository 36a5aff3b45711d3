// JSON from model directories, read strictly: bounded depth and size, no duplicate keys (also none that
// only differ in escapes), no NUL, no number that would be rounded or clipped, nothing after the value.
// The syntax itself is nlohmann's. Thread-safe functions, no state.
#ifndef OCTET_MODEL_STRICT_JSON_H_
#define OCTET_MODEL_STRICT_JSON_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/model_directory.h"
#include "nlohmann/json.hpp"

namespace octet::model {

using Json = nlohmann::json;

struct JsonLimits {
  size_t max_depth = 16;
  size_t max_keys = 100'000;      // of one object
  size_t max_values = 2'000'000;  // of the whole text, keys not counted; a value costs up to 100 bytes
  // Whether integers above 2^63 become floating-point numbers; an error otherwise.
  bool rounds_huge_integers = false;
};

// The file that says what a model is.
inline constexpr char kConfigFile[] = "config.json";
inline constexpr uint64_t kMaxConfigBytes = 1 << 20;

// `what` begins every error: InvalidArgument "<what>: duplicate key \"x\"", "<what>: byte <n>: not valid JSON: ...".
absl::StatusOr<Json> ParseStrictJson(absl::string_view text, absl::string_view what, const JsonLimits& limits = {});

// ReadSmallFile and ParseStrictJson; the value must be an object (or, if said so, an array).
absl::StatusOr<Json> ReadJsonObject(const ModelDirectory& directory, absl::string_view name);
absl::StatusOr<Json> ReadJsonArray(const ModelDirectory& directory, absl::string_view name);

// A value as it may be shown in an error: compact, escaped, cut.
std::string ShowJson(const Json& value);

// Reads members of one object of a config file. Errors are InvalidArgument
// "<file>: <key>: got <value>, allowed <range>". The object must outlive the reader.
class JsonReader {
 public:
  JsonReader(absl::string_view file, const Json& object) : file_(file), object_(object) {}

  // Null counts as absent.
  bool Has(absl::string_view key) const { return Find(key) != nullptr; }
  const Json* Find(absl::string_view key) const;

  // A whole number in [min, max]; `fallback` when absent, an error when absent without one.
  absl::StatusOr<uint32_t> Integer(absl::string_view key, uint32_t min, uint32_t max,
                                   std::optional<uint32_t> fallback = std::nullopt) const;
  // A number in [min, max].
  absl::StatusOr<double> Number(absl::string_view key, double min, double max, double fallback) const;
  absl::StatusOr<bool> Bool(absl::string_view key, bool fallback) const;
  absl::StatusOr<std::string> String(absl::string_view key, std::optional<std::string> fallback) const;

  absl::Status Error(absl::string_view key, absl::string_view allowed) const;

 private:
  const std::string file_;
  const Json& object_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_STRICT_JSON_H_
