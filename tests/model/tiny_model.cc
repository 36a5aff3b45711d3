#include "tests/model/tiny_model.h"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/check.h"
#include "nlohmann/json.hpp"

namespace octet::testing {
namespace {

using nlohmann::json;

// Steele, Lea and Flood 2014 (SplitMix64): the same numbers with every standard library.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // Uniform in [-scale, scale).
  float Uniform(float scale) {
    state_ += 0x9E3779B97F4A7C15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    return (static_cast<float>(z >> 40) * 0x1p-23f - 1.0f) * scale;
  }

 private:
  uint64_t state_;
};

template <typename T>
void Append(std::string* bytes, T value) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

uint16_t ToF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000;
  const float magnitude = std::fabs(value) * 0x1p-112f;  // now f16's exponent, biased as f32's
  return static_cast<uint16_t>(sign | std::bit_cast<uint32_t>(magnitude) >> 13);
}

// Of the head; empty without one.
std::vector<std::string> LabelsOf(const TinyModelOptions& options) {
  if (!options.token_labels.empty()) return options.token_labels;
  std::vector<std::string> labels;
  for (uint32_t i = 0; i < options.num_labels; ++i) labels.push_back("label " + std::to_string(i));
  return labels;
}

// "bert.encoder.layer.0.output.dense" gets a .weight and a .bias.
void AddPair(const TinyModelOptions& options, const std::string& name, const std::vector<uint64_t>& shape, float center,
             float scale, Random* random, RawTensors* tensors) {
  size_t count = 1;
  for (uint64_t dimension : shape) count *= dimension;
  std::vector<float> weight(count), bias(shape[0]);
  for (float& value : weight) value = center + random->Uniform(scale);
  for (float& value : bias) value = random->Uniform(0.1f);
  (*tensors)[name + ".weight"] = FloatTensor(options.dtype, shape, weight);
  (*tensors)[name + ".bias"] = FloatTensor(options.dtype, {shape[0]}, bias);
}

}  // namespace

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "octet-test-XXXXXX").string();
  OCTET_CHECK(mkdtemp(pattern.data()) != nullptr);
  path_ = std::filesystem::canonical(pattern).string();
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  OCTET_CHECK(out.good());
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  OCTET_CHECK(in.good());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

RawTensor FloatTensor(const std::string& dtype, std::vector<uint64_t> shape, const std::vector<float>& values) {
  RawTensor tensor{dtype, std::move(shape), {}};
  for (const float value : values) {
    if (dtype == "F64") {
      Append(&tensor.bytes, static_cast<double>(value));
    } else if (dtype == "F16") {
      Append(&tensor.bytes, ToF16(value));
    } else if (dtype == "BF16") {
      Append(&tensor.bytes, static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
    } else {
      OCTET_CHECK(dtype == "F32");
      Append(&tensor.bytes, value);
    }
  }
  return tensor;
}

std::string SafetensorsWithHeader(const std::string& header, const std::string& data) {
  std::string file;
  Append(&file, static_cast<uint64_t>(header.size()));
  return file + header + data;
}

std::string Safetensors(const RawTensors& tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + tensor.bytes.size()}}};
    data += tensor.bytes;
  }
  return SafetensorsWithHeader(header.dump(), data);
}

RawTensors TinyTensors(const TinyModelOptions& options) {
  Random random(options.seed);
  RawTensors tensors;
  const uint64_t hidden = options.hidden_dim, intermediate = options.intermediate_dim;
  const auto add_table = [&](const std::string& name, uint64_t rows) {
    std::vector<float> values(rows * hidden);
    for (float& value : values) value = random.Uniform(1.0f);
    tensors[options.prefix + "embeddings." + name + ".weight"] = FloatTensor(options.dtype, {rows, hidden}, values);
  };
  const auto add = [&](const std::string& name, const std::vector<uint64_t>& shape) {
    // Keeps the variance of a row about where it was.
    AddPair(options, options.prefix + name, shape, 0.0f, std::sqrt(3.0f / static_cast<float>(shape[1])), &random,
            &tensors);
  };
  const auto add_norm = [&](const std::string& name) {
    AddPair(options, options.prefix + name, {hidden}, 1.0f, 0.2f, &random, &tensors);
    if (options.loud_channels == 0) return;
    std::vector<float> gains(hidden, 1.0f);
    std::fill_n(gains.begin(), options.loud_channels, 10.0f);
    tensors[options.prefix + name + ".weight"] = FloatTensor(options.dtype, {hidden}, gains);
  };
  add_table("word_embeddings", options.vocab_size);
  add_table("position_embeddings", options.num_positions);
  add_table("token_type_embeddings", options.num_token_types);
  add_norm("embeddings.LayerNorm");
  for (uint32_t i = 0; i < options.num_layers; ++i) {
    const std::string layer = "encoder.layer." + std::to_string(i) + ".";
    for (const char* part : {"query", "key", "value"}) {
      add(layer + "attention.self." + part, {hidden, hidden});
    }
    add(layer + "attention.output.dense", {hidden, hidden});
    add_norm(layer + "attention.output.LayerNorm");
    add(layer + "intermediate.dense", {intermediate, hidden});
    add(layer + "output.dense", {hidden, intermediate});
    add_norm(layer + "output.LayerNorm");
  }
  // What ordinary files hold as well and an encoder without a head does not read.
  if (options.token_labels.empty()) add("pooler.dense", {hidden, hidden});
  if (const uint64_t num_labels = LabelsOf(options).size(); num_labels > 0) {
    // Wide enough that the logits of different texts are far apart.
    AddPair(options, "classifier", {num_labels, hidden}, 0.0f, 1.0f, &random, &tensors);
  }
  RawTensor ids{"I64", {1, options.num_positions}, {}};
  for (int64_t i = 0; i < options.num_positions; ++i) Append(&ids.bytes, i);
  tensors[options.prefix + "embeddings.position_ids"] = ids;
  return tensors;
}

std::string TinyConfig(const TinyModelOptions& options) {
  json config({{"model_type", "bert"},
               {"num_hidden_layers", options.num_layers},
               {"hidden_size", options.hidden_dim},
               {"num_attention_heads", options.num_heads},
               {"intermediate_size", options.intermediate_dim},
               {"vocab_size", options.vocab_size},
               {"max_position_embeddings", options.num_positions},
               {"type_vocab_size", options.num_token_types},
               {"hidden_act", "gelu"},
               {"layer_norm_eps", 1e-12},
               {"position_embedding_type", "absolute"}});
  const std::vector<std::string> labels = LabelsOf(options);
  if (!labels.empty()) {
    config["architectures"] = {options.token_labels.empty() ? "BertForSequenceClassification"
                                                            : "BertForTokenClassification"};
  }
  for (size_t i = 0; i < labels.size(); ++i) {
    config["id2label"][std::to_string(i)] = labels[i];
    config["label2id"][labels[i]] = i;
  }
  if (!options.problem_type.empty()) config["problem_type"] = options.problem_type;
  return config.dump(1);
}

std::string TinyTokenizer(uint32_t vocab_size) {
  json vocab;
  json added = json::array();
  const auto add = [&vocab](const std::string& token) { vocab.emplace(token, vocab.size()); };
  for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    added.push_back({{"id", vocab.size()},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    add(token);
  }
  for (char c = 'a'; c <= 'z'; ++c) add(std::string(1, c));
  for (char c = 'a'; c <= 'z'; ++c) add("##" + std::string(1, c));
  for (char c = '0'; c <= '9'; ++c) add(std::string(1, c));
  for (const char* token :
       {".", ",", "?", "!", "the", "quick", "fox", "dog", "what", "is", "deep", "learning", "query"}) {
    if (vocab.size() < vocab_size) add(token);
  }
  while (vocab.size() < vocab_size) add("filler" + std::to_string(vocab.size()));
  const auto special = [](const char* token, int id) {
    return json{{"id", token}, {"ids", {id}}, {"tokens", {token}}};
  };
  const json cls = {{"SpecialToken", {{"id", "[CLS]"}, {"type_id", 0}}}};
  const json sep = {{"SpecialToken", {{"id", "[SEP]"}, {"type_id", 0}}}};
  const json sep_b = {{"SpecialToken", {{"id", "[SEP]"}, {"type_id", 1}}}};
  const json a = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json b = {{"Sequence", {{"id", "B"}, {"type_id", 1}}}};
  return json{{"version", "1.0"},
              {"truncation", nullptr},
              {"padding", nullptr},
              {"added_tokens", added},
              {"normalizer",
               {{"type", "BertNormalizer"},
                {"clean_text", true},
                {"handle_chinese_chars", true},
                {"strip_accents", nullptr},
                {"lowercase", true}}},
              {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
              {"post_processor",
               {{"type", "TemplateProcessing"},
                {"single", json::array({cls, a, sep})},
                {"pair", json::array({cls, a, sep, b, sep_b})},
                {"special_tokens", {{"[CLS]", special("[CLS]", 2)}, {"[SEP]", special("[SEP]", 3)}}}}},
              {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
              {"model",
               {{"type", "WordPiece"},
                {"unk_token", "[UNK]"},
                {"continuing_subword_prefix", "##"},
                {"max_input_chars_per_word", 100},
                {"vocab", vocab}}}}
      .dump();
}

void WriteWeights(const std::string& directory, const RawTensors& tensors, int num_shards) {
  if (num_shards <= 1) {
    WriteFile(directory + "/model.safetensors", Safetensors(tensors));
    return;
  }
  std::vector<RawTensors> shards(static_cast<size_t>(num_shards));
  json weight_map;
  size_t i = 0;
  for (const auto& [name, tensor] : tensors) {
    const size_t shard_idx = i++ % shards.size();
    shards[shard_idx].emplace(name, tensor);
    weight_map[name] = "model-" + std::to_string(shard_idx) + ".safetensors";
  }
  for (size_t shard_idx = 0; shard_idx < shards.size(); ++shard_idx) {
    WriteFile(directory + "/model-" + std::to_string(shard_idx) + ".safetensors", Safetensors(shards[shard_idx]));
  }
  WriteFile(directory + "/model.safetensors.index.json",
            json{{"metadata", json::object()}, {"weight_map", weight_map}}.dump());
}

void WriteTinyModel(const std::string& directory, const TinyModelOptions& options) {
  WriteFile(directory + "/config.json", TinyConfig(options));
  WriteWeights(directory, TinyTensors(options), options.num_shards);
  if (!options.with_text_files) return;
  WriteFile(directory + "/tokenizer.json", TinyTokenizer(options.vocab_size));
  if (!LabelsOf(options).empty()) {
    WriteFile(directory + "/tokenizer_config.json", options.max_seq_length == 0
                                                        ? R"({"model_max_length": 1000000000000000019884624838656})"
                                                        : json{{"model_max_length", options.max_seq_length}}.dump());
    return;
  }
  json modules = json::array();
  const auto add_module = [&modules](const std::string& path, const std::string& type) {
    modules.push_back({{"idx", modules.size()},
                       {"name", std::to_string(modules.size())},
                       {"path", path},
                       {"type", "sentence_transformers.models." + type}});
  };
  add_module("", "Transformer");
  add_module("1_Pooling", "Pooling");
  if (options.normalize) add_module("2_Normalize", "Normalize");
  WriteFile(directory + "/modules.json", modules.dump());
  WriteFile(directory + "/1_Pooling/config.json", json{{"word_embedding_dimension", options.hidden_dim},
                                                       {"pooling_mode_cls_token", options.pooling == "cls"},
                                                       {"pooling_mode_mean_tokens", options.pooling == "mean"},
                                                       {"pooling_mode_max_tokens", options.pooling == "max"},
                                                       {"pooling_mode_mean_sqrt_len_tokens", false}}
                                                      .dump());
  if (options.max_seq_length != 0) {
    WriteFile(directory + "/sentence_bert_config.json",
              json{{"max_seq_length", options.max_seq_length}, {"do_lower_case", false}}.dump());
  }
  json prompts = {{"prompts", json::object()}, {"default_prompt_name", nullptr}};
  for (const auto& [name, prompt] : options.prompts) prompts["prompts"][name] = prompt;
  if (!options.default_prompt_name.empty()) {
    prompts["default_prompt_name"] = options.default_prompt_name;
  }
  WriteFile(directory + "/config_sentence_transformers.json", prompts.dump());
}

}  // namespace octet::testing
