#include "model/text_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "kernels/pool.h"
#include "model/digest_manifest.h"
#include "model/model_directory.h"
#include "model/quote.h"
#include "model/weights.h"

namespace octet::model {
namespace {

constexpr char kTokenizerFile[] = "tokenizer.json";
constexpr uint64_t kMaxTokenizerBytes = 64 << 20;
constexpr char kSelfTestSentence[] = "The quick brown fox jumps over the lazy dog.";

absl::Status CheckOptions(const TextModelOptions& options, uint32_t max_tokens) {
  if (options.num_threads < 1) {
    return absl::InvalidArgumentError(absl::StrCat("threads: ", options.num_threads, ", at least 1 is needed"));
  }
  // A text of the longest length must fit a batch, or it would wait for ever.
  if (options.max_batch_tokens < max_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("max_batch_tokens: ", options.max_batch_tokens,
                                                   ", at least the model's limit of ", max_tokens,
                                                   " tokens is needed"));
  }
  return absl::OkStatus();
}

EncoderOptions EncoderOptionsOf(const TextModelOptions& options) {
  return {.precision = options.precision,
          .isa = options.isa,
          .max_batch_tokens = options.max_batch_tokens,
          .num_threads = options.num_threads,
          .plan = options.plan};
}

absl::StatusOr<MemoryUse> PlanMemory(const EncoderConfig& config, const Weights& weights,
                                     const TextModelOptions& options) {
  ASSIGN_OR_RETURN(const EncoderMemory encoder, EstimateEncoderMemory(config, EncoderOptionsOf(options)));
  return MemoryUse{.weight_bytes = encoder.weight_bytes,
                   .embedding_bytes = encoder.embedding_bytes,
                   .arena_bytes = encoder.arena_bytes,
                   .load_peak_bytes = weights.largest_tensor_f32_bytes() + kLoadScratchBytes};
}

// The length limit: what the sentence-transformers file says, cut to the position table.
uint32_t MaxTokens(const EncoderConfig& config, const SentenceConfig& sentence, std::vector<std::string>* warnings) {
  const uint32_t positions = config.max_tokens();
  if (!sentence.max_seq_length) return positions;
  if (*sentence.max_seq_length > positions) {
    warnings->push_back(absl::StrCat("sentence_bert_config.json: max_seq_length: ", *sentence.max_seq_length,
                                     " is above the ", positions, " positions of config.json; the limit is ",
                                     positions));
  }
  return std::min(positions, *sentence.max_seq_length);
}

void WarnOfUnused(const Weights& weights, const TensorNames& names, std::vector<std::string>* warnings) {
  constexpr size_t kMaxNamed = 8;  // a file with another model in it must not flood the log
  size_t num_unused = 0;
  std::string named;
  for (const std::string& tensor : weights.Unused()) {
    const bool is_normal = std::any_of(names.normal_extras.begin(), names.normal_extras.end(),
                                       [&](const std::string& begin) { return absl::StartsWith(tensor, begin); });
    if (is_normal) continue;
    if (++num_unused <= kMaxNamed) absl::StrAppend(&named, named.empty() ? "" : ", ", Quote(tensor));
  }
  if (num_unused == 0) return;
  if (num_unused > kMaxNamed) absl::StrAppend(&named, " and ", num_unused - kMaxNamed, " more");
  warnings->push_back(absl::StrCat("weights: not used by the encoder: ", named));
}

// Same ids for both cases of a letter. Without one in the vocabulary both are unknown, which is as equal.
absl::StatusOr<bool> LowerCases(const text::Tokenizer& tokenizer) {
  ASSIGN_OR_RETURN(const text::Encoding upper, tokenizer.Encode("ABC Octet", {}));
  ASSIGN_OR_RETURN(const text::Encoding lower, tokenizer.Encode("abc octet", {}));
  return upper.ids == lower.ids;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TextModel>> TextModel::Load(const std::string& directory_path,
                                                                 const TextModelOptions& options) {
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(directory_path));
  ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*directory));
  auto model = std::shared_ptr<TextModel>(new TextModel());
  if (options.needs_text) {
    ASSIGN_OR_RETURN(model->sentence_, ReadSentenceConfig(*directory));
    const SentenceConfig& sentence = model->sentence_;
    if (sentence.embedding_dim && *sentence.embedding_dim != config.hidden_dim) {
      return absl::InvalidArgumentError(absl::StrCat("pooling: embedding dimension ", *sentence.embedding_dim,
                                                     ", config.json says hidden_size ", config.hidden_dim));
    }
  }
  model->info_.max_tokens = MaxTokens(config, model->sentence_, &model->warnings_);
  RETURN_IF_ERROR(CheckOptions(options, model->info_.max_tokens));
  ASSIGN_OR_RETURN(const auto weights, Weights::Open(*directory, TensorNamesOf(config.family)));
  ASSIGN_OR_RETURN(model->memory_, PlanMemory(config, *weights, options));
  RETURN_IF_ERROR(CheckMemoryLimit(model->memory_, options.memory_limit_bytes));
  RETURN_IF_ERROR(VerifyDigestManifest(*directory, weights->file_names()).status());
  if (options.needs_text) RETURN_IF_ERROR(model->LoadTokenizer(*directory, config));
  RETURN_IF_ERROR(model->LoadEncoder(config, weights.get(), options));
  RETURN_IF_ERROR(CheckGate(options.gate, *directory, model->info_.version));
  RETURN_IF_ERROR(model->SelfTest());
  return model;
}

absl::Status TextModel::LoadTokenizer(const ModelDirectory& directory, const EncoderConfig& config) {
  ASSIGN_OR_RETURN(const std::string json, directory.ReadSmallFile(kTokenizerFile, kMaxTokenizerBytes));
  absl::StatusOr<std::unique_ptr<text::Tokenizer>> tokenizer = text::Tokenizer::FromJson(json);
  if (!tokenizer.ok()) return tokenizer.status();
  tokenizer_ = *std::move(tokenizer);
  if (tokenizer_->vocab_size() > config.vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat(kTokenizerFile, ": ids up to ", tokenizer_->vocab_size() - 1,
                                                   ", config.json says vocab_size ", config.vocab_size));
  }
  // Room for one token besides [CLS] and [SEP].
  ASSIGN_OR_RETURN(const text::Encoding empty, tokenizer_->Encode("", {}));
  if (empty.ids.size() >= info_.max_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("length limit: ", info_.max_tokens, " tokens, of which ", empty.ids.size(), " are special"));
  }
  if (!sentence_.do_lower_case) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool lower_cases, LowerCases(*tokenizer_));
  if (!lower_cases) {
    return absl::InvalidArgumentError(
        "sentence_bert_config.json: do_lower_case: got true, but tokenizer.json keeps the case");
  }
  return absl::OkStatus();
}

absl::Status TextModel::LoadEncoder(const EncoderConfig& config, Weights* weights, const TextModelOptions& options) {
  std::function<void(uint64_t)> progress;
  if (options.progress) {
    progress = [&](uint64_t done) { options.progress("weights", done, weights->file_bytes()); };
  }
  ASSIGN_OR_RETURN(encoder_, Encoder::Load(config, weights, EncoderOptionsOf(options), progress));
  WarnOfUnused(*weights, TensorNamesOf(config.family), &warnings_);
  memory_.weight_bytes = encoder_->weight_bytes();
  memory_.embedding_bytes = encoder_->embedding_bytes();

  ASSIGN_OR_RETURN(info_.version, weights->Finish());
  info_.family = config.family;
  info_.precision = options.precision;
  if (options.precision == Precision::kInt8) {
    info_.quantization = config.quantization ? config.quantization->technique : "dynamic";
  }
  info_.isa = options.isa;
  info_.num_layers = config.num_layers;
  info_.hidden_dim = config.hidden_dim;
  info_.num_heads = config.num_heads;
  info_.intermediate_dim = config.intermediate_dim;
  info_.vocab_size = config.vocab_size;
  info_.pooling = sentence_.pooling;
  info_.normalize = sentence_.normalize;
  for (const auto& [name, prompt] : sentence_.prompts) info_.prompt_names.push_back(name);
  info_.default_prompt_name = sentence_.default_prompt_name;
  return absl::OkStatus();
}

// Catches what no check of the files can: weights that are all finite and still give no usable vector.
absl::Status TextModel::SelfTest() const {
  std::vector<int32_t> ids;
  if (tokenizer_ != nullptr) {
    ASSIGN_OR_RETURN(const text::Encoding encoding, Tokenize(kSelfTestSentence, {.truncate = true, .prompt_name = ""}));
    ids = encoding.ids;
  } else {
    constexpr uint32_t kNumIds = 16;
    constexpr uint32_t kStep = 7919;  // a prime, so that the ids spread over the table
    for (uint32_t i = 0; i < std::min(kNumIds, info_.max_tokens); ++i) {
      ids.push_back(static_cast<int32_t>(uint64_t{i} * kStep % info_.vocab_size));
    }
  }
  const uint32_t starts[] = {0, static_cast<uint32_t>(ids.size())};
  std::vector<float> embedding(info_.hidden_dim);
  kernels::ThreadTeam team(1);
  const std::unique_ptr<EncoderWorkspace> workspace = NewWorkspace(&team);
  RETURN_IF_ERROR(
      Embed({.ids = ids, .type_ids = {}, .starts = starts}, workspace.get(), {embedding.data(), 1, embedding.size()}));
  FinishEmbedding(embedding, embedding.size(), /*normalize=*/true);
  const bool is_zero = std::all_of(embedding.begin(), embedding.end(), [](float v) { return v == 0; });
  if (is_zero || !IsFinite(embedding)) {
    return absl::InvalidArgumentError(absl::StrCat("self-test: the embedding of a fixed sentence is ",
                                                   is_zero ? "zero" : "not finite", ": the weights are unusable"));
  }
  return absl::OkStatus();
}

absl::StatusOr<text::Encoding> TextModel::Tokenize(absl::string_view text, const TokenizeOptions& options) const {
  if (tokenizer_ == nullptr) {
    return absl::FailedPreconditionError("the model was loaded without its tokenizer");
  }
  const std::string prompt_name = options.prompt_name.value_or(sentence_.default_prompt_name.value_or(""));
  std::string prompted;
  if (!prompt_name.empty()) {
    const auto prompt = sentence_.prompts.find(prompt_name);
    if (prompt == sentence_.prompts.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown prompt name, the model has ", sentence_.prompts.size(), " prompts"));
    }
    if (!prompt->second.empty()) {
      prompted = absl::StrCat(prompt->second, text);
      text = prompted;
    }
  }
  const text::EncodeOptions encode = {.max_tokens = options.truncate ? info_.max_tokens : 0, .side = options.side};
  ASSIGN_OR_RETURN(text::Encoding encoding, tokenizer_->Encode(text, encode));
  if (encoding.ids.size() > info_.max_tokens) {
    return absl::InvalidArgumentError(absl::StrCat(encoding.ids.size(), " tokens, limit ", info_.max_tokens));
  }
  // A tokenizer without special tokens gives nothing for an empty text, and a mean over nothing is none.
  if (encoding.ids.empty()) return absl::InvalidArgumentError("no tokens, at least 1 is needed");
  return encoding;
}

std::unique_ptr<EncoderWorkspace> TextModel::NewWorkspace(kernels::ThreadTeam* team) const {
  return encoder_->NewWorkspace(team);
}

absl::Status TextModel::Embed(const PackedBatch& batch, EncoderWorkspace* workspace,
                              MatrixView<float> embeddings) const {
  if (embeddings.rows() != batch.num_texts() || embeddings.cols() != info_.hidden_dim) {
    return absl::InternalError("embeddings: not [num_texts, hidden_dim]");
  }
  ASSIGN_OR_RETURN(const MatrixView<const float> hidden_states, encoder_->Forward(batch, workspace));
  for (size_t text_idx = 0; text_idx < batch.num_texts(); ++text_idx) {
    const size_t begin = batch.starts[text_idx];
    const MatrixView<const float> tokens = hidden_states.Rows(begin, batch.starts[text_idx + 1] - begin);
    const std::span<float> out = embeddings.Row(text_idx);
    switch (sentence_.pooling) {
      case Pooling::kMean:
        kernels::PoolMean(encoder_->kernels(), tokens, out);
        break;
      case Pooling::kCls:
        kernels::PoolCls(tokens, out);
        break;
      case Pooling::kMax:
        kernels::PoolMax(encoder_->kernels(), tokens, out);
        break;
    }
  }
  return absl::OkStatus();
}

size_t FinishEmbedding(std::span<float> embedding, size_t dimensions, bool normalize) {
  const std::span<float> kept = embedding.first(std::min(dimensions, embedding.size()));
  if (!normalize) return kept.size();
  // In f64, in order: squares of large f32 values cannot overflow, and the result has one value.
  double sum = 0;
  for (const float value : kept) sum += static_cast<double>(value) * static_cast<double>(value);
  if (sum == 0) return kept.size();
  const double norm = std::sqrt(sum);
  for (float& value : kept) value = static_cast<float>(static_cast<double>(value) / norm);
  return kept.size();
}

bool IsFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

}  // namespace octet::model
