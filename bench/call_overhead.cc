// What a call to a running server costs beside its work: the client's time less the tokenize and compute times
// that the server reports. One text of 16 to 32 word pieces a call, one call at a time, one connection. Beside
// it an empty call, the health check, which is what gRPC alone costs here.
//
//   call_overhead HOST:PORT [CALLS]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "bench/random_texts.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "octet/v1/text_encoder.grpc.pb.h"

namespace octet {
namespace {

constexpr int kWarmUpCalls = 200;
constexpr size_t kMinTokens = 16, kMaxTokens = 32;

double Milliseconds(const std::function<grpc::Status()>& call) {
  const auto begin = std::chrono::steady_clock::now();
  const grpc::Status status = call();
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
  if (status.ok()) return time.count();
  std::fprintf(stderr, "call_overhead: %s\n", status.error_message().c_str());
  std::exit(1);
}

struct Series {
  const char* name;
  std::vector<double> values = {};

  void Print() {
    std::sort(values.begin(), values.end());
    std::printf("%-12s median %.3f ms, p90 %.3f ms\n", name, values[values.size() / 2], values[values.size() * 9 / 10]);
  }
};

void Measure(const std::string& address, int num_calls) {
  const auto channel = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
  const auto encoder = v1::TextEncoder::NewStub(channel);
  const auto health = grpc::health::v1::Health::NewStub(channel);
  Series total{"client time"}, tokenize{"tokenize"}, queue{"queue"}, compute{"compute"}, overhead{"overhead"},
      empty{"empty call"};
  std::mt19937 random(1);
  std::uniform_int_distribution<size_t> num_tokens(kMinTokens, kMaxTokens);
  for (int i = -kWarmUpCalls; i < num_calls; ++i) {
    v1::EmbedRequest request;
    request.add_texts(RandomText(num_tokens(random), &random));
    v1::EmbedResponse response;
    const double call_ms = Milliseconds([&] {
      grpc::ClientContext context;
      return encoder->Embed(&context, request, &response);
    });
    const double empty_ms = Milliseconds([&] {
      grpc::ClientContext context;
      grpc::health::v1::HealthCheckResponse answer;
      return health->Check(&context, {}, &answer);
    });
    if (i < 0) continue;
    const double tokenize_ms = static_cast<double>(response.timing().tokenize_ns()) / 1e6;
    const double compute_ms = static_cast<double>(response.timing().compute_ns()) / 1e6;
    total.values.push_back(call_ms);
    tokenize.values.push_back(tokenize_ms);
    queue.values.push_back(static_cast<double>(response.timing().queue_ns()) / 1e6);
    compute.values.push_back(compute_ms);
    overhead.values.push_back(call_ms - tokenize_ms - compute_ms);
    empty.values.push_back(empty_ms);
  }
  for (Series* series : {&total, &tokenize, &queue, &compute, &overhead, &empty}) series->Print();
}

}  // namespace
}  // namespace octet

int main(int argc, char** argv) {
  int num_calls = 2000;
  if (argc < 2 || argc > 3 || (argc == 3 && (!absl::SimpleAtoi(argv[2], &num_calls) || num_calls < 1))) {
    std::fprintf(stderr, "usage: call_overhead HOST:PORT [CALLS]\n");
    return 2;
  }
  octet::Measure(argv[1], num_calls);
  return 0;
}
