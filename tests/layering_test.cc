// Reads every #include of the tree: a folder may include itself and the folders listed for it, nothing
// else. An upward edge, or one that nobody decided on, fails.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::set<std::string>> kAllowed = {
    {"base", {}},
    {"proto", {}},
    {"kernels", {"base"}},
    {"text", {"base"}},
    {"model", {"kernels", "text", "base"}},
    {"serving", {"model", "kernels", "text", "base"}},
    {"server", {"serving", "model", "kernels", "text", "proto", "base"}},
};

// First folder of a quoted include, or "".
std::string IncludedFolder(const std::string& line) {
  const std::string begin = "#include \"";
  if (line.compare(0, begin.size(), begin) != 0) return "";
  const size_t slash = line.find('/', begin.size());
  return slash == std::string::npos ? "" : line.substr(begin.size(), slash - begin.size());
}

TEST(LayeringTest, IncludesOnlyPointDown) {
  size_t num_edges = 0;
  for (const auto& [folder, allowed] : kAllowed) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(OCTET_SOURCE_DIR) / folder)) {
      const std::string extension = entry.path().extension();
      if (extension != ".h" && extension != ".cc") continue;
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) {
        // gRPC and protobuf would also tie the engine to one protocol.
        if (folder != "server" && folder != "proto") {
          EXPECT_EQ(line.find("#include <grpc"), std::string::npos) << entry.path() << ": " << line;
          EXPECT_EQ(line.find("#include <google/protobuf"), std::string::npos) << entry.path();
        }
        const std::string included = IncludedFolder(line);
        if (included == folder || (kAllowed.count(included) == 0 && included != "tests")) continue;
        ++num_edges;
        EXPECT_EQ(allowed.count(included), 1u) << entry.path() << ": " << line;
      }
    }
  }
  EXPECT_GT(num_edges, 50u);  // the scan found the tree
}

}  // namespace
