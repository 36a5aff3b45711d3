// Input lines, output files and their continuation, log lines, progress: without a model.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/cli/embed_input.h"
#include "server/cli/embed_output.h"
#include "server/cli/log.h"
#include "server/cli/progress.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FreshPath(const std::string& name) {
  const std::string path = testing::TempDir() + "/cli_io_" + name;
  for (const char* suffix : {"", ".partial", ".state", ".state.new"}) std::filesystem::remove(path + suffix);
  return path;
}

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::vector<std::string> LinesOf(const std::string& bytes) {
  const std::string path = FreshPath("lines");
  std::ofstream(path, std::ios::binary) << bytes;
  const int fd = open(path.c_str(), O_RDONLY);
  LineReader reader(fd);
  std::vector<std::string> lines;
  std::string line;
  while (*reader.Next(&line)) lines.push_back(line);
  EXPECT_EQ(reader.bytes_read(), bytes.size());
  EXPECT_EQ(reader.num_lines(), lines.size());
  close(fd);
  return lines;
}

TEST(LineReaderTest, SplitsLinesWithAndWithoutAnEnd) {
  EXPECT_THAT(LinesOf(""), ElementsAre());
  EXPECT_THAT(LinesOf("a"), ElementsAre("a"));
  EXPECT_THAT(LinesOf("a\n\nb\r\nc"), ElementsAre("a", "", "b", "c"));
  const std::string large(1 << 20, 'x');  // above one read
  EXPECT_THAT(LinesOf(large + "\n" + large), ElementsAre(large, large));
}

TEST(ParseInputLineTest, TakesTextAndJson) {
  EXPECT_EQ(ParseInputLine("{\"a\"}", false, 7)->text, "{\"a\"}");
  EXPECT_EQ(ParseInputLine("x", false, 7)->id_json, "7");
  const auto with_id = ParseInputLine(R"({"id": "a\"b", "text": "hi\n"})", true, 7);
  ASSERT_TRUE(with_id.ok());
  EXPECT_EQ(with_id->id_json, R"("a\"b")");
  EXPECT_EQ(with_id->text, "hi\n");
  EXPECT_EQ(ParseInputLine(R"({"text": ""})", true, 9)->id_json, "9");
}

TEST(ParseInputLineTest, NamesTheLineOfWhatItRefuses) {
  for (const char* line :
       {"", "x", "[1]", "{}", R"({"text": 1})", R"({"text": "a", "id": 1.5})", R"({"text": "a", "id": {}})", "\xff"}) {
    const auto input = ParseInputLine(line, true, 12);
    ASSERT_FALSE(input.ok()) << line;
    EXPECT_THAT(std::string(input.status().message()), HasSubstr("line 12: ")) << line;
  }
}

OutputOptions Options(const std::string& path, OutputFormat format) {
  return {.path = path, .format = format, .dimensions = 2, .fingerprint = "same\n"};
}

class EmbedOutputTest : public testing::TestWithParam<OutputFormat> {
 protected:
  std::string Row(int i) const {
    const float values[] = {static_cast<float>(i), 0.5f};
    return FormatRow(GetParam(), std::to_string(i), values, 3);
  }
  // Any number that tells the rows apart.
  static uint64_t HashAfter(int i) { return 1000u + static_cast<uint64_t>(i); }
  // Writes rows [begin, end) one by one.
  void WriteRows(EmbedOutput* output, int begin, int end) {
    for (int i = begin; i < end; ++i) ASSERT_TRUE(output->Write(Row(i), 1, HashAfter(i)).ok());
  }
  std::string Whole(const std::string& name) {
    const std::string path = FreshPath(name);
    auto output = EmbedOutput::Open(Options(path, GetParam()));
    EXPECT_TRUE(output.ok());
    WriteRows(output->get(), 0, 5);
    EXPECT_TRUE((*output)->Finish().ok());
    return Contents(path);
  }
};

// A killed process leaves both files short by any number of bytes; a crash of the machine either one.
TEST_P(EmbedOutputTest, ContinuesAfterEveryPossibleCut) {
  const std::string whole = Whole("whole");
  const std::string path = FreshPath("cut");
  for (const std::string suffix : {".partial", ".state"}) {
    // What was there before the first row stays: the fingerprint gets its name when it is whole.
    const uint64_t least = suffix == ".state" ? Options(path, GetParam()).fingerprint.size() : 0;
    for (uint64_t cut = 0;; ++cut) {
      SCOPED_TRACE(testing::Message() << suffix << " cut by " << cut);
      std::filesystem::remove(path + ".partial");
      WriteRows(EmbedOutput::Open(Options(path, GetParam()))->get(), 0, 3);
      const uint64_t size = std::filesystem::file_size(path + suffix);
      if (cut > size - least) break;
      std::filesystem::resize_file(path + suffix, size - cut);
      auto output = EmbedOutput::Open(Options(path, GetParam()));
      ASSERT_TRUE(output.ok()) << output.status();
      EXPECT_FALSE(std::filesystem::exists(path)) << "half a result under the final name";
      const auto found = static_cast<int>((*output)->found().num_rows);
      EXPECT_LE(found, cut == 0 ? 3 : 2);
      EXPECT_GE(found, cut <= 1 ? 2 : 0);  // a byte costs one row at most
      if (found > 0) {
        EXPECT_EQ((*output)->found().input_hash, HashAfter(found - 1));
      }
      WriteRows(output->get(), found, 5);
      ASSERT_TRUE((*output)->Finish().ok());
      EXPECT_EQ(Contents(path), whole);
      EXPECT_FALSE(std::filesystem::exists(path + ".state"));
      std::filesystem::remove(path);
    }
  }
}

TEST_P(EmbedOutputTest, RefusesOtherPeoplesFiles) {
  const std::string path = FreshPath("other");
  WriteRows(EmbedOutput::Open(Options(path, GetParam()))->get(), 0, 1);
  OutputOptions other = Options(path, GetParam());
  other.fingerprint = "other\n";
  EXPECT_EQ(EmbedOutput::Open(other).status().code(), absl::StatusCode::kFailedPrecondition);
  other.overwrite = true;
  {
    auto output = EmbedOutput::Open(other);
    ASSERT_TRUE(output.ok());
    EXPECT_EQ((*output)->found().num_rows, 0u);
    EXPECT_EQ(EmbedOutput::Open(other).status().code(), absl::StatusCode::kUnavailable);  // in use
    ASSERT_TRUE((*output)->Finish().ok());
  }
  other.overwrite = false;
  EXPECT_THAT(std::string(EmbedOutput::Open(other).status().message()), HasSubstr("--overwrite"));
}

INSTANTIATE_TEST_SUITE_P(Formats, EmbedOutputTest, testing::Values(OutputFormat::kJsonLines, OutputFormat::kNpy));

TEST(EmbedOutputTest, JsonDigitsReadBackToTheSameBits) {
  const std::vector<float> values = {0.1f, -1.0f / 3, 1e-38f, 3.4e38f, 0.0f, -0.0f};
  const auto row = nlohmann::json::parse(FormatRow(OutputFormat::kJsonLines, "\"a\"", values, 4));
  EXPECT_EQ(row["id"], "a");
  EXPECT_EQ(row["tokens"], 4);
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(row["embedding"][i].get<float>(), values[i]);
}

TEST(EmbedOutputTest, NpyHeaderIsPaddedToItsSize) {
  const std::string header = NpyHeader(18446744073709551615u, 1 << 20);
  EXPECT_EQ(header.size(), kNpyHeaderBytes);
  EXPECT_EQ(header.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(header[8], 118);
  EXPECT_EQ(header.back(), '\n');
  EXPECT_THAT(header, HasSubstr("'descr': '<f4', 'fortran_order': False, 'shape': (18446744073709551615,"));
}

std::string Format(bool json, const std::string& payload) {
  spdlog::memory_buf_t line;
  MakeLogFormatter(json)->format(spdlog::details::log_msg("octet", spdlog::level::warn, payload), line);
  return std::string(line.data(), line.size());
}

TEST(LogTest, OneEventIsOneLine) {
  const std::string text = Format(false, "a\nb\rc");
  EXPECT_THAT(text, HasSubstr(" warn a b c\n"));
  const auto json = nlohmann::json::parse(Format(true, "a\n\"b\"\xff"));
  EXPECT_EQ(json["level"], "warn");
  EXPECT_EQ(json["message"], "a\n\"b\"\xEF\xBF\xBD");
  EXPECT_TRUE(json.contains("time"));
}

// L10: a reader that has stopped, and one that has gone, hold up nobody; what is lost is counted.
TEST(LogTest, StalledAndClosedStderrLoseLinesNotTime) {
  signal(SIGPIPE, SIG_IGN);
  const int saved = dup(STDERR_FILENO);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  dup2(ends[1], STDERR_FILENO);
  StartLogging("info", false);
  const std::string line(1000, 'x');
  for (int i = 0; i < 20000; ++i) spdlog::info("{}", line);  // 20 MB into a pipe of 64 kB
  while (DroppedLogLines() == 0) std::this_thread::yield();
  EXPECT_GT(DroppedLogLines(), 0u);
  close(ends[0]);
  spdlog::info("nobody reads this");
  StopLogging();
  dup2(saved, STDERR_FILENO);
  close(ends[1]);
  close(saved);
}

class ManualClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now; }
  MonotonicTime now;
};

TEST(ProgressTest, RedrawsABarOnATerminalAndWritesLinesElsewhere) {
  for (const bool is_terminal : {true, false}) {
    const std::string path = FreshPath("progress");
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    ManualClock clock;
    {
      Progress progress(fd, {.is_terminal = is_terminal}, &clock);
      progress.Update("loading", 1, 4, "");  // too early
      clock.now += absl::Seconds(5);
      progress.Update("loading", 2, 4, "2 tensors");
      progress.Update("loading", 3, 4, "");  // too soon after
    }
    close(fd);
    if (is_terminal) {
      EXPECT_EQ(Contents(path), "\r\x1b[Kloading [############............]  50%, 0:05 left 2 tensors\r\x1b[K");
    } else {
      EXPECT_EQ(Contents(path), "loading  50%, 0:05 left 2 tensors\n");
    }
  }
}

}  // namespace
}  // namespace octet::cli
