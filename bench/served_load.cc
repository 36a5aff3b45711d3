// Load on a running server, one text a call, and what every call took. Lengths as in random_texts.h.
//
//   served_load HOST:PORT closed CLIENTS SECONDS   each client sends its next call when it has its answer
//   served_load HOST:PORT open RATE SECONDS        calls come at random times, RATE a second on average, whatever the
//                                                  server does; a call's time counts from when it should have been sent
//
// MODEL,MODEL,... after it: names of models that calls ask for by turns; else each asks for the server's only one.
// Prints a line for each call that began after the first second: TOKENS MILLISECONDS CODE.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "bench/random_texts.h"
#include "grpcpp/grpcpp.h"
#include "octet/v1/text_encoder.grpc.pb.h"

namespace octet {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;
using std::chrono::steady_clock;

constexpr auto kWarmUp = std::chrono::seconds(1);
constexpr auto kDeadline = std::chrono::seconds(30);
constexpr int kConnections = 4;  // of open load

// A failed call's reason goes to standard error: its code alone does not tell who ended it.
grpc::StatusCode Report(const grpc::Status& status) {
  if (!status.ok()) std::fprintf(stderr, "served_load: %d: %s\n", status.error_code(), status.error_message().c_str());
  return status.error_code();
}

struct Sample {
  size_t num_tokens;
  double ms;
  grpc::StatusCode code;
};

// The `call_idx`-th call of a load.
v1::EmbedRequest RequestOf(const std::vector<std::string>& models, size_t call_idx, size_t num_tokens,
                           std::mt19937* random) {
  v1::EmbedRequest request;
  request.set_model(models[call_idx % models.size()]);
  request.add_texts(RandomText(num_tokens, random));
  return request;
}

class Connection {
 public:
  explicit Connection(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // one TCP connection each
    const auto channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    // gRPC before 1.61 may take a connection that is only being made for one that failed (errno overwritten after
    // connect: https://github.com/grpc/grpc/pull/35064), and then tries again after a second. The load is not about that.
    channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10));
    stub_ = v1::TextEncoder::NewStub(channel);
  }
  v1::TextEncoder::Stub& stub() { return *stub_; }

 private:
  std::unique_ptr<v1::TextEncoder::Stub> stub_;
};

double MillisecondsSince(TimePoint begin) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
}

std::vector<Sample> RunClosed(const std::string& address, const std::vector<std::string>& models, int num_clients,
                              std::chrono::seconds duration) {
  std::vector<std::vector<Sample>> samples(static_cast<size_t>(num_clients));
  std::vector<std::thread> clients;
  const TimePoint start = steady_clock::now();
  for (int client_idx = 0; client_idx < num_clients; ++client_idx) {
    clients.emplace_back([&, client_idx] {
      Connection connection(address);
      std::mt19937 random(static_cast<uint32_t>(client_idx));
      LogNormalLengths lengths;
      size_t call_idx = static_cast<size_t>(client_idx);
      for (TimePoint begin; (begin = steady_clock::now()) < start + kWarmUp + duration; ++call_idx) {
        const size_t num_tokens = lengths(&random);
        const v1::EmbedRequest request = RequestOf(models, call_idx, num_tokens, &random);
        const TimePoint sent = steady_clock::now();
        v1::EmbedResponse response;
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + kDeadline);
        const grpc::Status status = connection.stub().Embed(&context, request, &response);
        const Sample sample = {num_tokens, MillisecondsSince(sent), Report(status)};
        if (begin >= start + kWarmUp) samples[static_cast<size_t>(client_idx)].push_back(sample);
      }
    });
  }
  for (std::thread& client : clients) client.join();
  std::vector<Sample> all;
  for (const auto& own : samples) all.insert(all.end(), own.begin(), own.end());
  return all;
}

struct OpenCall {
  size_t num_tokens;
  TimePoint due;
  grpc::ClientContext context;
  v1::EmbedResponse response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::EmbedResponse>> reader;
};

std::vector<Sample> RunOpen(const std::string& address, const std::vector<std::string>& models, double rate,
                            std::chrono::seconds duration) {
  std::vector<std::unique_ptr<Connection>> connections;
  for (int i = 0; i < kConnections; ++i) connections.push_back(std::make_unique<Connection>(address));
  grpc::CompletionQueue answers;
  std::vector<Sample> samples;
  const TimePoint start = steady_clock::now();
  std::thread reader([&] {
    void* tag;
    for (bool ok; answers.Next(&tag, &ok);) {
      const std::unique_ptr<OpenCall> call(static_cast<OpenCall*>(tag));
      const Sample sample = {call->num_tokens, MillisecondsSince(call->due), Report(call->status)};
      if (call->due >= start + kWarmUp) samples.push_back(sample);
    }
  });
  std::mt19937 random(1);
  LogNormalLengths lengths;
  std::exponential_distribution<double> gap(rate);
  TimePoint due = start;
  for (size_t i = 0; due < start + kWarmUp + duration; ++i) {
    auto call = std::make_unique<OpenCall>();
    call->num_tokens = lengths(&random);
    call->due = due;
    const v1::EmbedRequest request = RequestOf(models, i, call->num_tokens, &random);
    call->context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    std::this_thread::sleep_until(due);
    call->reader = connections[i % kConnections]->stub().AsyncEmbed(&call->context, request, &answers);
    OpenCall* const raw = call.release();
    raw->reader->Finish(&raw->response, &raw->status, raw);
    due += std::chrono::duration_cast<steady_clock::duration>(std::chrono::duration<double>(gap(random)));
  }
  answers.Shutdown();
  reader.join();
  return samples;
}

}  // namespace
}  // namespace octet

int main(int argc, char** argv) {
  double amount = 0;
  int seconds = 0;
  const bool complete = argc == 5 || argc == 6;
  const bool closed = complete && std::strcmp(argv[2], "closed") == 0;
  const bool open = complete && std::strcmp(argv[2], "open") == 0;
  if ((!closed && !open) || !absl::SimpleAtod(argv[3], &amount) || amount < 1 || amount > 1e5 ||
      !absl::SimpleAtoi(argv[4], &seconds) || seconds < 1 || seconds > 3600) {
    std::fprintf(stderr,
                 "usage: served_load HOST:PORT closed CLIENTS SECONDS | HOST:PORT open RATE SECONDS, [MODEL,...]\n");
    return 2;
  }
  const std::vector<std::string> models = absl::StrSplit(argc == 6 ? argv[5] : "", ',');
  const std::chrono::seconds duration(seconds);
  const auto samples = closed ? octet::RunClosed(argv[1], models, static_cast<int>(amount), duration)
                              : octet::RunOpen(argv[1], models, amount, duration);
  for (const auto& sample : samples) std::printf("%zu %.4f %d\n", sample.num_tokens, sample.ms, sample.code);
  return samples.empty() ? 1 : 0;
}
