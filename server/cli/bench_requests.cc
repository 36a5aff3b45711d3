// `octet bench --requests`: the peer benchmark's protocol. A request file is
//   {"batches": [[[id, ...], ...], ...], "warmup": n, "reps": n, "embeddings": bool, ...}
// and its answer
//   {"ms": [...], "mean": [[...], ...], "cls": [[...], ...], "info": {...}}  or  {"error": "..."}.
// Instead of a path, the line `again` asks for one more repetition of the last request's batches.
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/status_macros.h"
#include "kernels/int8_matmul.h"
#include "kernels/pool.h"
#include "server/cli/bench.h"
#include "server/cli/bench_engine.h"

namespace octet::cli {
namespace {

using nlohmann::json;

// Room for most requests, so that few load the model again.
constexpr size_t kUsualBatchTokens = 4096;

struct Request {
  std::vector<OwnedBatch> batches;
  int warmup = 0, reps = 1;
  bool embeddings = false;
};

// Throws json::exception for a file that is not a request.
Request ParseRequest(std::istream& file) {
  const json root = json::parse(file);
  Request request;
  request.warmup = root.value("warmup", 0);
  request.reps = root.value("reps", 1);
  request.embeddings = root.value("embeddings", false);
  for (const json& batch : root.at("batches")) {
    OwnedBatch& owned = request.batches.emplace_back();
    for (const json& text : batch) owned.Add(text.get<std::vector<int32_t>>());
  }
  return request;
}

// The engine of a sequence of requests; made anew when a batch is larger than any before.
class Session {
 public:
  explicit Session(const BenchOptions& options) : options_(options) {}

  absl::Status Prepare(size_t max_batch_tokens) {
    if (engine_ != nullptr && max_batch_tokens <= capacity_) return absl::OkStatus();
    engine_ = nullptr;
    ASSIGN_OR_RETURN(engine_, BenchEngine::Load(options_, max_batch_tokens));
    capacity_ = max_batch_tokens;
    return absl::OkStatus();
  }

  absl::StatusOr<json> Answer(Request request) {
    request_ = std::move(request);
    size_t most_tokens = kUsualBatchTokens;
    for (const OwnedBatch& batch : request_.batches) most_tokens = std::max(most_tokens, batch.ids.size());
    RETURN_IF_ERROR(Prepare(most_tokens));
    json ms = json::array();
    for (int rep = -request_.warmup; rep < request_.reps; ++rep) {
      ASSIGN_OR_RETURN(const double repetition_ms, Repeat());
      if (rep >= 0) ms.push_back(repetition_ms);
    }
    json answer = {{"ms", ms}, {"info", Info()}};
    if (request_.embeddings) RETURN_IF_ERROR(AddEmbeddings(&answer));
    return answer;
  }

  absl::StatusOr<json> AnswerAgain() {
    ASSIGN_OR_RETURN(const double ms, Repeat());
    return json{{"ms", {ms}}};
  }

 private:
  // All batches of the request, in order: milliseconds.
  absl::StatusOr<double> Repeat() {
    const MonotonicTime begin = SteadyClock::Get().Now();
    for (const OwnedBatch& batch : request_.batches) RETURN_IF_ERROR(engine_->Forward(batch).status());
    return absl::ToDoubleMilliseconds(SteadyClock::Get().Now() - begin);
  }

  json Info() const {
    const model::TextModel& model = engine_->model();
    return {{"program", "octet"},
            {"precision", std::string(model::PrecisionName(model.info().precision))},
            {"mode", model.info().quantization},
            {"isa", std::string(IsaName(model.info().isa))},
            {"onednn_isa", kernels::OneDnnIsaName()},
            {"kernels", model.encoder().implementation_names()},
            {"threads", options_.num_threads}};
  }

  // Mean-pooled and first-token states, not normalized.
  absl::Status AddEmbeddings(json* answer) {
    json mean = json::array(), cls = json::array();
    std::vector<float> vector(engine_->model().info().hidden_dim);
    for (const OwnedBatch& batch : request_.batches) {
      ASSIGN_OR_RETURN(const auto states, engine_->Forward(batch));
      for (size_t t = 0; t + 1 < batch.starts.size(); ++t) {
        const auto rows = states.Rows(batch.starts[t], batch.starts[t + 1] - batch.starts[t]);
        kernels::PoolMean(engine_->model().encoder().kernels(), rows, vector);
        mean.push_back(vector);
        kernels::PoolCls(rows, vector);
        cls.push_back(vector);
      }
    }
    (*answer)["mean"] = std::move(mean);
    (*answer)["cls"] = std::move(cls);
    return absl::OkStatus();
  }

  const BenchOptions& options_;
  std::unique_ptr<BenchEngine> engine_;
  size_t capacity_ = 0;
  Request request_;  // the last one
};

json AnswerLine(Session& session, const std::string& line) {
  try {
    absl::StatusOr<json> answer;
    if (line == "again") {
      answer = session.AnswerAgain();
    } else {
      std::ifstream file(line);
      if (!file) return {{"error", "request file cannot be opened"}};
      answer = session.Answer(ParseRequest(file));
    }
    if (answer.ok()) return *std::move(answer);
    return {{"error", answer.status().ToString()}};
  } catch (const json::exception& e) {
    return {{"error", e.what()}};
  }
}

}  // namespace

absl::Status RunBenchRequests(const BenchOptions& options, std::istream& in, std::ostream& out) {
  Session session(options);
  RETURN_IF_ERROR(session.Prepare(kUsualBatchTokens));
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out << AnswerLine(session, line).dump() << std::endl;
  }
  return absl::OkStatus();
}

}  // namespace octet::cli
