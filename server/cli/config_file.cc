#include "server/cli/config_file.h"

#include <unistd.h>

#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/cli/nearest_name.h"
#include "yaml-cpp/yaml.h"

namespace octet::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMaxFileBytes = 1 << 20;

// Read by octet, but no keys of the configuration.
constexpr const char* kOtherVariables[] = {"OCTET_CONFIG", "OCTET_ISA"};

// Walks YAML nodes and message fields side by side.
class YamlReader {
 public:
  YamlReader(const std::string& file_name, std::vector<std::string>* problems)
      : file_name_(file_name), problems_(problems) {}

  void ReadMap(const YAML::Node& node, const std::string& path, Message* message) {
    if (node.IsNull()) return;  // "limits:" with nothing beneath
    if (!node.IsMap()) {
      return Report(node.Mark(), path, absl::StrCat("want a map of keys, got ", KindOf(node)));
    }
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        Report(entry.first.Mark(), path, "want a name as key");
        continue;
      }
      const std::string name = entry.first.Scalar();
      const std::string key_path = absl::StrCat(path, path.empty() ? "" : ".", name);
      const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
      if (field == nullptr) {
        ReportUnknown(entry.first.Mark(), key_path, name, *message->GetDescriptor());
      } else if (!seen.insert(name).second) {
        Report(entry.first.Mark(), key_path, "given twice; keep one");
      } else {
        ReadField(entry.second, entry.first.Mark(), key_path, *field, message);
      }
    }
  }

 private:
  void ReadField(const YAML::Node& node, const YAML::Mark& key_mark, const std::string& path,
                 const FieldDescriptor& field, Message* message) {
    if (field.options().GetExtension(config::v1::rule).is_map()) return ReadEntries(node, path, field, message);
    if (field.is_repeated()) return ReadList(node, path, field, message);
    if (field.message_type() != nullptr) {
      return ReadMap(node, path, message->GetReflection()->MutableMessage(message, &field));
    }
    // A value that was left out has no useful mark of its own.
    if (node.IsNull()) return Report(key_mark, path, "has no value; leave the key out for the default");
    if (!node.IsScalar()) {
      return Report(node.Mark(), path, absl::StrCat("want one value, got ", KindOf(node)));
    }
    const absl::Status status = SetScalar(node.Scalar(), field, message);
    if (!status.ok()) Report(node.Mark(), path, status.message());
  }

  void ReadList(const YAML::Node& node, const std::string& path, const FieldDescriptor& field, Message* message) {
    if (node.IsNull()) return;
    if (!node.IsSequence()) {
      return Report(node.Mark(), path, absl::StrCat("want a list, got ", KindOf(node)));
    }
    for (size_t i = 0; i < node.size(); ++i) {
      ReadMap(node[i], absl::StrCat(path, "[", i, "]"), message->GetReflection()->AddMessage(message, &field));
    }
  }

  // A map whose keys are the user's own names (Rule.is_map).
  void ReadEntries(const YAML::Node& node, const std::string& path, const FieldDescriptor& field, Message* message) {
    if (node.IsNull()) return;
    if (!node.IsMap()) return Report(node.Mark(), path, absl::StrCat("want a map of values, got ", KindOf(node)));
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        Report(entry.first.Mark(), path, "want a name as key");
      } else if (!seen.insert(entry.first.Scalar()).second) {
        Report(entry.first.Mark(), absl::StrCat(path, ".", Quoted(entry.first.Scalar())), "given twice; keep one");
      } else {
        Message* const added = message->GetReflection()->AddMessage(message, &field);
        added->GetReflection()->SetString(added, field.message_type()->FindFieldByNumber(1), entry.first.Scalar());
        ReadField(entry.second, entry.first.Mark(), absl::StrCat(path, ".", Quoted(entry.first.Scalar())),
                  *field.message_type()->FindFieldByNumber(2), added);
      }
    }
  }

  static absl::string_view KindOf(const YAML::Node& node) {
    return node.IsMap() ? "a map" : node.IsSequence() ? "a list" : node.IsScalar() ? "one value" : "nothing";
  }

  void ReportUnknown(const YAML::Mark& mark, const std::string& path, const std::string& name,
                     const Descriptor& descriptor) {
    std::vector<std::string> names;
    for (int i = 0; i < descriptor.field_count(); ++i) names.emplace_back(descriptor.field(i)->name());
    Report(mark, path, absl::StrCat("unknown key; nearest is ", NearestName(name, names)));
  }

  void Report(const YAML::Mark& mark, const std::string& path, absl::string_view what) {
    const std::string line = mark.is_null() ? "" : absl::StrCat(":", mark.line + 1);
    problems_->push_back(absl::StrCat(file_name_, line, ": ", path.empty() ? "" : absl::StrCat(path, ": "), what));
  }

  const std::string file_name_;
  std::vector<std::string>* const problems_;
};

}  // namespace

void ApplyYaml(absl::string_view text, const std::string& name, Config* config, std::vector<std::string>* problems) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(text));
    if (documents.size() > 1) {
      problems->push_back(absl::StrCat(name, ": holds ", documents.size(), " documents; keep one"));
    } else if (documents.size() == 1) {
      YamlReader(name, problems).ReadMap(documents[0], "", config);
    }
  } catch (const YAML::Exception& e) {
    const std::string line = e.mark.is_null() ? "" : absl::StrCat(":", e.mark.line + 1);
    problems->push_back(absl::StrCat(name, line, ": not YAML: ", e.msg));
  }
}

void ApplyYamlFile(const std::string& path, Config* config, std::vector<std::string>* problems) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  if (file) {
    text.resize(kMaxFileBytes + 1);
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
  }
  // A directory opens, but does not read.
  if (!file.is_open() || file.bad() || (file.fail() && !file.eof())) {
    problems->push_back(absl::StrCat(path, ": cannot read the configuration file"));
  } else if (text.size() > kMaxFileBytes) {
    problems->push_back(absl::StrCat(path, ": above 1 MiB, not a configuration file"));
  } else {
    ApplyYaml(text, path, config, problems);
  }
}

void ApplyEnvironment(const std::vector<std::string>& environment, Config* config, std::vector<std::string>* problems,
                      std::vector<std::string>* warnings) {
  std::vector<std::string> known(std::begin(kOtherVariables), std::end(kOtherVariables));
  for (const ConfigKey& key : ConfigKeys()) known.push_back(key.variable);
  for (const std::string& entry : environment) {
    const size_t equals = entry.find('=');
    if (!absl::StartsWith(entry, "OCTET_") || equals == std::string::npos) continue;
    const std::string name = entry.substr(0, equals);
    const std::string value = entry.substr(equals + 1);
    bool found = false;
    for (const ConfigKey& key : ConfigKeys()) {
      if (key.variable != name) continue;
      found = true;
      if (value.empty()) continue;
      const absl::Status status = SetKey(key, value, config);
      if (!status.ok()) problems->push_back(absl::StrCat(name, ": ", status.message()));
    }
    for (const char* other : kOtherVariables) found = found || name == other;
    if (!found) {
      warnings->push_back(
          absl::StrCat(Quoted(name), " is no variable of octet; nearest is ", NearestName(name, known)));
    }
  }
}

std::vector<std::string> ProcessEnvironment() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

}  // namespace octet::cli
