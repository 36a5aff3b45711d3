// Everything at once, for the thread sanitizer: every call has exactly one answer, the right one, and
// nothing is held afterwards.
#include <gtest/gtest.h>

#include <cmath>
#include <new>
#include <random>
#include <thread>
#include <vector>

#include "serving/pipeline.h"
#include "tests/serving/fakes.h"

namespace octet::serving {
namespace {

constexpr int kCallsPerClient = 1000;
constexpr int kClients = 4;

struct Client {
  std::atomic<int> answers{0}, wrong{0};
};

class PipelineStressTest : public ::testing::TestWithParam<bool> {};

TEST_P(PipelineStressTest, EveryCallHasExactlyOneAnswer) {
  const bool drain_midway = GetParam();
  const auto model = std::make_shared<FakeServable>();
  model->on_compute = [](const model::PackedBatch& batch, MatrixView<float> rows) -> absl::Status {
    if (batch.ids[0] == '#') throw std::bad_alloc();
    for (size_t t = 0; t < batch.num_texts(); ++t) {
      if (batch.ids[batch.starts[t]] == '~') rows.Row(t)[0] = std::nanf("");
    }
    return absl::OkStatus();
  };
  ModelRepository repository;
  const ShadowOptions shadow = {.reference = std::make_shared<FakeServable>(), .share = 0.5, .max_queue_texts = 8};
  ASSERT_TRUE(repository.Add({.name = "mini", .model = model, .load_time = {}, .shadow = shadow}).ok());
  ASSERT_TRUE(repository.Add({"other", std::make_shared<FakeServable>(), {}}).ok());
  MetricsOptions metrics_options;
  metrics_options.methods = {"Embed"};
  Metrics metrics(metrics_options);
  PipelineOptions options;
  options.num_tokenizer_threads = 2;
  options.max_batch_tokens = 600;
  options.max_batch_texts = 16;
  options.max_queue_texts = 200;
  options.max_pending_bytes = 50000;
  auto created = Pipeline::Create(options, &repository, &metrics, &SteadyClock::Get());
  ASSERT_TRUE(created.ok()) << created.status();
  const std::unique_ptr<Pipeline> pipeline = *std::move(created);

  std::vector<Client> clients(kClients);
  std::vector<std::atomic<int>> answers(kClients * kCallsPerClient);
  const auto run_client = [&](int c) {
    std::mt19937 random(static_cast<uint32_t>(c));
    std::vector<std::shared_ptr<std::atomic<bool>>> cancels;
    for (int i = 0; i < kCallsPerClient; ++i) {
      // Owned by the answer, so that a text read after it is a use after free.
      auto texts = std::make_shared<std::vector<std::string>>(1 + (random() % 8 == 0 ? random() % 60 : 0));
      for (std::string& text : *texts) text.assign(1 + random() % 100, "abcdefgh~#"[random() % 10]);
      Request request;
      request.model = random() % 4 == 0 ? "other" : "mini";
      request.texts.assign(texts->begin(), texts->end());
      request.normalize = false;
      if (random() % 4 == 0) {
        request.deadline = SteadyClock::Get().Now() + absl::Microseconds(random() % 3000);
      }
      cancels.push_back(std::make_shared<std::atomic<bool>>(false));
      request.cancelled = cancels.back();
      metrics.StartCall("Embed");
      std::atomic<int>* const count = &answers[c * kCallsPerClient + i];
      pipeline->Submit(std::move(request), [&metrics, &client = clients[c], count, texts](auto result) {
        count->fetch_add(1);
        if (result.ok()) {
          for (size_t t = 0; t < texts->size(); ++t) {
            const float* row = &result->outputs[t * 4];
            client.wrong += row[0] != texts->at(t).size() || row[1] != texts->at(t)[0];
          }
        }
        texts->clear();
        metrics.RecordCall("Embed", result.ok() ? result->model : "",
                           result.ok() ? "OK" : absl::StatusCodeToString(result.status().code()),
                           absl::Milliseconds(1));
        client.answers.fetch_add(1);
      });
      if (random() % 4 == 0) cancels[random() % cancels.size()]->store(true);
      if (i % 200 == 0) metrics.Render();
      if (i % 200 == 100) {
        EXPECT_TRUE(pipeline->Health().live);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int c = 0; c < kClients; ++c) threads.emplace_back(run_client, c);
  if (drain_midway) {
    while (clients[0].answers < kCallsPerClient / 4) std::this_thread::yield();
    pipeline->Drain(absl::ZeroDuration());
  }
  for (std::thread& thread : threads) thread.join();
  pipeline->Drain(absl::InfiniteDuration());

  int answered_once = 0, wrong = 0;
  for (const auto& count : answers) answered_once += count == 1;
  for (const Client& client : clients) wrong += client.wrong;
  EXPECT_EQ(answered_once, kClients * kCallsPerClient);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(metrics.TotalStarted(), kClients * kCallsPerClient);
  EXPECT_EQ(metrics.TotalRecorded(), metrics.TotalStarted());
  EXPECT_EQ(metrics.computed_after_expiry->Value(), 0);
  EXPECT_TRUE(pipeline->Health().live);
}

INSTANTIATE_TEST_SUITE_P(DrainMidway, PipelineStressTest, ::testing::Bool());

}  // namespace
}  // namespace octet::serving
