#include "server/rpc/metrics_server.h"

#include <CivetServer.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"

namespace octet::rpc {
namespace {

struct Answer {
  int code;
  std::string body;
};

// Answers GET and HEAD with what `get` gives. Other methods are refused here: civetweb would answer some of
// them 404, which says that the page is missing.
class Page final : public CivetHandler {
 public:
  // `headers`: those besides type and length, each with its line end.
  Page(std::string content_type, std::function<Answer()> get, std::string headers = "")
      : content_type_(std::move(content_type)), get_(std::move(get)), headers_(std::move(headers)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override { return Send(connection, true); }
  bool handleHead(CivetServer*, mg_connection* connection) override { return Send(connection, false); }
  bool handlePost(CivetServer*, mg_connection* connection) override { return Refuse(connection); }
  bool handlePut(CivetServer*, mg_connection* connection) override { return Refuse(connection); }
  bool handleDelete(CivetServer*, mg_connection* connection) override { return Refuse(connection); }
  bool handleOptions(CivetServer*, mg_connection* connection) override { return Refuse(connection); }
  bool handlePatch(CivetServer*, mg_connection* connection) override { return Refuse(connection); }

 private:
  static bool Refuse(mg_connection* connection) {
    mg_printf(connection,
              "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n"
              "Connection: close\r\n\r\n");
    return true;
  }

  bool Send(mg_connection* connection, bool with_body) {
    const Answer answer = get_();
    mg_printf(connection, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
              answer.code, answer.code == 200 ? "OK" : "Service Unavailable", content_type_.c_str(), answer.body.size(),
              headers_.c_str());
    if (with_body) mg_write(connection, answer.body.data(), answer.body.size());
    return true;
  }

  const std::string content_type_;
  const std::function<Answer()> get_;
  const std::string headers_;
};

constexpr char kPlainText[] = "text/plain; charset=utf-8";

// "127.0.0.1:9464" as it is; ":9464" listens on all interfaces, which civetweb spells without the colon.
std::string ListeningPorts(const std::string& address) {
  return !address.empty() && address[0] == ':' ? address.substr(1) : address;
}

const char* WhyNotBound(const std::string& address) {
  constexpr unsigned kIpv6Feature = 8;  // of mg_check_feature
  if (address.rfind('[', 0) == 0 && mg_check_feature(kIpv6Feature) == 0) {
    return "this system's civetweb was built without IPv6; use an IPv4 address or a host name";
  }
  return "the address is in use or cannot be resolved";
}

}  // namespace

struct MetricsServer::State {
  State(serving::Metrics* m, StatusPage p) : metrics(m), status_page(std::move(p)) {}

  serving::Metrics* const metrics;
  const StatusPage status_page;
  mutable Mutex mu;
  const serving::Pipeline* pipeline ABSL_GUARDED_BY(mu) = nullptr;
  const GrpcServer* server ABSL_GUARDED_BY(mu) = nullptr;

  Answer Health() const {
    MutexLock lock(&mu);
    return HealthLocked();
  }
  Answer Readiness() const {
    MutexLock lock(&mu);
    if (server == nullptr) return {503, "loading\n"};
    if (!server->serving()) return {503, "not serving\n"};
    const Answer health = HealthLocked();
    return health.code == 200 ? Answer{200, "ready\n"} : health;
  }
  Answer Scrape() const {
    metrics->SetReady(Readiness().code == 200);
    return {200, metrics->Render()};
  }
  Answer Status() const {
    const std::string state = Readiness().body;
    return {200, status_page(state.substr(0, state.find('\n')))};
  }
  void Set(const serving::Pipeline* p, const GrpcServer* s) {
    MutexLock lock(&mu);
    pipeline = p;
    server = s;
  }

  Page metrics_page{"text/plain; version=0.0.4; charset=utf-8", [this] { return Scrape(); }};
  Page health_page{kPlainText, [this] { return Health(); }};
  Page ready_page{kPlainText, [this] { return Readiness(); }};
  Page people_page{"text/html; charset=utf-8", [this] { return Status(); }, "Refresh: 10\r\n"};
  std::unique_ptr<CivetServer> http;  // last: its threads use the pages
  int port = 0;

 private:
  Answer HealthLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    if (pipeline == nullptr) return {200, "ok\n"};
    const serving::PipelineHealth health = pipeline->Health();
    if (health.live) return {200, "ok\n"};
    return {503, absl::StrCat(health.reason, "\n")};
  }
};

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::~MetricsServer() = default;

void MetricsServer::Watch(const serving::Pipeline* pipeline, const GrpcServer* server) {
  state_->Set(pipeline, server);
}

void MetricsServer::Unwatch() { state_->Set(nullptr, nullptr); }

int MetricsServer::port() const { return state_->port; }

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Create(const std::string& address,
                                                                     serving::Metrics* metrics,
                                                                     StatusPage status_page) {
  auto state = std::make_unique<State>(metrics, std::move(status_page));
  const std::vector<std::string> options = {
      "listening_ports",
      ListeningPorts(address),
      "num_threads",
      "4",  // a slow client holds one for the timeout below, not the port
      "connection_queue",
      "16",
      "request_timeout_ms",
      "5000",
      "max_request_size",
      "8192",  // request line and headers
      "enable_keep_alive",
      "no",
      "enable_directory_listing",
      "no",
  };
  try {
    state->http = std::make_unique<CivetServer>(options);
  } catch (const CivetException&) {
    return absl::FailedPreconditionError(absl::StrCat("cannot bind ", address, ": ", WhyNotBound(address)));
  }
  if (state->status_page != nullptr) state->http->addHandler("/$", state->people_page);
  state->http->addHandler("/metrics$", state->metrics_page);
  state->http->addHandler("/healthz$", state->health_page);
  state->http->addHandler("/readyz$", state->ready_page);
  state->port = state->http->getListeningPorts().at(0);
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

}  // namespace octet::rpc
