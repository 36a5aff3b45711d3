// One input tensor of a ModelInferRequest, raw or typed: its shape, and its values behind one face. Borrows from the
// message. Thread-safe.
#ifndef OCTET_SERVER_RPC_INFERENCE_INPUT_TENSOR_H_
#define OCTET_SERVER_RPC_INFERENCE_INPUT_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "inference/inference.pb.h"
#include "server/rpc/inference/tensors.h"
#include "server/rpc/parsed_request.h"

namespace octet::rpc {

class InputTensor {
 public:
  using Message = ::inference::ModelInferRequest::InferInputTensor;

  // `raw`: its entry of raw_input_contents; absent: the values are in `message`. InvalidArgument when the message has
  // another datatype than `spec`, parameters, or values beside the raw ones or of another type.
  static absl::StatusOr<InputTensor> Make(const TensorSpec& spec, const Message& message,
                                          std::optional<absl::string_view> raw);

  const char* name() const { return name_; }
  bool HasShapeOf(const InputTensor& other) const;
  // "[2, 3]"; "5 dimensions" when there are many.
  std::string ShapeText() const;

  // Of a BYTES tensor: as many texts as its shape [n] or [n, 1] says, valid UTF-8 and within the limits.
  absl::StatusOr<std::vector<absl::string_view>> Texts(const RequestLimits& limits) const;

  // Of an INT64 tensor: rows and columns of its shape.
  struct Matrix {
    size_t num_rows = 0, num_columns = 0;
  };
  // InvalidArgument unless its shape is [n, length] within the limits and it has as many values.
  absl::StatusOr<Matrix> CheckMatrix(const RequestLimits& limits, size_t max_columns) const;
  // Value `idx` in row order; after CheckMatrix.
  int64_t IntAt(size_t idx) const;

 private:
  InputTensor(const char* name, const Message& message, std::optional<absl::string_view> raw)
      : name_(name), message_(&message), raw_(raw) {}
  absl::Status CheckContents(const TensorSpec& spec) const;
  absl::StatusOr<size_t> NumTexts(const RequestLimits& limits) const;

  const char* name_;
  const Message* message_;
  std::optional<absl::string_view> raw_;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_INPUT_TENSOR_H_
