// The real pipeline over a fake model, a fake clock and real threads.
#ifndef OCTET_TESTS_SERVING_PIPELINE_HARNESS_H_
#define OCTET_TESTS_SERVING_PIPELINE_HARNESS_H_

#include <gtest/gtest.h>

#include <list>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "serving/pipeline.h"
#include "tests/serving/fakes.h"

namespace octet::serving {

// The first ids of the texts of a batch.
inline std::vector<int32_t> FirstIds(const SeenBatch& batch) {
  std::vector<int32_t> ids;
  for (size_t t = 0; t < batch.num_texts(); ++t) ids.push_back(batch.ids[batch.starts[t]]);
  return ids;
}

class PipelineHarness : public ::testing::Test {
 protected:
  PipelineHarness() {
    options_.warm_up_tokens = 0;
    MetricsOptions metrics_options;
    metrics_options.methods = {"Embed"};
    metrics_ = std::make_unique<Metrics>(metrics_options);
  }

  void AddModel(const std::string& name, std::shared_ptr<FakeServable> model) {
    ASSERT_TRUE(repository_.Add({name, std::move(model), absl::Seconds(1)}).ok());
  }

  void Start() {
    if (repository_.List().empty()) AddModel("mini", model_);
    auto pipeline = Pipeline::Create(options_, &repository_, metrics_.get(), &clock_);
    ASSERT_TRUE(pipeline.ok()) << pipeline.status();
    pipeline_ = *std::move(pipeline);
  }

  // Makes Compute wait for the gate whenever the first text of the batch begins with 'G'.
  void GateOn(Gate* gate) {
    model_->on_compute = [gate](const model::PackedBatch& batch, MatrixView<float>) {
      if (batch.ids[0] == 'G') gate->Pass();
      return absl::OkStatus();
    };
  }

  Request MakeRequest(std::vector<std::string> texts) {
    Request request;
    for (std::string& text : texts) request.texts.push_back(texts_.emplace_back(std::move(text)));
    request.normalize = false;
    return request;
  }

  size_t Submit(Request request) {
    pipeline_->Submit(std::move(request), answers_.Next());
    return num_submitted_++;
  }
  size_t SubmitTexts(std::vector<std::string> texts) { return Submit(MakeRequest(std::move(texts))); }

  absl::Status StatusOf(Request request) { return answers_.Get(Submit(std::move(request))).status(); }

  // Waits until `texts` texts wait for the worker; a call is there a moment after Submit.
  void WaitForQueuedTexts(double texts) {
    while (GaugeValue("octet_queue_depth") != texts) std::this_thread::yield();
  }

  double GaugeValue(const std::string& name) const {
    for (const auto& family : metrics_->Collect()) {
      if (family.name == name) return family.metric.at(0).gauge.value;
    }
    ADD_FAILURE() << "no metric " << name;
    return -1;
  }

  void ExpectNothingHeld() const {
    EXPECT_EQ(GaugeValue("octet_queue_depth"), 0);
    EXPECT_EQ(GaugeValue("octet_queue_tokens"), 0);
    EXPECT_EQ(GaugeValue("octet_queue_pending_bytes"), 0);
  }

  PipelineOptions options_;
  FakeClock clock_;
  std::list<std::string> texts_;
  Answers answers_;
  size_t num_submitted_ = 0;
  std::shared_ptr<FakeServable> model_ = std::make_shared<FakeServable>();
  ModelRepository repository_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace octet::serving

#endif  // OCTET_TESTS_SERVING_PIPELINE_HARNESS_H_
