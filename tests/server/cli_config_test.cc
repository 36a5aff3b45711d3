// The configuration: every kind of error with its line and suggestion, all at once, precedence, and the
// sample file against the schema (reliability table C1, C6).
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "server/cli/config.h"
#include "server/cli/config_file.h"
#include "server/cli/config_listeners.h"
#include "server/cli/nearest_name.h"
#include "server/security/listen_address.h"
#include "yaml-cpp/yaml.h"

namespace octet::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> ProblemsOf(const std::string& yaml) {
  Config config;
  std::vector<std::string> problems;
  ApplyYaml(yaml, "f.yaml", &config, &problems);
  return problems;
}

struct BadYaml {
  const char* name;
  const char* yaml;
  const char* problem;
};

class ConfigFileErrorTest : public testing::TestWithParam<BadYaml> {};

TEST_P(ConfigFileErrorTest, NamesLineKeyAndRemedy) {
  EXPECT_THAT(ProblemsOf(GetParam().yaml), ElementsAre(HasSubstr(GetParam().problem)));
}

INSTANTIATE_TEST_SUITE_P(
    C1, ConfigFileErrorTest,
    testing::Values(
        BadYaml{"UnknownKey", "log:\n  levle: info\n", "f.yaml:2: log.levle: unknown key; nearest is level"},
        BadYaml{"UnknownSection", "\nlimit:\n  x: 1\n", "f.yaml:2: limit: unknown key; nearest is limits"},
        BadYaml{"TextForNumber", "engine:\n  threads: many\n",
                "f.yaml:2: engine.threads: want a whole number, got \"many\""},
        BadYaml{"TrailingText", "engine:\n  threads: 4x\n", "engine.threads: want a whole number, got \"4x\""},
        BadYaml{"Negative", "engine:\n  threads: -1\n", "engine.threads: want a whole number, got \"-1\""},
        BadYaml{"Fraction", "engine:\n  threads: 1.5\n", "want a whole number, got \"1.5\""},
        BadYaml{"AboveRange", "engine:\n  threads: 1025\n", "engine.threads: want 0 to 1024, got \"1025\""},
        BadYaml{"BelowRange", "limits:\n  max_texts_per_call: 0\n", "want 1 to 65536, got \"0\""},
        BadYaml{"C3QueueZero", "limits:\n  max_queue_texts: 0\n",
                "f.yaml:2: limits.max_queue_texts: want 1 to 16777216, got \"0\""},
        BadYaml{"Above64Bits", "limits:\n  max_text_bytes: 99999999999999999999\n", "want a size such as"},
        BadYaml{"UnitOverflow", "limits:\n  max_text_bytes: 18446744073709551615GiB\n", "want a size such as"},
        BadYaml{"UnknownSizeUnit", "limits:\n  max_text_bytes: 2Mi\n", "want a size such as"},
        BadYaml{"TimeForSize", "limits:\n  max_text_bytes: 2s\n", "want a size such as"},
        BadYaml{"SizeForTime", "grpc:\n  max_deadline_ms: 2MiB\n", "want a duration such as"},
        BadYaml{"NotOneOf", "engine:\n  precision: int4\n",
                "f.yaml:2: engine.precision: want one of int8, bf16, f32, got \"int4\""},
        BadYaml{"NotBool", "grpc:\n  reflection: 1\n", "grpc.reflection: want true or false, got \"1\""},
        BadYaml{"MapForValue", "engine:\n  threads:\n    a: 1\n", "engine.threads: want one value, got a map"},
        BadYaml{"ListForMap", "engine: [1]\n", "f.yaml:1: engine: want a map of keys, got a list"},
        BadYaml{"ValueForMap", "engine: 4\n", "engine: want a map of keys, got one value"},
        BadYaml{"MapForList", "models:\n  a: /x\n", "f.yaml:2: models: want a list, got a map"},
        BadYaml{"UnknownInList", "models:\n  - nme: a\n", "f.yaml:2: models[0].nme: unknown key; nearest is name"},
        BadYaml{"NotANumber", "models:\n  - classification:\n      threshold: high\n",
                "f.yaml:3: models[0].classification.threshold: want a number such as 0.5, got \"high\""},
        BadYaml{"NotFinite", "models: [{classification: {threshold: inf}}]\n",
                "want a number such as 0.5, got \"inf\""},
        BadYaml{"UnknownScores", "models: [{classification: {scores: logits}}]\n",
                "want one of , softmax, sigmoid, raw, got \"logits\""},
        BadYaml{"LabelTwice", "models:\n  - classification:\n      thresholds:\n        spam: 1\n        spam: 2\n",
                "f.yaml:5: models[0].classification.thresholds.\"spam\": given twice"},
        BadYaml{"LabelWithoutNumber", "models: [{classification: {thresholds: {spam: x}}}]\n",
                "models[0].classification.thresholds.\"spam\": want a number"},
        BadYaml{"ListForLabels", "models: [{classification: {thresholds: [1]}}]\n",
                "thresholds: want a map of values, got a list"},
        BadYaml{"NoValue", "log:\n  level:\n", "f.yaml:2: log.level: has no value"},
        BadYaml{"Twice", "log:\n  level: info\n  level: warn\n", "f.yaml:3: log.level: given twice"},
        BadYaml{"NotYaml", "log: {level: info\n", "f.yaml:2: not YAML"},
        BadYaml{"TwoDocuments", "log: {}\n---\nlog: {}\n", "holds 2 documents"},
        BadYaml{"NotAMap", "just text\n", "f.yaml:1: want a map of keys, got one value"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ConfigFileTest, ReportsAllProblemsAtOnce) {
  EXPECT_THAT(ProblemsOf("log:\n  levle: info\n  format: xml\nengine:\n  threads: x\n"),
              ElementsAre(HasSubstr("f.yaml:2:"), HasSubstr("f.yaml:3:"), HasSubstr("f.yaml:5:")));
}

TEST(ConfigFileTest, TakesUnits) {
  Config config;
  std::vector<std::string> problems;
  ApplyYaml(
      "limits: {max_text_bytes: 2KiB, max_pending_bytes: 3MB}\n"
      "grpc: {max_deadline_ms: 1m, keepalive_time_ms: 1500}\n"
      "shutdown: {lame_duck_ms: 250ms, drain_timeout_ms: 5s}\n",
      "f", &config, &problems);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_EQ(config.limits().max_text_bytes(), 2048u);
  EXPECT_EQ(config.limits().max_pending_bytes(), 3000000u);
  EXPECT_EQ(config.grpc().max_deadline_ms(), 60000u);
  EXPECT_EQ(config.grpc().keepalive_time_ms(), 1500u);
  EXPECT_EQ(config.shutdown().lame_duck_ms(), 250u);
  EXPECT_EQ(config.shutdown().drain_timeout_ms(), 5000u);
}

TEST(ConfigFileTest, TakesAClassificationSection) {
  Config config;
  std::vector<std::string> problems;
  ApplyYaml(
      "models:\n- directory: /d\n  classification: {scores: sigmoid, top_k: 5, threshold: 0.25, thresholds: {a b: "
      "-1.5, c.d: 1}}\n- directory: /e\n",
      "f", &config, &problems);
  EXPECT_THAT(problems, IsEmpty());
  ASSERT_EQ(config.models_size(), 2);
  const auto& classification = config.models(0).classification();
  EXPECT_EQ(classification.scores(), "sigmoid");
  EXPECT_EQ(classification.top_k(), 5u);
  EXPECT_EQ(classification.threshold(), 0.25);
  ASSERT_EQ(classification.thresholds_size(), 2);
  EXPECT_EQ(classification.thresholds(0).label(), "a b");
  EXPECT_EQ(classification.thresholds(0).threshold(), -1.5);
  EXPECT_EQ(classification.thresholds(1).label(), "c.d");
  EXPECT_EQ(classification.thresholds(1).threshold(), 1);
  EXPECT_FALSE(config.models(1).has_classification());
}

TEST(ConfigFileTest, MissingFileAndDirectoryAreProblems) {
  for (const char* path : {"/nonexistent/octet.yaml", "/"}) {
    Config config;
    std::vector<std::string> problems;
    ApplyYamlFile(path, &config, &problems);
    EXPECT_THAT(problems, ElementsAre(HasSubstr("cannot read"))) << path;
  }
}

TEST(ConfigFileTest, EmptyFileIsTheDefaults) {
  EXPECT_THAT(ProblemsOf(""), IsEmpty());
  EXPECT_THAT(ProblemsOf("# nothing\n"), IsEmpty());
  EXPECT_THAT(ProblemsOf("limits:\n"), IsEmpty());
}

TEST(ConfigEnvironmentTest, EveryKeyHasItsVariable) {
  std::set<std::string> variables;
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_TRUE(variables.insert(key.variable).second) << key.variable;
    Config config;
    std::vector<std::string> problems, warnings;
    // No value is "\x01": so each key must be found and must either refuse it or keep it as a string.
    ApplyEnvironment({key.variable + "=\x01"}, &config, &problems, &warnings);
    EXPECT_THAT(warnings, IsEmpty()) << key.variable;
    EXPECT_TRUE(!problems.empty() || config.ByteSizeLong() > 0) << key.variable;
  }
  EXPECT_EQ(variables.count("OCTET_LIMITS_MAX_TEXT_BYTES"), 1u);
  EXPECT_EQ(variables.count("OCTET_MODELS"), 1u);
}

TEST(ConfigEnvironmentTest, WarnsOfUnknownVariables) {
  Config config;
  std::vector<std::string> problems, warnings;
  ApplyEnvironment({"OCTET_LOG_LEVLE=debug", "OCTET_ISA=avx2", "HOME=/", "OCTET_LOG_FORMAT="}, &config, &problems,
                   &warnings);
  EXPECT_THAT(problems, IsEmpty());
  EXPECT_THAT(warnings, ElementsAre(AllOf(HasSubstr("OCTET_LOG_LEVLE"), HasSubstr("OCTET_LOG_LEVEL"))));
}

TEST(ConfigTest, FlagsOverrideVariablesOverrideTheFile) {
  const std::string path = testing::TempDir() + "/precedence.yaml";
  std::ofstream(path) << "engine: {threads: 2, tokenizer_threads: 2, precision: f32}\n"
                         "models: [{name: a, directory: /a}]\n";
  const LoadedConfig loaded = LoadConfig(
      {.file = path,
       .environment = {"OCTET_ENGINE_THREADS=3", "OCTET_ENGINE_TOKENIZER_THREADS=3", "OCTET_MODELS=b=/b,c=/c"},
       .flags = {{"--threads", "engine.threads", "4"}}});
  EXPECT_THAT(loaded.problems, IsEmpty());
  EXPECT_EQ(loaded.config.engine().threads(), 4u);
  EXPECT_EQ(loaded.config.engine().tokenizer_threads(), 3u);
  EXPECT_EQ(loaded.config.engine().precision(), "f32");
  ASSERT_EQ(loaded.config.models_size(), 2);
  EXPECT_EQ(loaded.config.models(1).directory(), "/c");
}

TEST(ConfigTest, FlagsCollectModels) {
  const LoadedConfig loaded = LoadConfig(
      {.environment = {"OCTET_MODELS=x=/x"}, .flags = {{"--model", "models", "a=/m=1"}, {"--model", "models", "/b"}}});
  EXPECT_THAT(loaded.problems, IsEmpty());
  ASSERT_EQ(loaded.config.models_size(), 2);
  EXPECT_EQ(loaded.config.models(0).name(), "a");
  EXPECT_EQ(loaded.config.models(0).directory(), "/m=1");
  EXPECT_EQ(loaded.config.models(1).name(), "default");
}

struct BadConfig {
  const char* name;
  std::vector<std::string> environment;
  const char* problem;
};
class ConfigCheckTest : public testing::TestWithParam<BadConfig> {};

TEST_P(ConfigCheckTest, Refuses) {
  std::vector<std::string> environment = {"OCTET_MODELS=a=/a"};
  environment.insert(environment.end(), GetParam().environment.begin(), GetParam().environment.end());
  EXPECT_THAT(LoadConfig({.environment = environment}).problems, ElementsAre(HasSubstr(GetParam().problem)));
}

INSTANTIATE_TEST_SUITE_P(
    All, ConfigCheckTest,
    testing::Values(
        BadConfig{"C6SamePort", {"OCTET_METRICS_ADDRESS=0.0.0.0:50051"}, "port 50051 is that of grpc.address"},
        BadConfig{"NoPort", {"OCTET_GRPC_ADDRESS=localhost"}, "grpc.address: want HOST:PORT"},
        BadConfig{"PortRange", {"OCTET_GRPC_ADDRESS=localhost:70000"}, "want HOST:PORT"},
        BadConfig{"BareIpv6", {"OCTET_GRPC_ADDRESS=::1:50051"}, "want HOST:PORT"},
        BadConfig{"C6SameManagementPort",
                  {"OCTET_MANAGEMENT_ADDRESS=127.0.0.1:9464"},
                  "management.address: port 9464 is that of metrics.address"},
        BadConfig{"SameSocket",
                  {"OCTET_GRPC_ADDRESS=unix:/run/s", "OCTET_MANAGEMENT_ADDRESS=unix:/run/s"},
                  "management.address: unix:/run/s is that of grpc.address"},
        BadConfig{"SocketPath", {"OCTET_GRPC_ADDRESS=unix:s"}, "grpc.address: want unix:/PATH"},
        BadConfig{"TlsWithoutKey", {"OCTET_TLS_CERTIFICATE_FILE=/c"}, "tls.key_file: empty"},
        BadConfig{"TlsWithoutCertificate", {"OCTET_TLS_KEY_FILE=/k"}, "tls.certificate_file: empty"},
        BadConfig{"ClientCaAlone", {"OCTET_TLS_CLIENT_CA_FILE=/ca"}, "tls.client_ca_file: given"},
        BadConfig{"TlsOfAName",
                  {"OCTET_TLS_CERTIFICATE_FILE=/c", "OCTET_TLS_KEY_FILE=/k", "OCTET_GRPC_ADDRESS=localhost:1"},
                  "grpc.address: \"localhost\" is a host name"},
        BadConfig{"C6RemoteManagement",
                  {"OCTET_MANAGEMENT_ADDRESS=0.0.0.0:50052"},
                  "management.address: 0.0.0.0:50052 is reached by other machines"},
        BadConfig{"C6OpenManagement",
                  {"OCTET_MANAGEMENT_ADDRESS=:50052", "OCTET_MANAGEMENT_ALLOW_REMOTE=true"},
                  "management.allow_remote: :50052 would let anybody in"},
        BadConfig{"TokensOfNoListener", {"OCTET_MANAGEMENT_TOKEN_FILE=/t"}, "management.address is empty"},
        BadConfig{"DefaultModel", {"OCTET_DEFAULT_MODEL=b"}, "default_model: \"b\" is not among the models"},
        BadConfig{"SameName", {"OCTET_MODELS=a=/a,a=/b"}, "\"a\" given twice"},
        BadConfig{"BadModelName", {"OCTET_MODELS=a b=/a"}, "OCTET_MODELS: want NAME=DIR"},
        BadConfig{"Quota", {"OCTET_GRPC_MEMORY_QUOTA_BYTES=1MiB"}, "16 x grpc.max_receive_message_bytes"},
        BadConfig{"Grace", {"OCTET_GRPC_MAX_CONNECTION_AGE_GRACE_MS=10s"}, "at least grpc.max_deadline_ms"},
        BadConfig{"Pending", {"OCTET_LIMITS_MAX_PENDING_BYTES=1KiB"}, "at least limits.max_text_bytes"},
        BadConfig{"QueueTexts", {"OCTET_LIMITS_MAX_QUEUE_TEXTS=5"}, "at least limits.max_texts_per_call"},
        BadConfig{"NoBuckets", {"OCTET_METRICS_DURATION_BUCKETS=,"}, "metrics.duration_buckets: want at most 64"},
        BadConfig{"BucketsDescend", {"OCTET_METRICS_DURATION_BUCKETS=0.1,0.1"}, "got \"0.1,0.1\" with \"0.1\""},
        BadConfig{"BucketOfNothing", {"OCTET_METRICS_DURATION_BUCKETS=0,1"}, "with \"0\""},
        BadConfig{"BucketOfNoNumber", {"OCTET_METRICS_DURATION_BUCKETS=0.1,nan"}, "with \"nan\""},
        BadConfig{"QueueTokens", {"OCTET_LIMITS_MAX_QUEUE_TOKENS=5"}, "at least limits.max_batch_tokens"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(ConfigTest, AShadowsShareIsAShare) {
  for (const char* share : {"-0.1", "1.5"}) {
    Config config;
    std::vector<std::string> problems;
    ApplyYaml(absl::StrCat("models: [{name: m, directory: d, shadow: {share: ", share, "}}]"), "f", &config, &problems);
    ASSERT_THAT(problems, IsEmpty());
    CheckConfig(config, &problems);
    EXPECT_THAT(problems, ElementsAre(HasSubstr(absl::StrCat("\"m\" has shadow.share ", share, ", want 0 to 1"))));
  }
}

TEST(ConfigTest, NeedsAModel) { EXPECT_THAT(LoadConfig({}).problems, ElementsAre(HasSubstr("--model NAME=DIR"))); }

TEST(ConfigTest, TakesAddresses) {
  const auto v6 = security::ParseHostPort("[::1]:0");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->host, "[::1]");
  EXPECT_EQ(v6->port, 0);
  const auto all = security::ParseHostPort(":80");
  ASSERT_TRUE(all.ok());
  EXPECT_EQ(all->host, "0.0.0.0");
}

std::string WarningOf(std::vector<std::string> environment) {
  environment.push_back("OCTET_MODELS=a=/a");
  const LoadedConfig loaded = LoadConfig({.environment = environment});
  EXPECT_THAT(loaded.problems, IsEmpty());
  return PlainTextWarning(loaded.config);
}

TEST(ConfigListenersTest, WarnsOncePerStartOfPlainTextBeyondLoopback) {
  EXPECT_EQ(WarningOf({}), "");
  EXPECT_EQ(WarningOf({"OCTET_GRPC_ADDRESS=unix:/run/s,[::1]:1,localhost:2", "OCTET_METRICS_ADDRESS="}), "");
  EXPECT_THAT(WarningOf({"OCTET_GRPC_ADDRESS=127.0.0.1:1,:2"}),
              AllOf(HasSubstr("grpc.address :2 (texts and answers);"), HasSubstr("set tls.certificate_file")));
  EXPECT_THAT(WarningOf({"OCTET_GRPC_ADDRESS=10.0.0.1:1", "OCTET_AUTH_TOKEN_FILE=/t", "OCTET_METRICS_ADDRESS=:3"}),
              HasSubstr("grpc.address 10.0.0.1:1 (texts, answers and tokens), "
                        "metrics.address :3 (metrics, always plain HTTP);"));
  const std::vector<std::string> tls = {"OCTET_TLS_CERTIFICATE_FILE=/c", "OCTET_TLS_KEY_FILE=/k",
                                        "OCTET_GRPC_ADDRESS=:1"};
  EXPECT_EQ(WarningOf(tls), "");
  EXPECT_THAT(WarningOf({"OCTET_MANAGEMENT_ADDRESS=10.0.0.1:4", "OCTET_MANAGEMENT_ALLOW_REMOTE=true",
                         "OCTET_MANAGEMENT_TOKEN_FILE=/t"}),
              HasSubstr("management.address 10.0.0.1:4 (management and its tokens);"));
}

TEST(ConfigSampleTest, ListsEveryKeyWithItsDefault) {
  const std::string path = std::string(OCTET_SOURCE_DIR) + "/config/octet.yaml";
  Config config;
  std::vector<std::string> problems;
  ApplyYamlFile(path, &config, &problems);
  EXPECT_THAT(problems, IsEmpty());
  const YAML::Node sample = YAML::LoadFile(path);
  const Config defaults;
  for (const ConfigKey& key : ConfigKeys()) {
    YAML::Node node = YAML::Clone(sample);
    const google::protobuf::Message* read = &config;
    const google::protobuf::Message* standard = &defaults;
    for (size_t i = 0; i < key.fields.size(); ++i) {
      const auto* field = key.fields[i];
      ASSERT_TRUE(node[std::string(field->name())].IsDefined()) << key.path << " is not in the sample";
      node.reset(node[std::string(field->name())]);
      if (i + 1 < key.fields.size()) {
        read = &read->GetReflection()->GetMessage(*read, field);
        standard = &standard->GetReflection()->GetMessage(*standard, field);
      }
    }
    const auto* field = key.fields.back();
    if (field->is_repeated()) {
      EXPECT_EQ(node.size(), 0u) << key.path;
      continue;
    }
    switch (field->cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT64:
        EXPECT_EQ(read->GetReflection()->GetUInt64(*read, field), field->default_value_uint64()) << key.path;
        break;
      case google::protobuf::FieldDescriptor::CPPTYPE_BOOL:
        EXPECT_EQ(read->GetReflection()->GetBool(*read, field), field->default_value_bool()) << key.path;
        break;
      case google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE:
        EXPECT_EQ(read->GetReflection()->GetDouble(*read, field), field->default_value_double()) << key.path;
        break;
      default:
        EXPECT_EQ(read->GetReflection()->GetString(*read, field), std::string(field->default_value_string()))
            << key.path;
    }
  }
}

TEST(ConfigSchemaTest, DefaultsKeepTheirOwnRules) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.path == "models") continue;
    const auto* field = key.fields.back();
    std::string text;
    switch (field->cpp_type()) {
      case google::protobuf::FieldDescriptor::CPPTYPE_UINT64:
        text = absl::StrCat(field->default_value_uint64());
        break;
      case google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE:
        text = absl::StrCat(field->default_value_double());
        break;
      case google::protobuf::FieldDescriptor::CPPTYPE_BOOL:
        text = field->default_value_bool() ? "true" : "false";
        break;
      default:
        text = std::string(field->default_value_string());
    }
    Config config;
    EXPECT_TRUE(SetKey(key, text, &config).ok()) << key.path << " = " << text;
  }
}

TEST(NearestNameTest, CountsEdits) {
  EXPECT_EQ(EditDistance("", ""), 0u);
  EXPECT_EQ(EditDistance("abc", ""), 3u);
  EXPECT_EQ(EditDistance("levle", "level"), 1u);  // neighbours swapped
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3u);
  EXPECT_EQ(NearestName("thread", {"format", "threads"}), "threads");
  EXPECT_EQ(NearestName("x", {}), "");
}

}  // namespace
}  // namespace octet::cli
