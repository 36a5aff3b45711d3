// The data files of `octet evaluate`: formats, columns, labels, and one clear line for everything that is wrong.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/cli/evaluate/data_file.h"
#include "server/cli/evaluate/label_reader.h"
#include "server/cli/evaluate/record_scanner.h"
#include "server/cli/evaluate/table_reader.h"

namespace octet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

DataFile FileOf(const std::string& content) { return {.path = "data", .content = content, .digest = {}}; }

TableOptions PairColumns() {
  TableOptions options;
  options.wanted = {{.names = {"sentence1", "text1"}}, {.names = {"sentence2", "text2"}}, {.names = {"score"}}};
  options.headless_fields = 3;
  return options;
}

std::vector<std::vector<std::string>> FieldsOf(const std::string& content, const TableOptions& options) {
  const DataFile file = FileOf(content);
  const auto records = ReadTable(file, options);
  EXPECT_TRUE(records.ok()) << records.status();
  std::vector<std::vector<std::string>> fields;
  if (!records.ok()) return fields;
  for (const Record& record : *records) fields.push_back(record.fields);
  return fields;
}

std::string ErrorOf(const std::string& content, const TableOptions& options) {
  const DataFile file = FileOf(content);
  const auto records = ReadTable(file, options);
  EXPECT_FALSE(records.ok());
  EXPECT_EQ(records.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(records.status().message());
}

TEST(TableReaderTest, FindsUsualNamesInAnyOrder) {
  EXPECT_THAT(FieldsOf("id\tscore\ttext2\ttext1\n7\t4.5\tb\ta\n", PairColumns()),
              ElementsAre(ElementsAre("a", "b", "4.5")));
}

TEST(TableReaderTest, TakesAFileWithoutAHeader) {
  EXPECT_THAT(FieldsOf("a,b,1\nc,d,2\n", PairColumns()),
              ElementsAre(ElementsAre("a", "b", "1"), ElementsAre("c", "d", "2")));
}

TEST(TableReaderTest, QuotesArePlainBetweenTabsAndRfc4180BetweenCommas) {
  EXPECT_THAT(FieldsOf("\"a\t\"b\"\t1\n", PairColumns()), ElementsAre(ElementsAre("\"a", "\"b\"", "1")));
  EXPECT_THAT(FieldsOf("\"a, \"\"x\"\"\nand more\",b,1\r\nc,d,2", PairColumns()),
              ElementsAre(ElementsAre("a, \"x\"\nand more", "b", "1"), ElementsAre("c", "d", "2")));
}

TEST(TableReaderTest, TakesColumnsByNameAndByPosition) {
  TableOptions options = PairColumns();
  options.columns = {"y", "x", "gold"};
  EXPECT_THAT(FieldsOf("x\ty\tgold\na\tb\t1\n", options), ElementsAre(ElementsAre("b", "a", "1")));
  options.columns = {"2", "3", "1"};
  EXPECT_THAT(FieldsOf("1\ta\tb\tmore\n", options), ElementsAre(ElementsAre("a", "b", "1")));
}

TEST(TableReaderTest, ReadsJsonLines) {
  EXPECT_THAT(FieldsOf("{\"text1\": \"a\", \"text2\": \"b\", \"score\": 2.5}\n\n", PairColumns()),
              ElementsAre(ElementsAre("a", "b", "2.5")));
  TableOptions labels;
  labels.wanted = {{.names = {"text"}}, {.names = {"label", "labels"}}};
  EXPECT_THAT(FieldsOf("{\"text\": \"a\", \"labels\": [3, \"joy\"]}\n{\"text\": \"b\", \"labels\": []}\n", labels),
              ElementsAre(ElementsAre("a", "3,joy"), ElementsAre("b", "")));
}

TEST(TableReaderTest, FiltersAndLimits) {
  TableOptions options = PairColumns();
  options.where = "split=test";
  const std::string content = "split\ttext1\ttext2\tscore\ntrain\ta\tb\t1\ntest\tc\td\t2\ntest\te\tf\t3\n";
  EXPECT_THAT(FieldsOf(content, options), ElementsAre(ElementsAre("c", "d", "2"), ElementsAre("e", "f", "3")));
  options.limit = 1;
  EXPECT_THAT(FieldsOf(content, options), ElementsAre(ElementsAre("c", "d", "2")));
  options.where = "split=other";
  EXPECT_EQ(ErrorOf(content, options), "data: no records with split=other");
  options.where = "3=d";  // by position, in a file with a header too
  options.columns = {"text1", "text2", "score"};
  EXPECT_THAT(FieldsOf(content, options), ElementsAre(ElementsAre("c", "d", "2")));
}

TEST(TableReaderTest, NamesTheLineOfWhatIsWrong) {
  TableOptions options = PairColumns();
  EXPECT_EQ(ErrorOf("text1\ttext2\tscore\na\tb\t1\na\tb\n", options), "data:3: 2 columns, the first line has 3");
  EXPECT_EQ(ErrorOf("a,b,1\n\"x\ny\",b,2\na,b\n", options), "data:4: 2 columns, the first line has 3");
  EXPECT_EQ(ErrorOf("a,b,1\nc,\"d,2\n", options), "data:2: a quoted field that begins in this record is not closed");
  EXPECT_THAT(ErrorOf("a,\"b\"c,1\n", options), HasSubstr("data:1: text after a closing quote"));
  EXPECT_THAT(ErrorOf("x\ty\n1\t2\n", options),
              HasSubstr("data:1: no columns \"sentence1\", \"sentence2\", \"score\""));
  EXPECT_EQ(ErrorOf("{\"text1\": \"a\", \"score\": 1}\n", options),
            "data:1: no \"sentence2\" among the keys \"score\", \"text1\"");
  TableOptions one;
  one.wanted = {{.names = {"text1"}}};
  EXPECT_EQ(ErrorOf("{\"text1\": \"a\"}\n{\n", one), "data:2: not a JSON object");
  EXPECT_THAT(ErrorOf("{\"text1\": null}\n", one), HasSubstr("data:1: \"text1\": null, want a string"));
  options.columns = {"text1", "text2"};
  EXPECT_EQ(ErrorOf("text1\ttext2\tscore\n", options), "--columns: 2 given, this task reads 3");
  options.columns = {"text1", "text2", "gold"};
  EXPECT_EQ(ErrorOf("text1\ttext2\tscore\n", options),
            "data:1: no column \"gold\"; the header has \"text1\", \"text2\", \"score\"");
  options.columns = {"1", "2", "9"};
  EXPECT_EQ(ErrorOf("a\tb\t1\n", options), "data:1: no column \"9\"; the line has 3 columns");
  options = PairColumns();
  options.where = "split";
  EXPECT_EQ(ErrorOf("a,b,1\n", options), "--where: \"split\": want COLUMN=VALUE");
  EXPECT_EQ(ErrorOf("text1\ttext2\tscore\n", PairColumns()), "data: no records");
}

TEST(LabelReaderTest, TakesNamesAndIndices) {
  const DataFile file = FileOf("joy\nanger\r\n1");
  const auto names = ReadLabelNames(file);
  ASSERT_TRUE(names.ok()) << names.status();
  EXPECT_EQ(*ParseLabels("anger", *names), LabelSet{1});
  EXPECT_EQ(*ParseLabels("anger, joy", *names), LabelSet({0, 1}));
  EXPECT_EQ(*ParseLabels("0", *names), LabelSet{0});
  EXPECT_EQ(*ParseLabels("1", *names), LabelSet{2});  // a name comes before an index
  EXPECT_EQ(*ParseLabels(" ", *names), LabelSet{});
  EXPECT_EQ(*ParseLabels("27,4", {}), LabelSet({4, 27}));
}

TEST(LabelReaderTest, RefusesWhatIsNoLabel) {
  const DataFile file = FileOf("joy\nanger\n");
  const auto names = ReadLabelNames(file);
  ASSERT_TRUE(names.ok());
  for (const char* field : {"fear", "2", "-1", "joy,,anger", "1.0"}) {
    EXPECT_THAT(ParseLabels(field, *names).status().message(), HasSubstr("want one of the 2 names")) << field;
  }
  EXPECT_THAT(ParseLabels("joy", {}).status().message(), HasSubstr("names need --labels FILE"));
  EXPECT_THAT(ParseLabels("65536", {}).status().message(), HasSubstr("an index below 65536"));
  EXPECT_THAT(ParseLabels("joy,0", *names).status().message(), HasSubstr("one is there twice"));
  EXPECT_EQ(ReadLabelNames(FileOf("a\n\nb\n")).status().message(), "data:2: empty; want one label name a line");
  EXPECT_EQ(ReadLabelNames(FileOf("a\nb\na\n")).status().message(), "data:3: label \"a\": there already");
  EXPECT_EQ(ReadLabelNames(FileOf("a,b\n")).status().message(), "data:1: label \"a,b\": a name may not have a comma");
}

class DataFileTest : public testing::Test {
 protected:
  std::string Write(const std::string& content) {
    const std::string path =
        testing::TempDir() + "/evaluate_data_" + std::to_string(getpid()) + "_" + std::to_string(++count_);
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }
  int count_ = 0;
};

TEST_F(DataFileTest, DigestsTheBytesOnTheDisk) {
  const std::string path = Write(
      "\xEF\xBB\xBF"
      "abc");
  const auto file = ReadDataFile(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->content, "abc");
  EXPECT_EQ(file->digest.num_bytes, 6u);
  EXPECT_EQ(file->digest.name, std::filesystem::path(path).filename().string());
  // sha256sum of the six bytes.
  EXPECT_EQ(file->digest.sha256, "1c28dc3f1f804a1ad9c9b4b4cf5e2658d16ad4ed08e3020d04a8d2865018947c");
}

TEST_F(DataFileTest, RefusesWhatCannotBeRead) {
  EXPECT_EQ(ReadDataFile("/nonexistent/file").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(ReadDataFile(testing::TempDir()).status().message(), HasSubstr("not a regular file"));
  EXPECT_THAT(ReadDataFile(Write("")).status().message(), HasSubstr(": empty"));
  EXPECT_THAT(ReadDataFile(Write("a\nb\nc\xFF\n")).status().message(), HasSubstr(":3: not valid UTF-8"));
}

}  // namespace
}  // namespace octet::cli
