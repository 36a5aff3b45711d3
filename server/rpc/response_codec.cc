// The encoding half of request_codec.h: sizes first, then one slice, written once.
#include <bit>
#include <cstring>

#include "google/protobuf/io/coded_stream.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/message_parts.h"
#include "server/rpc/request_codec.h"
#include "server/rpc/wire_write.h"

namespace octet::rpc {
namespace {

using google::protobuf::io::CodedOutputStream;

static_assert(std::endian::native == std::endian::little, "vectors are sent as they lie in memory");

// The message without its vectors, which are written behind it.
v1::EmbedResponse Frame(const serving::Response& response) {
  v1::EmbedResponse frame;
  frame.set_model(response.model);
  frame.set_model_version(response.model_version);
  frame.set_fingerprint(response.fingerprint);
  frame.set_dimensions(response.dimensions);
  frame.set_num_tokens(TotalTokens(response));
  SetTiming(response, frame.mutable_timing());
  return frame;
}

// One Embedding without its vector.
v1::Embedding EmbeddingFrame(const serving::Response& response, size_t text_idx) {
  v1::Embedding frame;
  frame.set_num_tokens(response.num_tokens[text_idx]);
  frame.set_truncated(response.truncated[text_idx]);
  return frame;
}

// Writes an EmbedResponse field by field; the order of fields is free in the format.
class ResponseWriter {
 public:
  ResponseWriter(const serving::Response& response, bool as_floats)
      : response_(response),
        frame_(Frame(response)),
        vector_bytes_(response.dimensions * sizeof(float)),
        // `values` as bytes and `floats` packed are the same on the wire, but for the number.
        vector_field_(as_floats ? v1::Embedding::kFloatsFieldNumber : v1::Embedding::kValuesFieldNumber) {
    size_ = frame_.ByteSizeLong();
    for (size_t i = 0; i < response.num_tokens.size(); ++i) {
      embeddings_.push_back(EmbeddingFrame(response, i));
      size_ += BytesFieldSize(v1::EmbedResponse::kEmbeddingsFieldNumber, EmbeddingSize(i));
    }
  }

  size_t size() const { return size_; }

  void Write(CodedOutputStream* out) const {
    frame_.SerializeWithCachedSizes(out);
    for (size_t i = 0; i < embeddings_.size(); ++i) {
      BeginBytesField(v1::EmbedResponse::kEmbeddingsFieldNumber, EmbeddingSize(i), out);
      embeddings_[i].SerializeWithCachedSizes(out);
      BeginBytesField(vector_field_, vector_bytes_, out);
      out->WriteRaw(response_.outputs.data() + i * response_.dimensions, static_cast<int>(vector_bytes_));
    }
  }

 private:
  size_t EmbeddingSize(size_t text_idx) const {
    return embeddings_[text_idx].ByteSizeLong() + BytesFieldSize(vector_field_, vector_bytes_);
  }

  const serving::Response& response_;
  const v1::EmbedResponse frame_;
  const size_t vector_bytes_;
  const int vector_field_;
  std::vector<v1::Embedding> embeddings_;
  size_t size_ = 0;
};

}  // namespace

grpc::ByteBuffer EncodeEmbedResponse(const serving::Response& response, bool as_floats) {
  const ResponseWriter writer(response, as_floats);
  return MakeBuffer(writer.size(), [&](CodedOutputStream* out) { writer.Write(out); });
}

grpc::ByteBuffer EncodeStreamResponse(uint64_t id, const serving::Response& response, bool as_floats) {
  const ResponseWriter writer(response, as_floats);
  const size_t id_size = 1 + CodedOutputStream::VarintSize64(id);
  const size_t size = id_size + BytesFieldSize(v1::EmbedStreamResponse::kResponseFieldNumber, writer.size());
  return MakeBuffer(size, [&](CodedOutputStream* out) {
    out->WriteTag(WireTag(v1::EmbedStreamResponse::kIdFieldNumber, kWireVarint));
    out->WriteVarint64(id);
    BeginBytesField(v1::EmbedStreamResponse::kResponseFieldNumber, writer.size(), out);
    writer.Write(out);
  });
}

grpc::ByteBuffer EncodeStreamError(uint64_t id, const v1::StreamError& error) {
  v1::EmbedStreamResponse message;
  message.set_id(id);
  *message.mutable_error() = error;
  return Serialize(message);
}

}  // namespace octet::rpc
