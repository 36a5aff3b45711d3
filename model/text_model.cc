#include "model/text_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/checked_math.h"
#include "base/large_memory.h"
#include "base/status_macros.h"
#include "model/classification_head.h"
#include "model/digest_manifest.h"
#include "model/fingerprint.h"
#include "model/model_directory.h"
#include "model/quote.h"
#include "model/sha256.h"
#include "model/strict_json.h"
#include "model/token_classification_head.h"
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
          .plan = options.plan,
          .activation_range = options.activation_range,
          .momentum = options.momentum};
}

absl::StatusOr<MemoryUse> PlanMemory(const TextModelConfig& config, const Weights& weights,
                                     const TextModelOptions& options) {
  ASSIGN_OR_RETURN(MemoryUse use, EstimateMemory(config, EncoderOptionsOf(options)));
  use.load_peak_bytes = weights.largest_tensor_f32_bytes() + kLoadScratchBytes;
  return use;
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

text::EncodeOptions EncodeOptionsOf(const TokenizeOptions& options, uint32_t max_tokens) {
  return {.max_tokens = options.truncate ? max_tokens : 0, .side = options.side, .with_offsets = options.with_offsets};
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
  ASSIGN_OR_RETURN(const TextModelConfig config, ReadTextModelConfig(*directory, !options.needs_text));
  RETURN_IF_ERROR(CheckOptions(options, config.max_tokens));
  ASSIGN_OR_RETURN(const auto weights, Weights::Open(*directory, TensorNamesOf(config.encoder.family)));
  auto model = std::shared_ptr<TextModel>(new TextModel());
  ASSIGN_OR_RETURN(model->memory_, PlanMemory(config, *weights, options));
  RETURN_IF_ERROR(CheckMemoryLimit(model->memory_, options.memory_limit_bytes));
  RETURN_IF_ERROR(VerifyDigestManifest(*directory, weights->file_names()).status());
  model->warnings_ = config.warnings;
  model->FillInfo(config, options);
  std::string tokenizer_sha256 = Sha256Hex("");
  if (options.needs_text && options.needs_tokenizer) {
    ASSIGN_OR_RETURN(const std::string json, directory->ReadSmallFile(kTokenizerFile, kMaxTokenizerBytes));
    tokenizer_sha256 = Sha256Hex(json);
    RETURN_IF_ERROR(model->LoadTokenizer(json, config));
  }
  const absl::Cleanup release = [] { ReleaseShortLived(); };
  RETURN_IF_ERROR(model->LoadEncoder(config.encoder, weights.get(), options));
  RETURN_IF_ERROR(model->LoadHead(config, weights.get(), options));
  WarnOfUnused(*weights, TensorNamesOf(config.encoder.family), &model->warnings_);
  ASSIGN_OR_RETURN(model->info_.version, weights->Finish());
  RETURN_IF_ERROR(CheckGate(options.gate, *directory, model->info_.version));
  RETURN_IF_ERROR(model->SetFingerprint(*directory, tokenizer_sha256));
  RETURN_IF_ERROR(model->SelfTest());
  return model;
}

void TextModel::FillInfo(const TextModelConfig& config, const TextModelOptions& options) {
  info_.family = config.encoder.family;
  info_.precision = options.precision;
  if (options.precision == Precision::kInt8) {
    info_.quantization = config.encoder.quantization ? config.encoder.quantization->technique
                         : options.plan != nullptr   ? options.plan->technique
                                                     : "dynamic";
    if (options.activation_range != ActivationRange::kPerToken) {
      absl::StrAppend(&info_.quantization, " ", ActivationRangeName(options.activation_range));
    }
  }
  info_.isa = options.isa;
  info_.num_layers = config.encoder.num_layers;
  info_.hidden_dim = config.encoder.hidden_dim;
  info_.num_heads = config.encoder.num_heads;
  info_.intermediate_dim = config.encoder.intermediate_dim;
  info_.vocab_size = config.encoder.vocab_size;
  info_.max_tokens = config.max_tokens;
  info_.task = config.task;
  info_.pooling = config.sentence.pooling;
  info_.normalize = config.sentence.normalize;
  prompts_ = config.sentence.prompts;
  for (const auto& [name, prompt] : prompts_) info_.prompt_names.push_back(name);
  info_.default_prompt_name = config.sentence.default_prompt_name;
  info_.labels = config.classification.labels;
  info_.activation = config.classification.activation;
}

absl::Status TextModel::SetFingerprint(const ModelDirectory& directory, const std::string& tokenizer_sha256) {
  ASSIGN_OR_RETURN(const std::string config, directory.ReadSmallFile(kConfigFile, kMaxConfigBytes));
  info_.fingerprint =
      Fingerprint({.weights_version = info_.version,
                   .precision = info_.precision,
                   .isa = info_.isa,
                   .config = Sha256Hex(config),
                   .tokenizer = tokenizer_sha256,
                   .settings = absl::StrCat(TaskName(info_.task), " pooling ", static_cast<int>(info_.pooling),
                                            " max_tokens ", info_.max_tokens, " quantization ", info_.quantization)});
  return absl::OkStatus();
}

absl::Status TextModel::LoadTokenizer(const std::string& json, const TextModelConfig& config) {
  absl::StatusOr<std::unique_ptr<text::Tokenizer>> tokenizer = text::Tokenizer::FromJson(json);
  if (!tokenizer.ok()) return tokenizer.status();
  tokenizer_ = *std::move(tokenizer);
  if (tokenizer_->vocab_size() > config.encoder.vocab_size) {
    return absl::InvalidArgumentError(absl::StrCat(kTokenizerFile, ": ids up to ", tokenizer_->vocab_size() - 1,
                                                   ", config.json says vocab_size ", config.encoder.vocab_size));
  }
  RETURN_IF_ERROR(CheckSpecialTokens(config));
  if (!config.sentence.do_lower_case) return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool lower_cases, LowerCases(*tokenizer_));
  if (!lower_cases) {
    return absl::InvalidArgumentError(
        "sentence_bert_config.json: do_lower_case: got true, but tokenizer.json keeps the case");
  }
  return absl::OkStatus();
}

// Room for one token besides the special ones, those of a pair where pairs are served.
absl::Status TextModel::CheckSpecialTokens(const TextModelConfig& config) {
  ASSIGN_OR_RETURN(text::Encoding empty, tokenizer_->Encode("", {}));
  if (config.task == Task::kClassification) {
    ASSIGN_OR_RETURN(empty, tokenizer_->EncodePair("", "", {}));
    ASSIGN_OR_RETURN(const text::Encoding pair, tokenizer_->EncodePair("a", "a", {}));
    const auto last_type = std::max_element(pair.type_ids.begin(), pair.type_ids.end());
    takes_pairs_ =
        last_type == pair.type_ids.end() || static_cast<uint32_t>(*last_type) < config.encoder.num_token_types;
  }
  if (empty.ids.size() >= info_.max_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("length limit: ", info_.max_tokens, " tokens, of which ", empty.ids.size(), " are special"));
  }
  return absl::OkStatus();
}

absl::Status TextModel::LoadEncoder(const EncoderConfig& config, Weights* weights, const TextModelOptions& options) {
  std::function<void(uint64_t)> progress;
  if (options.progress) {
    progress = [&](uint64_t done) { options.progress("weights", done, weights->file_bytes()); };
  }
  ASSIGN_OR_RETURN(encoder_, Encoder::Load(config, weights, EncoderOptionsOf(options), progress));
  memory_.embedding_bytes = encoder_->embedding_bytes();
  return absl::OkStatus();
}

absl::Status TextModel::LoadHead(const TextModelConfig& config, Weights* weights, const TextModelOptions& options) {
  switch (config.task) {
    case Task::kEmbedding:
      head_ = std::make_unique<EmbeddingHead>(&encoder_->kernels(), config.sentence.pooling, config.encoder.hidden_dim);
      break;
    case Task::kClassification: {
      ASSIGN_OR_RETURN(
          head_, ClassificationHead::Load(config.encoder, config.classification.labels.size(), options.isa, weights));
      break;
    }
    case Task::kTokenClassification: {
      ASSIGN_OR_RETURN(head_, TokenClassificationHead::Load(config.encoder, config.classification.labels.size(),
                                                            options.isa, weights));
      break;
    }
  }
  memory_.weight_bytes = encoder_->weight_bytes() + head_->weight_bytes();
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
  std::vector<float> output(head_->OutputSize(ids.size()));
  kernels::ThreadTeam team(1);
  const std::unique_ptr<EncoderWorkspace> workspace = NewWorkspace(&team);
  RETURN_IF_ERROR(
      Compute({.ids = ids, .type_ids = {}, .starts = starts}, workspace.get(), head_->NewWorkspace().get(), output));
  const bool is_embedding = info_.task == Task::kEmbedding;
  if (is_embedding) FinishEmbedding(output, output.size(), /*normalize=*/true);
  // A vector of zeros has no direction; logits of zero are as good as any.
  const bool is_zero = is_embedding && std::all_of(output.begin(), output.end(), [](float v) { return v == 0; });
  if (is_zero || !IsFinite(output)) {
    return absl::InvalidArgumentError(absl::StrCat("self-test: the ", TaskName(info_.task), " of a fixed sentence is ",
                                                   is_zero ? "zero" : "not finite", ": the weights are unusable"));
  }
  return absl::OkStatus();
}

absl::StatusOr<text::Encoding> TextModel::Tokenize(absl::string_view text, const TokenizeOptions& options) const {
  if (tokenizer_ == nullptr) {
    return absl::FailedPreconditionError("the model was loaded without its tokenizer");
  }
  const std::string prompt_name = options.prompt_name.value_or(info_.default_prompt_name.value_or(""));
  std::string prompted;
  if (!prompt_name.empty()) {
    const auto prompt = prompts_.find(prompt_name);
    if (prompt == prompts_.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown prompt name, the model has ", prompts_.size(), " prompts"));
    }
    if (!prompt->second.empty()) {
      prompted = absl::StrCat(prompt->second, text);
      text = prompted;
    }
  }
  return CheckEncoding(tokenizer_->Encode(text, EncodeOptionsOf(options, info_.max_tokens)));
}

absl::StatusOr<text::Encoding> TextModel::TokenizePair(absl::string_view first, absl::string_view second,
                                                       const TokenizeOptions& options) const {
  if (!takes_pairs_) {
    return absl::InvalidArgumentError("a pair, the model takes single texts only");
  }
  return CheckEncoding(tokenizer_->EncodePair(first, second, EncodeOptionsOf(options, info_.max_tokens)));
}

absl::StatusOr<text::Encoding> TextModel::CheckEncoding(absl::StatusOr<text::Encoding> encoding) const {
  if (!encoding.ok()) return encoding;
  if (encoding->ids.size() > info_.max_tokens) {
    return absl::InvalidArgumentError(absl::StrCat(encoding->ids.size(), " tokens, limit ", info_.max_tokens));
  }
  // A tokenizer without special tokens gives nothing for an empty text, and a mean over nothing is none.
  if (encoding->ids.empty()) return absl::InvalidArgumentError("no tokens, at least 1 is needed");
  return encoding;
}

std::unique_ptr<EncoderWorkspace> TextModel::NewWorkspace(kernels::ThreadTeam* team) const {
  return encoder_->NewWorkspace(team);
}

absl::Status TextModel::Compute(const PackedBatch& batch, EncoderWorkspace* encoder_workspace,
                                HeadWorkspace* head_workspace, std::span<float> outputs) const {
  ASSIGN_OR_RETURN(const MatrixView<const float> hidden_states, encoder_->Forward(batch, encoder_workspace));
  size_t output_size = 0;
  for (size_t t = 0; t < batch.num_texts(); ++t) {
    output_size += head_->OutputSize(batch.starts[t + 1] - batch.starts[t]);
  }
  if (outputs.size() != output_size) return absl::InternalError("outputs: not the sum of the texts' OutputSize");
  head_->Run(batch, hidden_states, head_workspace, outputs);
  return absl::OkStatus();
}

absl::Status TextModel::Embed(const PackedBatch& batch, EncoderWorkspace* workspace,
                              MatrixView<float> embeddings) const {
  if (info_.task != Task::kEmbedding) {
    return absl::FailedPreconditionError(absl::StrCat("the model is for ", TaskName(info_.task), ", not embedding"));
  }
  if (embeddings.stride() != embeddings.cols()) return absl::InternalError("embeddings: rows with gaps");
  return Compute(batch, workspace, /*head_workspace=*/nullptr,
                 {embeddings.data(), embeddings.rows() * embeddings.cols()});
}

bool IsFinite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

}  // namespace octet::model
