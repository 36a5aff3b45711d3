// Reliability table F1-F19 and F24-F26: every row is built on disk from a valid tiny model and must be
// refused with its reason (or loaded, where the row says so). Case names carry the row.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "model/digest_manifest.h"
#include "model/encoder_config.h"
#include "model/model_directory.h"
#include "model/sha256.h"
#include "model/weights.h"
#include "nlohmann/json.hpp"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

namespace fs = std::filesystem;
using octet::testing::FloatTensor;
using octet::testing::RawTensors;
using octet::testing::ReadFile;
using octet::testing::Safetensors;
using octet::testing::SafetensorsWithHeader;
using octet::testing::TempDir;
using octet::testing::TinyConfig;
using octet::testing::TinyModelOptions;
using octet::testing::TinyTensors;
using octet::testing::WriteFile;
using octet::testing::WriteTinyModel;
using octet::testing::WriteWeights;
using ::testing::HasSubstr;

constexpr char kWeights[] = "model.safetensors";

// Everything of a directory that is checked without engine and tokenizer: config, header, every
// floating-point tensor, digests.
absl::Status ReadAll(const std::string& path) {
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(path));
  ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*directory));
  ASSIGN_OR_RETURN(const auto weights, Weights::Open(*directory, TensorNamesOf(config.family)));
  RETURN_IF_ERROR(VerifyDigestManifest(*directory, weights->file_names()).status());
  for (const auto& [name, info] : weights->tensors()) {
    if (!IsFloat(info.dtype)) continue;
    const auto count = CheckedProduct(info.shape);
    OCTET_CHECK(count.has_value());
    std::vector<float> values(*count);
    RETURN_IF_ERROR(weights->ReadF32(name, info.shape, values));
  }
  return weights->Finish().status();
}

struct HostileCase {
  const char* name;  // row id, then what is done
  std::function<void(const std::string& directory)> damage;
  std::string reason;  // part of the message; "" = must load
};

void PrintTo(const HostileCase& test, std::ostream* out) { *out << test.name; }

class HostileFilesTest : public ::testing::TestWithParam<HostileCase> {};

TEST_P(HostileFilesTest, IsRefusedWithItsReason) {
  const TempDir dir;
  WriteTinyModel(dir.path());
  ASSERT_TRUE(ReadAll(dir.path()).ok()) << ReadAll(dir.path());
  GetParam().damage(dir.path());
  const absl::Status status = ReadAll(dir.path());
  if (GetParam().reason.empty()) {
    EXPECT_TRUE(status.ok()) << status;
    return;
  }
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().reason));
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos) << status;
  EXPECT_LE(status.message().size(), 400u) << status;
}

// Replaces the weights by `bytes`.
HostileCase Bytes(const char* name, const std::string& bytes, const std::string& reason) {
  return {name, [bytes](const std::string& dir) { WriteFile(dir + "/" + kWeights, bytes); }, reason};
}
HostileCase Header(const char* name, const std::string& header, const std::string& reason,
                   const std::string& data = "") {
  return Bytes(name, SafetensorsWithHeader(header, data), reason);
}
// A file whose header claims `length` bytes.
HostileCase Claim(const char* name, uint64_t length, const std::string& reason) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return Bytes(name, bytes + "{}      ", reason);
}
HostileCase Tensors(const char* name, std::function<void(RawTensors*)> change, const std::string& reason) {
  return {name,
          [change](const std::string& dir) {
            RawTensors tensors = TinyTensors({});
            change(&tensors);
            WriteWeights(dir, tensors);
          },
          reason};
}
HostileCase Config(const char* name, const std::string& key, const std::string& json_value, const std::string& reason) {
  return {name,
          [=](const std::string& dir) {
            auto config = nlohmann::json::parse(TinyConfig({}));
            config[key] = nlohmann::json::parse(json_value);
            WriteFile(dir + "/config.json", config.dump());
          },
          reason};
}
HostileCase ConfigText(const char* name, const std::string& text, const std::string& reason) {
  return {name, [=](const std::string& dir) { WriteFile(dir + "/config.json", text); }, reason};
}
// Sharded weights with the first entry of weight_map set to `shard` (JSON).
HostileCase Shard(const char* name, const std::string& shard, const std::string& reason) {
  return {name,
          [=](const std::string& dir) {
            fs::remove(dir + "/" + kWeights);
            WriteWeights(dir, TinyTensors({}), 3);
            const std::string path = dir + "/model.safetensors.index.json";
            auto index = nlohmann::json::parse(ReadFile(path));
            if (!shard.empty()) index["weight_map"].begin().value() = nlohmann::json::parse(shard);
            WriteFile(path, index.dump());
          },
          reason};
}
// Puts something else in the place of the weight file.
HostileCase Instead(const char* name, std::function<void(const std::string& path)> make, const std::string& reason) {
  return {name,
          [make](const std::string& dir) {
            fs::remove(dir + "/" + kWeights);
            make(dir + "/" + kWeights);
          },
          reason};
}

void MakeSocket(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(fd);
}

std::string Entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return absl::StrCat("{\"dtype\":\"", dtype, "\",\"shape\":", shape, ",\"data_offsets\":", offsets, "}");
}
std::string One(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return absl::StrCat("{\"a\":", Entry(dtype, shape, offsets), "}");
}

std::string ManyTensors(size_t count) {
  std::string header = "{";
  for (size_t i = 0; i < count; ++i) {
    absl::StrAppend(&header, i == 0 ? "" : ",", "\"", i, "\":", Entry("F32", "[0]", "[0,0]"));
  }
  return header + "}";
}

std::string Nested(size_t depth) { return "{\"a\":" + std::string(depth, '['); }

std::vector<HostileCase> HeaderCases() {
  const std::string f = "F32";
  return {
      Bytes("F1_Empty", "", "header too small"),
      Bytes("F1_SevenBytes", "1234567", "header too small"),
      Claim("F1_LengthZero", 0, "header too small"),
      Claim("F2_AboveLimit", 100'000'001, "header too large"),
      Claim("F2_AllOnes", ~uint64_t{0}, "header too large"),
      Claim("F2_PastEnd", 9, "header past end of file"),
      Header("F3_NoBrace", "[]", "header: byte 0: no opening brace"),
      Header("F3_OnlyBlanks", "    ", "no opening brace"),
      Header("F3_LeadingBlanksAreLegal", "  {\"a\":1}", "not an object"),
      Header("F3_NotUtf8", "{\"\xff\xfe\":1}", "header: byte"),
      Header("F3_NotJson", "{\"a\":}", "header: byte"),
      Header("F3_TrailingGarbage", "{}x", "header: byte"),
      Header("F4_Deep", Nested(100'000), "nested deeper than 16"),
      Header("F4_HugeFloat", "{\"a\":1e999}", "header: byte"),
      Header("F4_HugeInteger", "{\"a\":9223372036854775808}", "integer above 2^63"),
      Header("F4_IntegerBeyond64Bits", "{\"a\":99999999999999999999999}", "integer above 2^63"),
      Header("F4_LoneSurrogate", "{\"\\ud800\":1}", "header: byte"),
      Header("F4_NulInName", "{\"a\\u0000b\":1}", "NUL"),
      Header("F5_Duplicate", "{\"a\":1,\"a\":2}", "duplicate key \"a\""),
      Header("F5_DuplicateByEscape", "{\"a\":1,\"\\u0061\":2}", "duplicate key \"a\""),
      Header("F6_BeginAfterEnd", One(f, "[1]", "[4,0]"), "begin after end", "1234"),
      Header("F6_Negative", One(f, "[1]", "[-4,0]"), "not two whole numbers", "1234"),
      Header("F6_PastEnd", One(f, "[2]", "[0,8]"), "past the end", "1234"),
      Header("F6_Overlap", "{\"a\":" + Entry(f, "[2]", "[0,8]") + ",\"b\":" + Entry(f, "[2]", "[4,12]") + "}",
             "offsets not contiguous", "123456789012"),
      Header("F6_Hole", "{\"a\":" + Entry(f, "[1]", "[0,4]") + ",\"b\":" + Entry(f, "[1]", "[8,12]") + "}",
             "offsets not contiguous", "123456789012"),
      Header("F6_TrailingBytes", One(f, "[1]", "[0,4]"), "file not fully covered", "1234PK"),
      Header("F7_ShapeOverflow", One(f, "[4294967296,4294967296,4]", "[0,4]"), "overflows", "1234"),
      Header("F7_SizeOverflow", One(f, "[4611686018427387904]", "[0,0]"), "overflows"),
      Header("F7_ShapeTimesDtypeDiffers", One(f, "[2]", "[0,4]"), "shape needs 8 bytes", "1234"),
      Header("F7_Rank9", One(f, "[1,1,1,1,1,1,1,1,1]", "[0,4]"), "rank 9", "1234"),
      Header("F7_RankZeroIsLegal", One(f, "[]", "[0,4]"), "", std::string(4, '\0')),
      Header("F7_ZeroDimensionIsLegal", One(f, "[0,4294967295,4294967295]", "[0,0]"), ""),
      Header("F7_FractionalDimension", One(f, "[1.0]", "[0,4]"), "shape: got 1.0", "1234"),
      Header("F8_TooManyEntries", ManyTensors(100'500), "keys in one object"),
      Header("F8_TooManyValues", One(f, "[" + std::string(3'000'000, '1') + "]", "[0,0]"), "header"),
      Header("F9_UnknownDtype", One("F8_E4M3", "[4]", "[0,4]"), "unknown dtype \"F8_E4M3\"", "1234"),
      Header("F9_DtypeNotAString", "{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", "unknown dtype 7",
             "1234"),
      Header("F10_MetadataNumber", "{\"__metadata__\":{\"a\":1}}", "not a string"),
      Header("F10_MetadataArray", "{\"__metadata__\":[]}", "not an object"),
      Header("F10_UnknownKey", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}",
             "unknown key", "1234"),
  };
}

RawTensors OneValue(const std::string& dtype, float value) {
  RawTensors tensors = TinyTensors({.dtype = dtype});
  std::vector<float> values(32, 0.5f);
  values[17] = value;
  tensors["embeddings.LayerNorm.weight"] = FloatTensor(dtype, {32}, values);
  return tensors;
}

std::vector<HostileCase> ValueCases() {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::string reason = "non-finite weight in \"embeddings.LayerNorm.weight\"";
  const auto value = [](const char* name, const char* dtype, float v, const std::string& why) {
    return Tensors(
        name, [=](RawTensors* t) { *t = OneValue(dtype, v); }, why);
  };
  return {
      value("F9_F16Converts", "F16", 1.0f, ""),
      value("F9_Bf16Converts", "BF16", 1.0f, ""),
      value("F9_F64Converts", "F64", 1.0f, ""),
      value("F11_NanF32", "F32", kNan, reason),
      value("F11_InfF32", "F32", kInf, reason),
      value("F11_MinusInfF32", "F32", -kInf, reason),
      value("F11_NanBf16", "BF16", kNan, reason),
      value("F11_InfBf16", "BF16", kInf, reason),
      value("F11_NanF64", "F64", kNan, reason),
      Tensors(
          "F11_InfF16",
          [](RawTensors* t) {
            *t = OneValue("F16", 1.0f);
            (*t)["embeddings.LayerNorm.weight"].bytes[35] = '\x7C';
            (*t)["embeddings.LayerNorm.weight"].bytes[34] = '\0';
          },
          reason),
      Tensors(
          "F11_AllZeroRow",
          [](RawTensors* t) {
            auto& bytes = (*t)["encoder.layer.0.output.dense.weight"].bytes;
            std::fill(bytes.begin(), bytes.begin() + 64 * 4, '\0');
          },
          ""),
      value("F11_Near3e38", "F32", 3.3e38f, ""),
      Tensors(
          "F12_TwoSpellings",
          [](RawTensors* t) { (*t)["bert.embeddings.LayerNorm.bias"] = t->at("embeddings.LayerNorm.bias"); },
          "tensor \"embeddings.LayerNorm.bias\": stored twice"),
      Tensors(
          "F12_TwoSpellingsByOldName",
          [](RawTensors* t) { (*t)["embeddings.LayerNorm.beta"] = t->at("embeddings.LayerNorm.bias"); },
          "stored twice"),
      Tensors(
          "F12_ExtraTensor", [](RawTensors* t) { (*t)["classifier.weight"] = FloatTensor("F32", {1}, {1}); }, ""),
  };
}

std::vector<HostileCase> FileCases() {
  return {
      Instead(
          "F15_Directory", [](const std::string& p) { fs::create_directory(p); }, "is a directory"),
      Instead(
          "F15_Fifo", [](const std::string& p) { ASSERT_EQ(mkfifo(p.c_str(), 0600), 0); }, "not a regular file"),
      Instead("F15_Socket", MakeSocket, "not a regular file"),
      Instead(
          "F15_ZeroDevice",
          [](const std::string& p) {
            // Making a device needs a privilege; a link to one is refused even earlier.
            if (mknod(p.c_str(), S_IFCHR | 0600, makedev(1, 5)) != 0) fs::create_symlink("/dev/zero", p);
          },
          "model.safetensors: "),
      Shard("F16_ShardsWork", "", ""),
      Shard("F16_ParentPath", "\"../model-0.safetensors\"", "not a plain file name"),
      Shard("F16_AbsolutePath", "\"/etc/model.safetensors\"", "not a plain file name"),
      Shard("F16_NotAString", "7", "not a plain file name"),
      Shard("F16_MissingShard", "\"gone.safetensors\"", "gone.safetensors: not found"),
      Shard("F16_WrongShard", "\"model-2.safetensors\"", "is listed for model-2.safetensors"),
      {"F16_SameTensorTwice",
       [](const std::string& dir) {
         fs::remove(dir + "/" + kWeights);
         WriteFile(dir + "/model.safetensors.index.json",
                   "{\"weight_map\":{\"a\":\"x.safetensors\",\"a\":\"y.safetensors\"}}");
       },
       "duplicate key \"a\""},
      {"F16_TooManyShards",
       [](const std::string& dir) {
         fs::remove(dir + "/" + kWeights);
         std::string map;
         for (int i = 0; i < 100'000; ++i) {
           absl::StrAppend(&map, i == 0 ? "" : ",", "\"t", i, "\":\"", i, ".safetensors\"");
         }
         WriteFile(dir + "/model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
       },
       "more than 1000 shards"},
      {"F17_ProjectedVolume",
       [](const std::string& dir) {
         fs::create_directory(dir + "/..2026");
         fs::rename(dir + "/" + kWeights, dir + "/..2026/" + kWeights);
         fs::create_symlink("..2026", dir + "/..data");
         fs::create_symlink(std::string("..data/") + kWeights, dir + "/" + kWeights);
       },
       ""},
      Instead(
          "F17_LinkOutside", [](const std::string& p) { fs::create_symlink("../passwd", p); }, "link leads outside"),
      Instead(
          "F17_AbsoluteLink", [](const std::string& p) { fs::create_symlink("/etc/passwd", p); }, "link leads outside"),
      Instead(
          "F17_LinkLoop", [](const std::string& p) { fs::create_symlink(kWeights, p); }, "link loop"),
      {"F17_HardLinkOutside",
       [](const std::string& dir) {
         fs::remove(dir + "/" + kWeights);
         WriteFile(dir + "/other", "secret text, more than eight bytes");
         fs::create_hard_link(dir + "/other", dir + "/" + kWeights);
       },
       "header too large"},
      {"F18_PickleOnly",
       [](const std::string& dir) {
         fs::remove(dir + "/" + kWeights);
         // Opening a FIFO's content would show: it is refused as a pickle, not as a special file.
         ASSERT_EQ(mkfifo((dir + "/pytorch_model.bin").c_str(), 0600), 0);
       },
       "pickle checkpoints are not supported"},
      {"F18_NoWeights", [](const std::string& dir) { fs::remove(dir + "/" + kWeights); }, "not found"},
  };
}

std::vector<HostileCase> ConfigCases() {
  return {
      ConfigText("F19_Above1MiB", std::string((1 << 20) + 1, ' '), "limit 1048576"),
      ConfigText("F19_NotAnObject", "[1]", "expected an object"),
      ConfigText("F19_DuplicateKeys", "{\"hidden_size\":1,\"hidden_size\":2}", "duplicate key"),
      ConfigText("F19_Deep", Nested(100'000), "nested deeper"),
      Config("F19_HiddenString", "hidden_size", "\"32\"", "hidden_size: got \"32\""),
      Config("F19_HiddenFloat", "hidden_size", "32.0", "hidden_size: got 32.0"),
      Config("F19_HiddenZero", "hidden_size", "0", "hidden_size: got 0"),
      Config("F19_HiddenNegative", "hidden_size", "-1", "hidden_size: got -1"),
      Config("F19_HiddenHuge", "hidden_size", "1099511627776", "hidden_size: got 1099511627776"),
      Config("F19_HiddenMissing", "hidden_size", "null", "hidden_size: missing"),
      Config("F19_HeadsZero", "num_attention_heads", "0", "num_attention_heads: got 0"),
      Config("F19_HeadsDoNotDivide", "num_attention_heads", "5", "divisors of hidden_size, 32"),
      Config("F19_Layers", "num_hidden_layers", "1000000000", "whole numbers from 1 to 1000"),
      Config("F19_Activation", "hidden_act", "\"silu\"", "hidden_act: got \"silu\""),
      Config("F19_RelativePositions", "position_embedding_type", "\"relative_key\"", "relative_key"),
      Config("F19_NotBert", "model_type", "\"gpt2\"", "model_type: got \"gpt2\""),
      Config("F19_Decoder", "is_decoder", "true", "is_decoder: got true"),
      Config("F19_Quantized", "quantization_config", "{}", "quantization_config: quant_method"),
      Config("F19_EpsString", "layer_norm_eps", "\"x\"", "layer_norm_eps"),
  };
}

HostileCase Manifest(const char* name, const char* file, bool flip, bool listed, const std::string& reason) {
  return {name,
          [=](const std::string& dir) {
            Sha256 digest;
            std::string bytes = ReadFile(dir + "/" + kWeights);
            digest.Update(bytes);
            WriteFile(dir + "/" + file, digest.FinishHex() + "  " + (listed ? kWeights : "README.md") + "\n");
            if (flip) bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 1);
            WriteFile(dir + "/" + kWeights, bytes);
          },
          reason};
}

std::vector<HostileCase> ManifestCases() {
  return {
      Manifest("F25_Matches", "octet.sha256", false, true, ""),
      Manifest("F25_FlippedBit", "octet.sha256", true, true, "digest mismatch"),
      Manifest("F25_FlippedBitSha256Sums", "SHA256SUMS", true, true, "digest mismatch"),
      Manifest("F25_WeightsNotListed", "SHA256SUMS", false, false, "is not listed"),
      {"F25_Malformed", [](const std::string& d) { WriteFile(d + "/SHA256SUMS", "abc\n"); }, "line 1"},
  };
}

std::string CaseName(const ::testing::TestParamInfo<HostileCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Header, HostileFilesTest, ::testing::ValuesIn(HeaderCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Value, HostileFilesTest, ::testing::ValuesIn(ValueCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(File, HostileFilesTest, ::testing::ValuesIn(FileCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Config, HostileFilesTest, ::testing::ValuesIn(ConfigCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Manifest, HostileFilesTest, ::testing::ValuesIn(ManifestCases()), CaseName);

TEST(HostileFilesTest, F13_FileChangedWhileReading) {
  const struct {
    const char* what;
    std::function<void(const std::string&)> change;
  } changes[] = {
      {"truncated", [](const std::string& p) { fs::resize_file(p, 5000); }},
      {"overwritten",
       [](const std::string& p) {
         std::string bytes = ReadFile(p);
         bytes.back() ^= 1;
         WriteFile(p, bytes);
       }},
      {"replaced",
       [](const std::string& p) {
         WriteFile(p + ".new", ReadFile(p));
         fs::rename(p + ".new", p);
       }},
      {"removed", [](const std::string& p) { fs::remove(p); }},
  };
  for (const auto& change : changes) {
    SCOPED_TRACE(change.what);
    const TempDir dir;
    WriteTinyModel(dir.path());
    const std::string path = dir.File(kWeights);
    // Far in the past, so that a write within one tick of the clock is seen too.
    fs::last_write_time(path, fs::file_time_type::clock::now() - std::chrono::hours(1));
    const auto directory = ModelDirectory::Open(dir.path());
    ASSERT_TRUE(directory.ok());
    const auto weights = Weights::Open(**directory);
    ASSERT_TRUE(weights.ok()) << weights.status();
    change.change(path);
    std::vector<float> values(128 * 32);
    absl::Status status =
        (*weights)->ReadF32("embeddings.word_embeddings.weight", std::vector<uint64_t>{128, 32}, values);
    if (status.ok()) status = (*weights)->Finish().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("file changed while loading"));
  }
}

TEST(HostileFilesTest, F15_NoPermission) {
  const TempDir dir;
  WriteTinyModel(dir.path());
  fs::permissions(dir.path(), fs::perms::all);
  fs::permissions(dir.File(kWeights), fs::perms::none);
  constexpr uid_t kNobody = 65534;
  const bool is_root = geteuid() == 0;  // root may read everything, so be someone else meanwhile
  if (is_root) {
    ASSERT_EQ(seteuid(kNobody), 0);
  }
  const absl::Status status = ReadAll(dir.path());
  if (is_root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.safetensors: permission denied"));
}

TEST(HostileFilesTest, F17_HuggingFaceCacheLayout) {
  const TempDir dir;
  const std::string snapshot = dir.path() + "/snapshots/abc";
  WriteTinyModel(snapshot);
  fs::create_directory(dir.path() + "/blobs");
  fs::rename(snapshot + "/" + kWeights, dir.path() + "/blobs/1234");
  fs::create_symlink("../../blobs/1234", snapshot + "/" + kWeights);
  EXPECT_TRUE(ReadAll(snapshot).ok()) << ReadAll(snapshot);
  fs::remove(snapshot + "/" + kWeights);
  fs::create_symlink("../../../outside", snapshot + "/" + kWeights);
  EXPECT_THAT(std::string(ReadAll(snapshot).message()), HasSubstr("link leads outside"));
}

// Rows of the model-file table that this file does not build, and where they are.
TEST(HostileFilesTest, EveryRowIsAccountedFor) {
  const std::map<std::string, std::string> elsewhere = {
      {"F14", "answers come from private memory: the file is closed after load; text_model_test"},
      {"F20", "tokenizer.json: tests/text"},
      {"F21", "tokenizer.json: tests/text"},
      {"F22", "tokenizer.json: tests/text"},
      {"F23", "tokenizer.json: tests/text"},
      {"F24", "needs the tokenizer: text_model_test"},
      {"F26", "arithmetic alone: memory_budget_test, text_model_test"},
  };
  std::string names = " F13_ F17_";
  for (const auto& cases : {HeaderCases(), ValueCases(), FileCases(), ConfigCases(), ManifestCases()}) {
    for (const HostileCase& test : cases) absl::StrAppend(&names, " ", test.name);
  }
  for (int row = 1; row <= 26; ++row) {
    const std::string id = absl::StrCat("F", row);
    EXPECT_TRUE(names.find(" " + id + "_") != std::string::npos || elsewhere.count(id) != 0) << id;
  }
}

}  // namespace
}  // namespace octet::model
