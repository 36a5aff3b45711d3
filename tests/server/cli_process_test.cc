// The built program as a process: exit codes and lines of refused starts (C1, C2, C4, C6, F rows), embed and
// its continuation after SIGKILL, ready lines, signals (L1, L2). Waits only for events: output and exits.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace octet::cli {
namespace {

using ::testing::HasSubstr;

// A running octet with stdout and stderr on pipes.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), OCTET_BINARY);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) std::abort();
    err_path_ = testing::TempDir() + "/cli_stderr_" + std::to_string(getpid()) + "_" + std::to_string(++count_);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(open(err_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
      dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(out[1]);
    out_fd_ = out[0];
  }
  ~Process() {
    if (pid_ > 0) Kill(SIGKILL), Wait();
    close(out_fd_);
  }
  void Kill(int signal_number) { kill(pid_, signal_number); }
  // Exit code, or minus the signal.
  int Wait() {
    for (std::string line = ReadLine(); !line.empty(); line = ReadLine()) out_ += line;
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // The next line of stdout with its end; "" when it is closed.
  std::string ReadLine() {
    std::string line;
    char c;
    while (read(out_fd_, &c, 1) == 1) {
      line.push_back(c);
      if (c == '\n') break;
    }
    return line;
  }
  std::string out() const { return out_; }
  std::string err() const {
    std::ostringstream text;
    text << std::ifstream(err_path_).rdbuf();
    return text.str();
  }

 private:
  static inline int count_ = 0;
  pid_t pid_ = -1;
  int out_fd_ = -1;
  std::string out_, err_path_;
};

const std::string kModel = std::string("m=") + OCTET_DEFAULT_MODEL;

struct Refused {
  const char* name;
  std::vector<std::string> arguments;
  int exit_code;
  const char* line;
};
class RefusedStartTest : public testing::TestWithParam<Refused> {};

TEST_P(RefusedStartTest, HasItsExitCodeAndOneLine) {
  Process process(GetParam().arguments);
  EXPECT_EQ(process.Wait(), GetParam().exit_code);
  const std::string err = process.err();
  EXPECT_THAT(err, HasSubstr(GetParam().line));
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  EXPECT_EQ(process.out(), "");
}

INSTANTIATE_TEST_SUITE_P(
    Rows, RefusedStartTest,
    testing::Values(
        Refused{"C1Flag", {"serve", "--treads", "3"}, 2, "nearest to --treads is --threads"},
        Refused{"C1Command", {"srve"}, 2, "nearest to srve is serve"},
        Refused{"C1Value", {"serve", "--model", kModel, "--threads", "4x"}, 2, "--threads: want a whole number"},
        Refused{"C6", {"serve", "--model", kModel, "--grpc-address", "127.0.0.1:9464"}, 2, "port 9464"},
        Refused{"NoModel", {"serve"}, 2, "--model NAME=DIR"},
        Refused{"ModelMissing", {"serve", "--model", "m=/nonexistent"}, 3, "model \"m\""},
        Refused{"ModelEmptyDirectory", {"serve", "--model", "m=/proc/self/fdinfo"}, 3, "model \"m\""},
        Refused{"EmbedModelMissing", {"embed", "--model", "/nonexistent"}, 3, "model refused"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(CheckConfigTest, SaysBudgetAndOpensNothing) {
  Process process({"serve", "--check-config", "--model", kModel});
  EXPECT_EQ(process.Wait(), 0) << process.err();
  EXPECT_THAT(process.out(), HasSubstr("configuration is good; memory: weights "));
}

TEST(CheckConfigTest, C2NamesBothNumbers) {
  const std::string path = testing::TempDir() + "/c2.yaml";
  std::ofstream(path) << "limits: {max_batch_tokens: 64}\n";
  Process process({"serve", "--check-config", "--config", path, "--model", kModel});
  EXPECT_EQ(process.Wait(), 2);
  EXPECT_THAT(process.err(), HasSubstr("limits.max_batch_tokens: 64, but model \"m\" takes texts of 256"));
}

TEST(HelpTest, EveryCommandSaysItsExitCodesOnce) {
  for (const std::string command : {"serve", "embed", "bench", "evaluate", "version", ""}) {
    Process process(command.empty() ? std::vector<std::string>{"--help"} : std::vector<std::string>{command, "--help"});
    EXPECT_EQ(process.Wait(), 0);
    const size_t at = process.out().find("Exit codes:");
    EXPECT_NE(at, std::string::npos) << command;
    EXPECT_EQ(process.out().find("Exit codes:", at + 1), std::string::npos) << command;
  }
}

TEST(VersionTest, IsJson) {
  Process process({"version", "--json"});
  EXPECT_EQ(process.Wait(), 0);
  const auto object = nlohmann::json::parse(process.out());
  for (const char* key : {"version", "commit", "isa", "onednn", "grpc"}) EXPECT_TRUE(object.contains(key)) << key;
}

std::string WriteTexts(int count) {
  const std::string path = testing::TempDir() + "/cli_texts.txt";
  std::ofstream file(path);
  for (int i = 0; i < count; ++i) {
    file << "text " << i;
    for (int word = 0; word < i % 7; ++word) file << " word" << word;
    file << "\n";
  }
  return path;
}

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

class EmbedTest : public testing::TestWithParam<const char*> {};

TEST_P(EmbedTest, KilledRunContinuesToTheSameBytes) {
  const std::string texts = WriteTexts(6000);  // three windows
  const std::string whole = testing::TempDir() + "/cli_whole", cut = testing::TempDir() + "/cli_cut";
  for (const std::string& path : {whole, cut}) {
    for (const char* suffix : {"", ".partial", ".state"}) std::filesystem::remove(path + suffix);
  }
  Process uninterrupted({"embed", "--model", OCTET_DEFAULT_MODEL, texts, GetParam(), whole});
  ASSERT_EQ(uninterrupted.Wait(), 0) << uninterrupted.err();
  {
    Process killed({"embed", "--model", OCTET_DEFAULT_MODEL, texts, GetParam(), cut});
    // Until the first window is vouched for; the process cannot end before it is.
    while (!std::filesystem::exists(cut) && Contents(cut + ".state").find("\n2048 ") == std::string::npos) {
      sched_yield();
    }
    killed.Kill(SIGKILL);
    ASSERT_EQ(killed.Wait(), -SIGKILL) << "ended before it could be killed; give it more texts";
  }
  ASSERT_FALSE(std::filesystem::exists(cut));
  Process continued({"embed", "--model", OCTET_DEFAULT_MODEL, texts, GetParam(), cut});
  ASSERT_EQ(continued.Wait(), 0) << continued.err();
  EXPECT_THAT(continued.err(), HasSubstr("continued after "));
  EXPECT_TRUE(Contents(cut) == Contents(whole));
  EXPECT_FALSE(std::filesystem::exists(cut + ".partial"));
}

TEST_P(EmbedTest, IsNotContinuedWithOtherTexts) {
  const std::string texts = testing::TempDir() + "/cli_changed.txt", out = testing::TempDir() + "/cli_changed";
  for (const char* suffix : {"", ".partial", ".state"}) std::filesystem::remove(out + suffix);
  const auto run = [&](const std::string& lines, std::vector<std::string> more = {}) {
    std::ofstream(texts, std::ios::trunc) << lines;
    std::vector<std::string> arguments = {"embed", "--no-truncate", "--model", OCTET_DEFAULT_MODEL,
                                          texts,   GetParam(),      out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  std::string too_long;
  for (int word = 0; word < 300; ++word) too_long += "word ";
  Process failed(run("one\ntwo\n" + too_long + "\n"));
  EXPECT_EQ(failed.Wait(), 1);
  EXPECT_THAT(failed.err(), HasSubstr("text with id 3: "));
  for (const char* other : {"one\nTWO\nthree\n", "one\n"}) {
    Process refused(run(other));
    EXPECT_EQ(refused.Wait(), 1) << other;
    EXPECT_THAT(refused.err(), HasSubstr("has 2 rows, made from other lines"));
  }
  // With the bad line repaired it goes on; the lines before it are the same.
  Process repaired(run("one\ntwo\nthree\n"));
  EXPECT_EQ(repaired.Wait(), 0) << repaired.err();
  EXPECT_THAT(repaired.err(), HasSubstr("continued after 2 rows"));
  Process again(run("one\n", {"--overwrite"}));
  EXPECT_EQ(again.Wait(), 0) << again.err();
}

INSTANTIATE_TEST_SUITE_P(Formats, EmbedTest, testing::Values("--output", "--npy"));

const std::vector<std::string> kServe = {"serve",       "--model",           kModel,       "--grpc-address",
                                         "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"};

std::string WaitForReady(Process* process) {
  std::string lines, line;
  while (lines.find("grpcurl") == std::string::npos && !(line = process->ReadLine()).empty()) lines += line;
  return lines;
}

TEST(ServeTest, SaysWhatItServesAndEndsOnSigterm) {
  Process process(kServe);
  const std::string lines = WaitForReady(&process);
  for (const char* part : {"gRPC", "127.0.0.1:", "metrics", "models          m", "int8", "instruction set"}) {
    EXPECT_THAT(lines, HasSubstr(part)) << process.err();
  }
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 0) << process.err();
}

TEST(ServeTest, C4PortInUse) {
  Process first(kServe);
  const std::string lines = WaitForReady(&first);
  const size_t begin = lines.find("127.0.0.1:");
  ASSERT_NE(begin, std::string::npos) << first.err();
  const std::string address = lines.substr(begin, lines.find_first_of(" \n", begin) - begin);
  Process second({"serve", "--model", kModel, "--grpc-address", address, "--metrics-address", ""});
  EXPECT_EQ(second.Wait(), 2);
  EXPECT_THAT(second.err(), HasSubstr("cannot bind"));
}

TEST(ServeTest, SecondSignalEndsALameDuckAtOnce) {
  setenv("OCTET_SHUTDOWN_LAME_DUCK_MS", "10m", 1);
  Process process(kServe);
  unsetenv("OCTET_SHUTDOWN_LAME_DUCK_MS");
  WaitForReady(&process);
  process.Kill(SIGTERM);
  // Two of the same signal may merge into one before the first is taken; two different ones do not.
  process.Kill(SIGINT);
  EXPECT_EQ(process.Wait(), 1);
}

TEST(ServeTest, L2SigtermWhileLoadingEndsWithZero) {
  Process process(kServe);
  // The log's first line comes once signals are watched and before models are loaded.
  while (process.err().find("memory: ") == std::string::npos) sched_yield();
  process.Kill(SIGTERM);
  EXPECT_EQ(process.Wait(), 0);
}

}  // namespace
}  // namespace octet::cli
