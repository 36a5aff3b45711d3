// Writes small, valid BERT model directories with random weights (the same for the same seed), and damages
// them on demand: tests of loading, serving and the server start from one of these.
#ifndef OCTET_TESTS_MODEL_TINY_MODEL_H_
#define OCTET_TESTS_MODEL_TINY_MODEL_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace octet::testing {

// A folder that is removed, with all in it, at the end of its life.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Makes missing folders. Aborts the test process when the disk refuses.
void WriteFile(const std::string& path, const std::string& bytes);
std::string ReadFile(const std::string& path);

// One tensor as it lies in a file.
struct RawTensor {
  std::string dtype;  // the format's name: "F32"
  std::vector<uint64_t> shape;
  std::string bytes;
};
using RawTensors = std::map<std::string, RawTensor>;

// Values stored as `dtype`: "F32", "F16", "BF16" or "F64". f16 is rounded toward zero.
RawTensor FloatTensor(const std::string& dtype, std::vector<uint64_t> shape, const std::vector<float>& values);

// The bytes of a safetensors file; and of one with any header text.
std::string Safetensors(const RawTensors& tensors);
std::string SafetensorsWithHeader(const std::string& header, const std::string& data);

struct TinyModelOptions {
  uint32_t num_layers = 2, hidden_dim = 32, num_heads = 4, intermediate_dim = 64;
  uint32_t vocab_size = 128;  // at least 80
  uint32_t num_positions = 64, num_token_types = 2;
  std::string dtype = "F32";
  std::string prefix{};  // "bert."
  int num_shards = 1;    // above 1: an index file
  uint64_t seed = 1;
  uint32_t loud_channels = 0;    // the first so many of every LayerNorm have ten times the gain
  std::string pooling = "mean";  // "mean", "cls", "max"
  bool normalize = true;
  uint32_t max_seq_length = 32;  // 0: no sentence_bert_config.json
  std::map<std::string, std::string> prompts{};
  std::string default_prompt_name{};
  bool with_text_files = true;  // tokenizer.json and the sentence-transformers files
  // Above 0: a BertForSequenceClassification with the labels "label 0", "label 1", ...; tokenizer_config.json
  // instead of the sentence-transformers files.
  uint32_t num_labels = 0;
  std::string problem_type{};  // "" = not said
  // Not empty: a BertForTokenClassification with these labels, which has no pooler; num_labels is not read.
  std::vector<std::string> token_labels{};
};

// Every tensor of the model, names with prefix.
RawTensors TinyTensors(const TinyModelOptions& options);
// config.json's text.
std::string TinyConfig(const TinyModelOptions& options);
// A lower-casing WordPiece tokenizer: special tokens, letters, digits, some words, filler up to vocab_size.
std::string TinyTokenizer(uint32_t vocab_size);

void WriteTinyModel(const std::string& directory, const TinyModelOptions& options = {});
// Writes `tensors` as one file or as shards with an index.
void WriteWeights(const std::string& directory, const RawTensors& tensors, int num_shards = 1);

}  // namespace octet::testing

#endif  // OCTET_TESTS_MODEL_TINY_MODEL_H_
