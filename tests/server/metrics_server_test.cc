#include "server/rpc/metrics_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/server/server_harness.h"

namespace octet::rpc {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A TCP connection to the loopback interface.
class Socket {
 public:
  Socket(int family, int port) : fd_(socket(family, SOCK_STREAM, 0)) {
    const auto net_port = htons(static_cast<uint16_t>(port));
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = net_port;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6 = {};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = net_port;
    v6.sin6_addr = in6addr_loopback;
    connected_ =
        fd_ >= 0 && (family == AF_INET ? connect(fd_, reinterpret_cast<const sockaddr*>(&v4), sizeof(v4))
                                       : connect(fd_, reinterpret_cast<const sockaddr*>(&v6), sizeof(v6))) == 0;
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool connected() const { return connected_; }
  void Send(const std::string& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return;  // the server has closed
      sent += static_cast<size_t>(n);
    }
  }
  // All until the server closes.
  std::string ReadAll() {
    std::string bytes;
    char buffer[4096];
    for (ssize_t n; (n = recv(fd_, buffer, sizeof(buffer), 0)) > 0;) bytes.append(buffer, static_cast<size_t>(n));
    return bytes;
  }

 private:
  const int fd_;
  bool connected_ = false;
};

class MetricsServerTest : public ServerHarness {
 protected:
  void StartAll(const std::string& address = "127.0.0.1:0") {
    Start();
    auto http = MetricsServer::Create(address, metrics_.get());
    ASSERT_TRUE(http.ok()) << http.status();
    http_ = *std::move(http);
    ASSERT_GT(http_->port(), 0);
    http_->Watch(pipeline_.get(), server_.get());
  }

  std::string Request(const std::string& bytes, int family = AF_INET) {
    Socket socket(family, http_->port());
    EXPECT_TRUE(socket.connected());
    socket.Send(bytes);
    return socket.ReadAll();
  }
  std::string Ask(const std::string& method, const std::string& path) {
    return Request(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: x\r\n\r\n"));
  }

  void TearDown() override {
    gate_.Open();
    http_ = nullptr;  // before what it points to
    ServerHarness::TearDown();
  }

  std::unique_ptr<MetricsServer> http_;
};

TEST_F(MetricsServerTest, RendersMetricsInTheTextFormat) {
  StartAll();
  EXPECT_THAT(Ask("GET", "/metrics"), AllOf(StartsWith("HTTP/1.1 200 OK\r\n"),
                                            HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
                                            HasSubstr("\n# TYPE octet_queue_depth gauge\n"), EndsWith("\n")));
}

TEST_F(MetricsServerTest, HeadHasTheLengthOfGetAndNoBody) {
  StartAll();
  const std::string answer = Ask("HEAD", "/healthz");
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Length: 3\r\n"), EndsWith("\r\n\r\n")));
}

TEST_F(MetricsServerTest, RefusesOtherMethods) {
  StartAll();
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS"}) {
    for (const char* path : {"/metrics", "/healthz", "/readyz"}) {
      EXPECT_THAT(Ask(method, path), StartsWith("HTTP/1.1 405 ")) << method << " " << path;
    }
  }
}

TEST_F(MetricsServerTest, KnowsNoOtherPathAndNoFiles) {
  StartAll();
  for (const char* path : {"/", "/metricsx", "/metrics/x", "/xmetrics", "/x/metrics", "/README.md", "/../etc/passwd",
                           "/%2e%2e/etc/passwd", "/cgi-bin/x"}) {
    EXPECT_THAT(Ask("GET", path), StartsWith("HTTP/1.1 404 ")) << path;
  }
}

TEST_F(MetricsServerTest, ReadinessFollowsTheServer) {
  StartAll();
  EXPECT_THAT(Ask("GET", "/readyz"), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nready\n")));
  server_->SetServing(false);
  EXPECT_THAT(Ask("GET", "/readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Ask("GET", "/healthz"), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nok\n")));
}

TEST_F(MetricsServerTest, AMetricSaysWhatReadinessSays) {
  StartAll();
  EXPECT_THAT(Ask("GET", "/metrics"), HasSubstr("\noctet_ready 1\n"));
  server_->SetServing(false);
  EXPECT_THAT(Ask("GET", "/metrics"), HasSubstr("\noctet_ready 0\n"));
}

TEST_F(MetricsServerTest, BeforeThereIsAServerItIsHealthyAndLoading) {
  StartAll();
  http_->Unwatch();
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Ask("GET", "/readyz"), AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("\r\n\r\nloading\n")));
  EXPECT_THAT(Ask("GET", "/metrics"), HasSubstr("\noctet_ready 0\n"));
}

TEST_F(MetricsServerTest, AStuckWorkerIsNeitherHealthyNorReadyAndSaysWhy) {
  pipeline_options_.busy_limit = absl::Milliseconds(20);
  StartAll();
  serving::Answers answers;
  serving::Request request;
  request.texts = {"Gated"};
  pipeline_->Submit(std::move(request), answers.Next());
  gate_.WaitForArrivals(1);
  WaitUntil([&] { return !pipeline_->Health().live; });
  EXPECT_THAT(Ask("GET", "/healthz"),
              AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("\r\n\r\ncompute worker: busy for ")));
  EXPECT_THAT(Ask("GET", "/readyz"), StartsWith("HTTP/1.1 503 "));
  gate_.Open();
  WaitUntil([&] { return pipeline_->Health().live; });
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_TRUE(answers.Get(0).ok());
}

TEST_F(MetricsServerTest, AHeaderOfAMebibyteIsRefusedAndTheNextRequestAnswered) {
  StartAll();
  const std::string answer =
      Request(absl::StrCat("GET /metrics HTTP/1.1\r\nHost: x\r\nX-Long: ", std::string(1 << 20, 'a'), "\r\n\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr(" 200 ")));
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, ClosesAfterOneAnswerSoThatPipelinedRequestsAreNotServed) {
  StartAll();
  const std::string one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answer = Request(absl::StrCat(one, one, one));
  EXPECT_EQ(answer.find("HTTP/1.1 200", 1), std::string::npos) << answer;
}

TEST_F(MetricsServerTest, ASlowHeaderIsCutOffAndDoesNotStopOthers) {
  StartAll();
  Socket slow(AF_INET, http_->port());
  ASSERT_TRUE(slow.connected());
  slow.Send("GET /metrics HT");
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(slow.ReadAll(), Not(HasSubstr(" 200 ")));  // returns when the server has given up
}

TEST_F(MetricsServerTest, ListensOnAllInterfacesWithoutAHost) {
  StartAll(":0");
  EXPECT_THAT(Ask("GET", "/healthz"), StartsWith("HTTP/1.1 200 "));
}

// Whether IPv6 works is up to the system's civetweb; if it does not, the refusal must say so.
TEST_F(MetricsServerTest, ListensOnIpv6OrSaysWhyNot) {
  Start();
  auto http = MetricsServer::Create("[::1]:0", metrics_.get());
  if (!http.ok()) {
    EXPECT_EQ(http.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(http.status().message()), StartsWith("cannot bind [::1]:0: "));
    if (mg_check_feature(8) == 0) {
      EXPECT_THAT(std::string(http.status().message()), HasSubstr("without IPv6"));
    }
    return;
  }
  http_ = *std::move(http);
  EXPECT_THAT(Request("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", AF_INET6), StartsWith("HTTP/1.1 200 "));
}

TEST_F(MetricsServerTest, RefusesAnAddressInUseAndOneThatIsNone) {
  StartAll();
  for (const std::string& address : {absl::StrCat("127.0.0.1:", http_->port()), std::string("nonsense")}) {
    const auto second = MetricsServer::Create(address, metrics_.get());
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << address;
    EXPECT_THAT(std::string(second.status().message()), StartsWith(absl::StrCat("cannot bind ", address)));
  }
}

}  // namespace
}  // namespace octet::rpc
