// Requests and answers of tei.v1. Checked in wire form first, as request_codec.h says; the field names in messages
// are tei.v1's own. Scores are those of text-embeddings-inference, whatever is configured for octet.v1: softmax
// over several labels, sigmoid of a single one, or the logits. The model is left empty for the caller to fill.
// Thread-safe.
#ifndef OCTET_SERVER_RPC_TEI_CODEC_H_
#define OCTET_SERVER_RPC_TEI_CODEC_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/rpc/parsed_request.h"
#include "serving/model_repository.h"

namespace octet::rpc {

class ParsedTei : public ParsedRequest {
 public:
  bool raw_scores = false;  // Predict and Rerank
  // Rerank, if the answer should hold the texts: they, as the request's are.
  std::vector<absl::string_view> texts_to_return;
};
using ParsedTeiOr = absl::StatusOr<std::unique_ptr<ParsedTei>>;

// tei.v1.EmbedRequest. normalize absent = true.
ParsedTeiOr ParseTeiEmbed(const grpc::ByteBuffer& bytes, const RequestLimits& limits);
ParsedTeiOr ParseTeiPredict(const grpc::ByteBuffer& bytes, const RequestLimits& limits);
ParsedTeiOr ParseTeiPredictPair(const grpc::ByteBuffer& bytes, const RequestLimits& limits);
ParsedTeiOr ParseTeiRerank(const grpc::ByteBuffer& bytes, const RequestLimits& limits);
// All tei.v1.RerankStreamRequest messages of a stream. InvalidArgument also when they differ in `truncate` or
// `truncation_direction`, of which octet has one for a call.
ParsedTeiOr ParseTeiRerankStream(std::span<const grpc::ByteBuffer> messages, const RequestLimits& limits);

// InvalidArgument "response: N bytes, limit M" when the PredictResponse of `served` might be larger than allowed.
absl::Status CheckPredictResponseSize(const serving::ServedModel& served, const RequestLimits& limits);

// The answers; total_time: from arrival to now.
grpc::ByteBuffer EncodeTeiEmbedResponse(const serving::Response& response, const ParsedTei& request,
                                        absl::Duration total_time);
grpc::ByteBuffer EncodeTeiPredictResponse(const serving::Response& response, const ParsedTei& request,
                                          absl::Duration total_time);
// Takes models of one label.
grpc::ByteBuffer EncodeTeiRerankResponse(const serving::Response& response, const ParsedTei& request,
                                         absl::Duration total_time);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_TEI_CODEC_H_
