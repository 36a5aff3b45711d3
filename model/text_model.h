// A model directory made runnable: encoder, the head of its task, tokenizer and settings. An immutable
// snapshot behind a shared pointer; thread-safe except for workspaces, of which every worker has its own.
// Knows nothing of queues, calls or protocols.
#ifndef OCTET_MODEL_TEXT_MODEL_H_
#define OCTET_MODEL_TEXT_MODEL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/cpu_isa.h"
#include "base/matrix_view.h"
#include "kernels/thread_team.h"
#include "model/activation_range.h"
#include "model/embedding_head.h"
#include "model/encoder.h"
#include "model/head.h"
#include "model/memory_budget.h"
#include "model/packed_batch.h"
#include "model/precision.h"
#include "model/quantization_report.h"
#include "model/sentence_config.h"
#include "model/task.h"
#include "model/text_model_config.h"
#include "text/tokenizer.h"

namespace octet::model {

struct TextModelOptions {
  Precision precision = Precision::kInt8;
  Isa isa = Isa::kScalar;
  // Refuse (ResourceExhausted "needs N MiB, limit M MiB") before reading weights when encoder and head,
  // their arenas and the load-time peak pass this. 0 = no limit.
  uint64_t memory_limit_bytes = 0;
  // The most tokens of one Forward call; arenas are sized for it. At least the model's max_tokens.
  size_t max_batch_tokens = 8192;
  int num_threads = 1;
  // How each linear layer computes; null: all in `precision`. See EncoderOptions.
  std::shared_ptr<const QuantizationPlan> plan = nullptr;
  // What shares a range when activations are quantized. See EncoderOptions.
  ActivationRange activation_range = ActivationRange::kPerToken;
  double momentum = kDefaultMomentum;
  // What the directory's quantization report must say; FailedPrecondition otherwise.
  QuantizationGate gate = {};
  // false: no tokenizer.json and no files beside config.json needed; whatever the model's task, it is the encoder
  // alone (token ids in, mean pooling).
  bool needs_text = true;
  // false: as the model's task says, but token ids come from elsewhere; Tokenize is refused.
  bool needs_tokenizer = true;
  // Called now and then while loading, for progress display. May be empty.
  std::function<void(absl::string_view phase, uint64_t done_bytes, uint64_t total_bytes)> progress = nullptr;
};

struct ModelInfo {
  std::string family;       // "bert"
  std::string version;      // 12 hex digits that name the weights' content: Weights::Finish
  std::string fingerprint;  // of all that decides the bits of answers: fingerprint.h
  Precision precision = Precision::kInt8;
  // How int8 weights came to be: "dynamic" (rounded at load), the technique of a plan or that a quantized directory
  // names, "unknown" when it names none; then the activation range if it is not per token. "" in other precisions.
  std::string quantization;
  Isa isa = Isa::kScalar;
  uint32_t num_layers = 0, hidden_dim = 0, num_heads = 0, intermediate_dim = 0;
  uint32_t vocab_size = 0;
  uint32_t max_tokens = 0;  // of a text or pair, special tokens included
  Task task = Task::kEmbedding;
  // Of an embedding model.
  Pooling pooling = Pooling::kMean;
  bool normalize = false;  // what the model directory says
  std::vector<std::string> prompt_names;
  std::optional<std::string> default_prompt_name;
  // Of a model that classifies texts or tokens: by index, and what its scores are unless a caller wants other ones.
  std::vector<std::string> labels;
  ScoreActivation activation = ScoreActivation::kSoftmax;
};

// What a caller may ask of the tokenization of one text.
struct TokenizeOptions {
  bool truncate = false;
  text::TruncationSide side = text::TruncationSide::kRight;
  // Absent: the model's default prompt, if it has one. "" = no prompt.
  std::optional<std::string> prompt_name;
  bool with_offsets = false;  // fills Encoding::offsets; those of a prompted text count its prompt
};

class TextModel {
 public:
  // Reads, checks, quantizes and packs, then computes one fixed sentence as a self-test. Errors are one clear
  // line naming the file's tensor or key: InvalidArgument (bad model or options), NotFound (missing file),
  // DataLoss (file changed while loading, digest mismatch), ResourceExhausted (memory limit).
  static absl::StatusOr<std::shared_ptr<const TextModel>> Load(const std::string& directory,
                                                               const TextModelOptions& options);

  const ModelInfo& info() const { return info_; }
  const MemoryUse& memory() const { return memory_; }
  // Things in the directory that were understood but not used or not followed to the letter (a head that octet
  // does not run, a length limit above the position table), one line each, for the log.
  const std::vector<std::string>& warnings() const { return warnings_; }

  // InvalidArgument "<n> tokens, limit <max>" (without a field name: the caller knows its own) when the
  // text is too long and options.truncate is false; InvalidArgument for an unknown prompt name.
  // The encoding has at least one token.
  absl::StatusOr<text::Encoding> Tokenize(absl::string_view text, const TokenizeOptions& options) const;
  // Two texts as one input, the second with type ids of its own; too long a pair loses tokens of its longer text
  // first. Errors as Tokenize; InvalidArgument when the tokenizer gives pairs type ids that the model lacks.
  absl::StatusOr<text::Encoding> TokenizePair(absl::string_view first, absl::string_view second,
                                              const TokenizeOptions& options) const;

  // Scratch for the encoder on `team`; not thread-safe, one per worker, as head().NewWorkspace() is. Memory is
  // touched here, so that the first call is as fast as the tenth.
  std::unique_ptr<EncoderWorkspace> NewWorkspace(kernels::ThreadTeam* team) const;

  // Encoder and head. outputs: as Head::Run. Those of a text have the same bits whatever else is in the batch
  // and however many threads the team has. They may hold NaN or infinity if the model yields them: see IsFinite.
  // InvalidArgument for ids outside the vocabulary, texts longer than max_tokens, or more than max_batch_tokens
  // tokens.
  absl::Status Compute(const PackedBatch& batch, EncoderWorkspace* encoder_workspace, HeadWorkspace* head_workspace,
                       std::span<float> outputs) const;

  // Compute of an embedding model, whose head needs no scratch: pooled, not normalized vectors. embeddings:
  // [batch.num_texts(), hidden_dim], f32. FailedPrecondition for a model with another task.
  absl::Status Embed(const PackedBatch& batch, EncoderWorkspace* workspace, MatrixView<float> embeddings) const;

  const Encoder& encoder() const { return *encoder_; }
  const Head& head() const { return *head_; }
  const text::Tokenizer* tokenizer() const { return tokenizer_.get(); }

 private:
  TextModel() = default;
  absl::Status LoadTokenizer(const std::string& json, const TextModelConfig& config);
  absl::Status CheckSpecialTokens(const TextModelConfig& config);
  absl::Status LoadEncoder(const EncoderConfig& config, Weights* weights, const TextModelOptions& options);
  absl::Status LoadHead(const TextModelConfig& config, Weights* weights, const TextModelOptions& options);
  void FillInfo(const TextModelConfig& config, const TextModelOptions& options);
  absl::Status SetFingerprint(const ModelDirectory& directory, const std::string& tokenizer_sha256);
  absl::Status SelfTest() const;
  absl::StatusOr<text::Encoding> CheckEncoding(absl::StatusOr<text::Encoding> encoding) const;

  ModelInfo info_;
  MemoryUse memory_;
  std::vector<std::string> warnings_;
  std::map<std::string, std::string> prompts_;
  std::unique_ptr<Encoder> encoder_;
  std::unique_ptr<Head> head_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  bool takes_pairs_ = false;
};

// True when no value is NaN or infinite.
bool IsFinite(std::span<const float> values);

}  // namespace octet::model

#endif  // OCTET_MODEL_TEXT_MODEL_H_
