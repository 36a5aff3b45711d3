#include "server/rpc/inference/infer_response.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "google/protobuf/io/coded_stream.h"
#include "inference/inference.pb.h"
#include "server/rpc/inference/tensors.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/status_map.h"
#include "server/rpc/wire_write.h"

namespace octet::rpc {
namespace {

using ::google::protobuf::io::CodedOutputStream;
using ::inference::ModelInferResponse;
using ::inference::ModelStreamInferResponse;

static_assert(std::endian::native == std::endian::little, "values are sent as they lie in memory");

constexpr char kFinalResponse[] = "triton_final_response";

bool IsCalled(const TensorSpec& tensor, absl::string_view name) { return tensor.name == name; }

// Values of an FP32 output in pieces: as they lie in the answer, or so many zeros.
struct Piece {
  std::span<const float> values;
  size_t num_zeros = 0;
};

size_t RowLength(const serving::Response& response, const ParsedInfer& request) {
  if (request.row_length > 0) return request.row_length;
  return *std::max_element(response.num_tokens.begin(), response.num_tokens.end());
}

size_t HiddenDim(const serving::Response& response) { return response.served->model->info().hidden_dim; }

std::vector<Piece> PiecesOf(const TensorSpec& output, const serving::Response& response, const ParsedInfer& request) {
  if (!IsCalled(output, kLastHiddenState)) return {{.values = response.outputs}};
  const size_t hidden_dim = HiddenDim(response), row_length = RowLength(response, request);
  std::vector<Piece> pieces;
  size_t begin = 0;
  for (const size_t num_tokens : response.num_tokens) {
    pieces.push_back({.values = std::span(response.hidden_states).subspan(begin, num_tokens * hidden_dim)});
    if (num_tokens < row_length) pieces.push_back({.values = {}, .num_zeros = (row_length - num_tokens) * hidden_dim});
    begin += num_tokens * hidden_dim;
  }
  return pieces;
}

std::vector<int64_t> ShapeOf(const TensorSpec& output, const serving::Response& response, const ParsedInfer& request) {
  const auto num_texts = static_cast<int64_t>(response.num_texts());
  if (IsCalled(output, kLabel)) return {num_texts};
  if (IsCalled(output, kLastHiddenState)) {
    return {num_texts, static_cast<int64_t>(RowLength(response, request)), static_cast<int64_t>(HiddenDim(response))};
  }
  return {num_texts, static_cast<int64_t>(response.outputs.size()) / num_texts};
}

// The label of a text's largest logit, the first of equal ones.
const std::string& BestLabel(const serving::Response& response, size_t text_idx) {
  const std::span<const float> logits = response.output(text_idx);
  return response.served->model->info().labels[std::max_element(logits.begin(), logits.end()) - logits.begin()];
}

// BYTES as raw contents: each label after its size in four bytes.
std::string RawLabels(const serving::Response& response) {
  std::string raw;
  for (size_t i = 0; i < response.num_texts(); ++i) {
    const std::string& label = BestLabel(response, i);
    const auto size = static_cast<uint32_t>(label.size());
    char size_bytes[sizeof(size)];
    std::memcpy(size_bytes, &size, sizeof(size));
    raw.append(size_bytes, sizeof(size));
    raw += label;
  }
  return raw;
}

// One entry of raw_output_contents: text, or pieces of numbers.
struct RawOutput {
  std::string text;
  std::vector<Piece> pieces;

  size_t size() const {
    size_t num_values = 0;
    for (const Piece& piece : pieces) num_values += piece.values.size() + piece.num_zeros;
    return text.size() + num_values * sizeof(float);
  }

  void Write(CodedOutputStream* out) const {
    static constexpr float kZeros[1024] = {};
    if (!text.empty()) out->WriteRaw(text.data(), static_cast<int>(text.size()));
    for (const Piece& piece : pieces) {
      if (!piece.values.empty()) out->WriteRaw(piece.values.data(), static_cast<int>(piece.values.size_bytes()));
      for (size_t left = piece.num_zeros; left > 0;) {
        const size_t count = std::min(left, std::size(kZeros));
        out->WriteRaw(kZeros, static_cast<int>(count * sizeof(float)));
        left -= count;
      }
    }
  }
};

void SetTyped(const TensorSpec& output, const serving::Response& response, const ParsedInfer& request,
              ::inference::InferTensorContents* contents) {
  if (IsCalled(output, kLabel)) {
    for (size_t i = 0; i < response.num_texts(); ++i) contents->add_bytes_contents(BestLabel(response, i));
    return;
  }
  auto* const values = contents->mutable_fp32_contents();
  for (const Piece& piece : PiecesOf(output, response, request)) {
    values->Add(piece.values.begin(), piece.values.end());
    values->Resize(values->size() + static_cast<int>(piece.num_zeros), 0.0f);
  }
}

// Writes a ModelInferResponse: a message without raw contents, and these behind it.
class ResponseWriter {
 public:
  ResponseWriter(const serving::Response& response, const ParsedInfer& request) {
    frame_.set_model_name(response.model);
    frame_.set_model_version(kModelVersion);
    frame_.set_id(request.request_id);
    if (request.parameters.wants_final_flag) {
      auto& parameter = *frame_.add_parameters();
      parameter.set_key(kFinalResponse);
      parameter.mutable_value()->set_bool_param(true);
    }
    for (const TensorSpec& output : request.outputs) {
      auto& tensor = *frame_.add_outputs();
      tensor.set_name(output.name);
      tensor.set_datatype(output.datatype);
      for (const int64_t dimension : ShapeOf(output, response, request)) tensor.add_shape(dimension);
      if (!request.is_raw) {
        SetTyped(output, response, request, tensor.mutable_contents());
      } else if (IsCalled(output, kLabel)) {
        raw_.push_back({.text = RawLabels(response), .pieces = {}});
      } else {
        raw_.push_back({.text = {}, .pieces = PiecesOf(output, response, request)});
      }
    }
    size_ = frame_.ByteSizeLong();
    for (const RawOutput& raw : raw_) {
      size_ += BytesFieldSize(ModelInferResponse::kRawOutputContentsFieldNumber, raw.size());
    }
  }

  size_t size() const { return size_; }

  void Write(CodedOutputStream* out) const {
    frame_.SerializeWithCachedSizes(out);
    for (const RawOutput& raw : raw_) {
      BeginBytesField(ModelInferResponse::kRawOutputContentsFieldNumber, raw.size(), out);
      raw.Write(out);
    }
  }

 private:
  ModelInferResponse frame_;
  std::vector<RawOutput> raw_;
  size_t size_ = 0;
};

}  // namespace

size_t InferResponseBytes(const ParsedInfer& request, const model::ModelInfo& info) {
  // Of an output: name, datatype, shape.
  constexpr size_t kBytesPerOutput = 96;
  const size_t num_texts = request.request.num_texts();
  size_t bytes = kBytesPerResponse + request.request_id.size();
  for (const TensorSpec& output : request.outputs) {
    size_t text_bytes = kBytesPerText;
    if (IsCalled(output, kLabel)) {
      size_t longest = 0;
      for (const std::string& label : info.labels) longest = std::max(longest, label.size());
      text_bytes += longest;
    } else if (IsCalled(output, kLastHiddenState)) {
      const size_t row_length = request.row_length > 0 ? request.row_length : info.max_tokens;
      text_bytes += row_length * info.hidden_dim * sizeof(float);
    } else {
      text_bytes += static_cast<size_t>(output.shape.back()) * sizeof(float);
    }
    bytes += kBytesPerOutput + num_texts * text_bytes;
  }
  return bytes;
}

grpc::ByteBuffer EncodeInferResponse(const serving::Response& response, const ParsedInfer& request) {
  const ResponseWriter writer(response, request);
  return MakeBuffer(writer.size(), [&](CodedOutputStream* out) { writer.Write(out); });
}

grpc::ByteBuffer EncodeInferStreamResponse(const serving::Response& response, const ParsedInfer& request) {
  const ResponseWriter writer(response, request);
  constexpr int kField = ModelStreamInferResponse::kInferResponseFieldNumber;
  return MakeBuffer(BytesFieldSize(kField, writer.size()), [&](CodedOutputStream* out) {
    BeginBytesField(kField, writer.size(), out);
    writer.Write(out);
  });
}

grpc::ByteBuffer EncodeInferStreamError(const std::string& request_id, const absl::Status& status) {
  ModelStreamInferResponse message;
  message.set_error_message(ToGrpcStatus(status).error_message());
  message.mutable_infer_response()->set_id(request_id);
  return Serialize(message);
}

}  // namespace octet::rpc
