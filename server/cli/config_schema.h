// The configuration's keys, read from the descriptor of octet.config.v1.Config, and setting one of them
// from text. The YAML file, the OCTET_* variables and the flags all end here, so that a value means the
// same and is checked the same wherever it comes from.
#ifndef OCTET_SERVER_CLI_CONFIG_SCHEMA_H_
#define OCTET_SERVER_CLI_CONFIG_SCHEMA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "octet/config/v1/config.pb.h"

namespace octet::cli {

using Config = config::v1::Config;

struct ConfigKey {
  std::string path;      // "limits.max_text_bytes"
  std::string variable;  // "OCTET_LIMITS_MAX_TEXT_BYTES"
  // From the outermost message to the value.
  std::vector<const google::protobuf::FieldDescriptor*> fields;
};

// Every key of the schema in its order; a list of messages (models) is one key.
const std::vector<ConfigKey>& ConfigKeys();
// Null when there is none.
const ConfigKey* FindConfigKeyOrNull(absl::string_view path);

// "2MiB", "64KiB", "1GiB", "10kB", "5MB", "1.5MiB" is refused (whole numbers only), "65536". Bytes.
absl::StatusOr<uint64_t> ParseBytes(absl::string_view text);
// "250ms", "30s", "5m", "1h", "1500" (milliseconds). Milliseconds.
absl::StatusOr<uint64_t> ParseMilliseconds(absl::string_view text);

// Sets one scalar field of `message` from `text`. InvalidArgument "want ..., got ..." for another type,
// text after a number or a value out of the field's range; the caller puts the key before it.
absl::Status SetScalar(absl::string_view text, const google::protobuf::FieldDescriptor& field,
                       google::protobuf::Message* message);

// Sets the key from text; for `models`, replaces the list by NAME=DIR,NAME=DIR.
absl::Status SetKey(const ConfigKey& key, absl::string_view text, Config* config);

// NAME=DIR, or DIR alone for the name "default". InvalidArgument when a part is empty or NAME is not
// [A-Za-z0-9][A-Za-z0-9._/-]{0,127}. A DIR with "=" in it needs a NAME.
absl::StatusOr<config::v1::Model> ParseModel(absl::string_view text);
bool IsModelName(absl::string_view name);

// `text` between quotes, cut to a readable length, control characters escaped.
std::string Quoted(absl::string_view text);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_CONFIG_SCHEMA_H_
