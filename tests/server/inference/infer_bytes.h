// What the tests of inference.GRPCInferenceService share: input tensors, raw and typed, and a repository of fakes.
#ifndef OCTET_TESTS_SERVER_INFERENCE_INFER_BYTES_H_
#define OCTET_TESTS_SERVER_INFERENCE_INFER_BYTES_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "inference/inference.pb.h"
#include "serving/model_repository.h"
#include "tests/serving/fakes.h"

namespace octet::rpc {

using ::inference::ModelInferRequest;

// `values` as they lie in memory.
template <typename T>
std::string RawNumbers(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// BYTES: each text after its size in four bytes.
inline std::string RawTexts(const std::vector<std::string>& texts) {
  std::string raw;
  for (const std::string& text : texts) raw += RawNumbers<uint32_t>({static_cast<uint32_t>(text.size())}) + text;
  return raw;
}

inline ModelInferRequest::InferInputTensor* AddInput(const std::string& name, const std::string& datatype,
                                                     const std::vector<int64_t>& shape, ModelInferRequest* request) {
  auto* const input = request->add_inputs();
  input->set_name(name);
  input->set_datatype(datatype);
  for (const int64_t dimension : shape) input->add_shape(dimension);
  return input;
}

inline void AddTexts(const std::string& name, const std::vector<std::string>& texts, ModelInferRequest* request) {
  auto* const input = AddInput(name, "BYTES", {static_cast<int64_t>(texts.size())}, request);
  for (const std::string& text : texts) input->mutable_contents()->add_bytes_contents(text);
}

inline void AddRawTexts(const std::string& name, const std::vector<std::string>& texts, ModelInferRequest* request) {
  AddInput(name, "BYTES", {static_cast<int64_t>(texts.size())}, request);
  request->add_raw_input_contents(RawTexts(texts));
}

inline void AddIds(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& values,
                   ModelInferRequest* request) {
  auto* const input = AddInput(name, "INT64", shape, request);
  for (const int64_t value : values) input->mutable_contents()->add_int64_contents(value);
}

inline void AddRawIds(const std::string& name, const std::vector<int64_t>& shape, const std::vector<int64_t>& values,
                      ModelInferRequest* request) {
  AddInput(name, "INT64", shape, request);
  request->add_raw_input_contents(RawNumbers(values));
}

inline ::inference::InferParameter* AddParameter(const std::string& key, ModelInferRequest* request) {
  auto* const entry = request->add_parameters();
  entry->set_key(key);
  return entry->mutable_value();
}

// Models "embedder" (the default, of 16 tokens and 4 values) and "classifier" (labels a and b).
class FakeRepository {
 public:
  FakeRepository() : repository_("embedder") {
    auto embedder = std::make_shared<serving::FakeServable>(/*max_tokens=*/16);
    auto classifier = std::make_shared<serving::FakeServable>(/*max_tokens=*/16);
    classifier->SetLabels({"a", "b"});
    EXPECT_TRUE(repository_.Add({"embedder", std::move(embedder), absl::Seconds(1)}).ok());
    EXPECT_TRUE(repository_.Add({"classifier", std::move(classifier), absl::Seconds(1)}).ok());
  }
  const serving::ModelRepository& repository() const { return repository_; }

 private:
  serving::ModelRepository repository_;
};

}  // namespace octet::rpc

#endif  // OCTET_TESTS_SERVER_INFERENCE_INFER_BYTES_H_
