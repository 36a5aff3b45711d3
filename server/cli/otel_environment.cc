#include "server/cli/otel_environment.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/cli/config_schema.h"
#include "server/tracing/sampler.h"
#include "text/utf8.h"

namespace octet::cli {
namespace {

// "%41" to "A"; nothing for a "%" without two hex digits.
std::optional<std::string> PercentDecoded(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded.push_back(text[i]);
      continue;
    }
    const absl::string_view digits = text.substr(i + 1, 2);
    if (digits.size() < 2 || !absl::ascii_isxdigit(digits[0]) || !absl::ascii_isxdigit(digits[1])) return std::nullopt;
    uint32_t byte = 0;
    if (!absl::SimpleHexAtoi(digits, &byte)) return std::nullopt;
    decoded.push_back(static_cast<char>(byte));
    i += 2;
  }
  return decoded;
}

class Reader {
 public:
  Reader(const std::vector<std::string>& entries, std::vector<std::string>* warnings) : warnings_(warnings) {
    for (const std::string& entry : entries) {
      const size_t equals = entry.find('=');
      if (absl::StartsWith(entry, "OTEL_") && equals != std::string::npos) {
        values_[entry.substr(0, equals)] = std::string(absl::StripAsciiWhitespace(entry.substr(equals + 1)));
      }
    }
  }

  // The first of the names that is set and not empty, "" if none is; `name` gets which.
  std::string First(const std::vector<std::string>& names, std::string* name) const {
    for (const std::string& candidate : names) {
      const auto it = values_.find(candidate);
      if (it == values_.end() || it->second.empty()) continue;
      *name = candidate;
      return it->second;
    }
    return "";
  }
  std::string Value(const std::string& name) const {
    std::string ignored;
    return First({name}, &ignored);
  }

  // "TRACES_ENDPOINT" before "ENDPOINT".
  std::string Otlp(const std::string& suffix, std::string* name) const {
    return First({absl::StrCat("OTEL_EXPORTER_OTLP_TRACES_", suffix), absl::StrCat("OTEL_EXPORTER_OTLP_", suffix)},
                 name);
  }

  // The value may be a secret: it is not shown.
  void Ignore(const std::string& name, absl::string_view want) const {
    warnings_->push_back(absl::StrCat(name, ": ignored; want ", want));
  }

  std::vector<std::pair<std::string, std::string>> Pairs(const std::string& name, const std::string& value) const {
    if (auto pairs = ParseOtelPairs(value)) return *std::move(pairs);
    Ignore(name, "key=value,key=value with percent-encoded UTF-8 values");
    return {};
  }

 private:
  std::map<std::string, std::string> values_;
  std::vector<std::string>* const warnings_;
};

void ReadSampler(const Reader& reader, OtelEnvironment* read) {
  const std::string sampler = reader.Value("OTEL_TRACES_SAMPLER");
  if (tracing::Sampler::FromName(sampler, 1)) {
    read->sampler = sampler;
  } else if (!sampler.empty()) {
    reader.Ignore("OTEL_TRACES_SAMPLER", "always_on, always_off, traceidratio, or one of them behind parentbased_");
  }
  const std::string argument = reader.Value("OTEL_TRACES_SAMPLER_ARG");
  double ratio = 0;
  if (absl::SimpleAtod(argument, &ratio) && ratio >= 0 && ratio <= 1) {
    read->ratio = ratio;
  } else if (!argument.empty()) {
    reader.Ignore("OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1");
  }
}

void ReadExporter(const Reader& reader, OtelEnvironment* read) {
  std::string name;
  read->endpoint = reader.Otlp("ENDPOINT", &name);
  read->ca_file = reader.Otlp("CERTIFICATE", &name);
  read->is_insecure = absl::AsciiStrToLower(reader.Otlp("INSECURE", &name)) == "true";
  const std::string protocol = reader.Otlp("PROTOCOL", &name);
  if (!protocol.empty() && protocol != "grpc") reader.Ignore(name, "grpc, the one protocol that octet speaks");
  const std::string timeout = reader.Otlp("TIMEOUT", &name);
  uint64_t timeout_ms = 0;
  if (absl::SimpleAtoi(timeout, &timeout_ms) && timeout_ms > 0) {
    read->timeout_ms = timeout_ms;
  } else if (!timeout.empty()) {
    reader.Ignore(name, "milliseconds, at least 1");
  }
  const std::string headers = reader.Otlp("HEADERS", &name);
  if (!headers.empty()) read->headers = reader.Pairs(name, headers);
  for (auto& header : read->headers) absl::AsciiStrToLower(&header.first);
}

}  // namespace

std::optional<std::vector<std::pair<std::string, std::string>>> ParseOtelPairs(absl::string_view list) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const absl::string_view part : absl::StrSplit(list, ',', absl::SkipWhitespace())) {
    const std::pair<absl::string_view, absl::string_view> sides = absl::StrSplit(part, absl::MaxSplits('=', 1));
    const auto value = PercentDecoded(absl::StripAsciiWhitespace(sides.second));
    const absl::string_view key = absl::StripAsciiWhitespace(sides.first);
    const bool is_key = !key.empty() && std::all_of(key.begin(), key.end(), absl::ascii_isgraph);
    if (!is_key || part.find('=') == absl::string_view::npos || !value || text::FindInvalidUtf8(*value))
      return std::nullopt;
    pairs.emplace_back(std::string(key), *value);
  }
  return pairs;
}

OtelEnvironment ReadOtelEnvironment(const std::vector<std::string>& environment) {
  OtelEnvironment read;
  const Reader reader(environment, &read.warnings);
  const std::string exporter = reader.Value("OTEL_TRACES_EXPORTER");
  read.is_disabled = absl::AsciiStrToLower(reader.Value("OTEL_SDK_DISABLED")) == "true" || exporter == "none";
  if (!exporter.empty() && exporter != "none" && exporter != "otlp") {
    reader.Ignore("OTEL_TRACES_EXPORTER", "otlp or none");
  }
  ReadSampler(reader, &read);
  ReadExporter(reader, &read);
  const std::string attributes = reader.Value("OTEL_RESOURCE_ATTRIBUTES");
  if (!attributes.empty()) read.resource = reader.Pairs("OTEL_RESOURCE_ATTRIBUTES", attributes);
  if (std::string service = reader.Value("OTEL_SERVICE_NAME"); !service.empty()) {
    if (!text::FindInvalidUtf8(service)) {
      std::erase_if(read.resource, [](const auto& attribute) { return attribute.first == "service.name"; });
      read.resource.emplace_back("service.name", std::move(service));
    } else {
      reader.Ignore("OTEL_SERVICE_NAME", "UTF-8");
    }
  }
  return read;
}

}  // namespace octet::cli
