// Files that are replaced: noticed however it is done, taken only when good, and told of once (reliability table L14).
#include "server/security/verified_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/server/security/test_certificates.h"

namespace octet::security {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Result = Reload::Result;
using Store = VerifiedFiles<std::string>;

// Two files that must agree; what is made of them is their content.
absl::StatusOr<std::string> Agree(const std::vector<std::string>& contents) {
  if (contents[0] != contents[1]) return absl::InvalidArgumentError("they differ");
  return contents[0];
}

class VerifiedFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("verified_" + std::to_string(getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& content) { WriteFile(folder_ / name, content); }

  std::unique_ptr<Store> Load(const fs::path& folder) {
    auto store = Store::Load({{"a", folder / "a"}, {"b", folder / "b"}}, Agree);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  fs::path folder_;
};

TEST_F(VerifiedFilesTest, TakesNewContentsAndCountsThem) {
  Write("a", "1");
  Write("b", "1");
  const auto store = Load(folder_);
  EXPECT_EQ(store->Current()->number, 1u);
  EXPECT_EQ(store->Refresh().result, Result::kUnchanged);
  Write("a", "2");
  Write("b", "2");
  const Reload reload = store->Refresh();
  EXPECT_EQ(reload.result, Result::kReloaded);
  EXPECT_TRUE(reload.is_news);
  EXPECT_EQ(store->Current()->number, 2u);
  EXPECT_EQ(store->Current()->value, "2");
  EXPECT_FALSE(store->Refresh().is_news);
}

TEST_F(VerifiedFilesTest, L14KeepsTheOldWhileTheNewIsBadAndSaysItOnce) {
  Write("a", "1");
  Write("b", "1");
  const auto store = Load(folder_);
  const auto held = store->Current();
  Write("b", "2");
  const Reload first = store->Refresh();
  EXPECT_EQ(first.result, Result::kRejected);
  EXPECT_TRUE(first.is_news);
  EXPECT_EQ(first.status.message(), "they differ");
  const Reload again = store->Refresh();
  EXPECT_EQ(again.result, Result::kRejected);
  EXPECT_FALSE(again.is_news);
  EXPECT_EQ(store->Current(), held);

  fs::remove(folder_ / "a");
  const Reload gone = store->Refresh();
  EXPECT_TRUE(gone.is_news);
  EXPECT_THAT(std::string(gone.status.message()), HasSubstr("a: cannot read the file"));
  EXPECT_EQ(store->Current(), held);

  Write("a", "1");
  Write("b", "1");
  const Reload restored = store->Refresh();
  EXPECT_EQ(restored.result, Result::kUnchanged);
  EXPECT_TRUE(restored.is_news);
  EXPECT_EQ(store->Current(), held);

  Write("a", "3");
  Write("b", "3");
  EXPECT_EQ(store->Refresh().result, Result::kReloaded);
}

// As Kubernetes replaces secrets: the files are links into a folder behind a link, and that link changes.
TEST_F(VerifiedFilesTest, NoticesTheSwapOfADirectoryLink) {
  for (const std::string version : {"1", "2"}) {
    fs::create_directories(folder_ / ("..v" + version));
    Write("..v" + version + "/a", version);
    Write("..v" + version + "/b", version);
  }
  fs::create_directory_symlink("..v1", folder_ / "..data");
  fs::create_symlink("..data/a", folder_ / "a");
  fs::create_symlink("..data/b", folder_ / "b");
  const auto store = Load(folder_);
  EXPECT_EQ(store->Current()->value, "1");
  fs::create_directory_symlink("..v2", folder_ / "..data.new");
  fs::rename(folder_ / "..data.new", folder_ / "..data");
  EXPECT_EQ(store->Refresh().result, Result::kReloaded);
  EXPECT_EQ(store->Current()->value, "2");
}

TEST_F(VerifiedFilesTest, RefusesWhatIsNoFileOrTooLarge) {
  Write("b", "1");
  const auto error = [&] {
    return std::string(Store::Load({{"a", folder_ / "a"}, {"b", folder_ / "b"}}, Agree).status().message());
  };
  EXPECT_THAT(error(), HasSubstr("a: cannot read the file: No such file"));
  fs::create_directory(folder_ / "a");
  EXPECT_EQ(error(), "a: not a regular file");
  fs::remove(folder_ / "a");
  Write("a", std::string((1 << 20) + 1, 'x'));
  EXPECT_EQ(error(), "a: above 1048576 bytes");
}

}  // namespace
}  // namespace octet::security
