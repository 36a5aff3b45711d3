// The wire scan by itself, on bytes that no protobuf library writes. Whether it agrees with protobuf's parser is
// for request_codec_test.cc.
#include "server/rpc/wire_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "serving/request.h"
#include "tests/server/bytes.h"

namespace octet::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kVarint = 0, kFixed64 = 1, kBytes = 2, kStartGroup = 3, kEndGroup = 4, kFixed32 = 5;
constexpr WireField kFields[] = {{1, "name"}, {2, "texts", /*is_text=*/true, /*is_repeated=*/true}};
constexpr char kNotValid[] = "request: not a valid Thing";

// `value` in `num_bytes` bytes, redundant ones included; 0: in as few as there can be.
std::string Varint(uint64_t value, size_t num_bytes = 0) {
  std::string out;
  do {
    out.push_back(static_cast<char>((value & 0x7F) | 0x80));
    value >>= 7;
  } while (value != 0 || out.size() < num_bytes);
  out.back() = static_cast<char>(out.back() & 0x7F);
  return out;
}

std::string Tag(uint32_t number, uint32_t type, size_t num_bytes = 0) {
  return Varint(uint64_t{number} << 3 | type, num_bytes);
}

std::string Bytes(uint32_t number, const std::string& payload) {
  return Tag(number, kBytes) + Varint(payload.size()) + payload;
}

std::string Group(uint32_t number, const std::string& content) {
  return Tag(number, kStartGroup) + content + Tag(number, kEndGroup);
}

absl::Status Scan(const std::vector<absl::string_view>& pieces, WireLimits limits = {3, 100}) {
  return ScanMessage(pieces, "Thing", kFields, limits);
}

// The refusal of `bytes`, "" for none.
std::string Refusal(const std::string& bytes, WireLimits limits = {3, 100}) {
  const absl::Status status = Scan({bytes}, limits);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message().data(), status.message().size());
}

struct Row {
  std::string name, bytes;
  bool well_formed;
};

std::vector<Row> FormRows() {
  const std::string value(1, '\0');
  std::vector<Row> rows = {
      {"nothing", "", true},
      {"one of each type",
       Tag(9, kVarint) + value + Tag(9, kFixed64) + "12345678" + Bytes(9, "x") + Group(9, "") + Tag(9, kFixed32) +
           "1234",
       true},
      {"largest number", Tag((1u << 29) - 1, kVarint) + value, true},
      {"tag above 32 bits", Varint(uint64_t{1} << 32 | (9 << 3)) + value, false},
      {"tag of a text above 32 bits", Varint(uint64_t{1} << 35 | (2 << 3) | kBytes) + value, false},
      {"tag of 10 bytes", Tag(9, kVarint, 10) + value, true},
      {"tag of 11 bytes", Tag(9, kVarint, 11) + value, false},
      {"tag without end", "\xff\xff\xff", false},
      {"value of 10 bytes", Tag(9, kVarint) + Varint(1, 10), true},
      {"value of 11 bytes", Tag(9, kVarint) + Varint(1, 11), false},
      {"value of a million bytes", Tag(9, kVarint) + std::string(1'000'000, '\x80'), false},
      {"value missing", Tag(9, kVarint), false},
      {"length of 10 bytes", Tag(9, kBytes) + Varint(1, 10) + "x", true},
      {"length of 11 bytes", Tag(9, kBytes) + Varint(1, 11) + "x", false},
      {"length missing", Tag(9, kBytes), false},
      {"length one too large", Tag(9, kBytes) + Varint(2) + "x", false},
      {"length as large as can be", Tag(9, kBytes) + Varint(UINT64_MAX) + "x", false},
      {"length negative as int32", Tag(9, kBytes) + Varint(0x8000'0000) + "x", false},
      {"fixed64 short", Tag(9, kFixed64) + "1234567", false},
      {"fixed32 short", Tag(9, kFixed32) + "123", false},
      {"group not closed", Tag(9, kStartGroup), false},
      {"group not opened", Tag(9, kEndGroup), false},
      {"group closed twice", Group(9, "") + Tag(9, kEndGroup), false},
      {"group closed as another", Tag(9, kStartGroup) + Tag(10, kEndGroup), false},
      {"groups closed in the wrong order", Tag(9, kStartGroup) + Group(10, Tag(9, kEndGroup)), false},
      {"group of the same number inside", Group(9, Group(9, Group(9, ""))), true},
      {"groups at the most depth",
       Repeat(Tag(9, kStartGroup), kMaxGroupDepth) + Repeat(Tag(9, kEndGroup), kMaxGroupDepth), true},
      {"groups one deeper",
       Repeat(Tag(9, kStartGroup), kMaxGroupDepth + 1) + Repeat(Tag(9, kEndGroup), kMaxGroupDepth + 1), false},
      {"malformed inside a group", Group(9, Tag(9, 6)), false},
  };
  for (uint32_t type = 0; type < 8; ++type) {
    rows.push_back({"number 0 of type " + std::to_string(type), Tag(0, type) + value, false});
  }
  for (const uint32_t type : {6u, 7u}) {
    for (const uint32_t number : {1u, 2u, 9u}) {
      rows.push_back({"type " + std::to_string(type), Tag(number, type) + value, false});
    }
  }
  return rows;
}

TEST(WireScanTest, TakesWellFormedMessagesOnly) {
  for (const Row& row : FormRows()) {
    SCOPED_TRACE(row.name);
    const std::string text = Bytes(2, "text");
    for (const std::string& bytes : {row.bytes, text + row.bytes}) {
      EXPECT_EQ(Refusal(bytes), row.well_formed ? "" : kNotValid);
      EXPECT_EQ(IsWellFormed(bytes), row.well_formed);
    }
    if (row.well_formed) {
      EXPECT_EQ(Refusal(row.bytes + text, {0, 100}), "texts: 1 items, limit 0");
    }
  }
}

TEST(WireScanTest, PaddedTagsAndLengthsOfATextCountAsOne) {
  for (size_t num_bytes = 1; num_bytes <= 10; ++num_bytes) {
    const std::string text = Tag(2, kBytes, num_bytes) + Varint(2, num_bytes) + "ab";
    EXPECT_EQ(Refusal(Repeat(text, 3)), "") << num_bytes;
    EXPECT_EQ(Refusal(Repeat(text, 4)), "texts: 4 items, limit 3") << num_bytes;
    EXPECT_EQ(Refusal(text, {3, 1}), "texts[0]: 2 bytes, limit 1") << num_bytes;
  }
}

TEST(WireScanTest, AKnownFieldOfAnotherTypeIsAnUnknownOne) {
  for (const std::string& field : {Tag(2, kVarint) + Varint(7), Tag(2, kFixed64) + "12345678",
                                   Tag(2, kFixed32) + "1234", Group(2, Bytes(9, "x"))}) {
    EXPECT_EQ(Refusal(field, {0, 0}), "");
    EXPECT_EQ(Refusal(Repeat(field, kMaxOtherFields + 1), {0, 0}), kNotValid);
  }
}

TEST(WireScanTest, CountsFieldsBesideTexts) {
  struct {
    std::string field;
    size_t counts;
  } const rows[] = {{Tag(9, kVarint) + Varint(UINT64_MAX), 1},
                    {Tag(9, kFixed64) + "12345678", 1},
                    {Bytes(9, ""), 1},
                    {Tag(9, kFixed32) + "1234", 1},
                    {Bytes(1, "a known one"), 1},
                    {Group(9, ""), 2},
                    {Group(9, Bytes(2, "no text") + Bytes(9, "")), 4}};
  static_assert(kMaxOtherFields % 4 == 0, "rows fill it exactly");
  const std::string texts = Repeat(Bytes(2, "text"), 3);
  for (const auto& row : rows) {
    const std::string most = texts + Repeat(row.field, kMaxOtherFields / row.counts);
    EXPECT_EQ(Refusal(most), "");
    EXPECT_EQ(Refusal(most + Bytes(9, "")), kNotValid);
    EXPECT_EQ(Refusal(Group(8, most)), kNotValid);
    EXPECT_TRUE(IsWellFormed(Repeat(row.field, kMaxOtherFields / row.counts)));
    EXPECT_FALSE(IsWellFormed(Repeat(row.field, kMaxOtherFields / row.counts) + Bytes(9, "")));
  }
}

TEST(WireScanTest, TextsInsideGroupsAreNoTexts) {
  const std::string text = Bytes(2, "\xff"), fields = text + Tag(3, kVarint) + Varint(5);
  const std::string bytes = Group(9, text) + Group(2, Group(9, fields) + fields);
  EXPECT_EQ(Refusal(bytes, {0, 0}), "");
  EXPECT_THAT(FindFields(bytes, 2), IsEmpty());
  EXPECT_EQ(FindVarint(bytes, 3), std::nullopt);
}

TEST(WireScanTest, CutAnywhereButBetweenFieldsIsRefused) {
  const std::vector<std::string> fields = {Bytes(1, "a name"),
                                           Bytes(2, "text"),
                                           Tag(9, kVarint) + Varint(UINT64_MAX),
                                           Tag(9, kFixed64, 5) + "12345678",
                                           Group(300, Group(9, Bytes(2, "x")) + Tag(9, kVarint) + Varint(300)),
                                           Tag(9, kFixed32) + "1234",
                                           Tag(2, kBytes) + Varint(300) + std::string(300, 'y'),
                                           Bytes(2, "")};
  std::string bytes;
  for (const std::string& field : fields) {
    for (size_t cut = 0; cut < field.size(); ++cut) {
      const std::string part = bytes + field.substr(0, cut);
      EXPECT_EQ(Refusal(part, {3, 300}), cut == 0 ? "" : kNotValid) << part.size();
      EXPECT_EQ(IsWellFormed(part), cut == 0) << part.size();
      FindFields(part, 2);  // need not find anything, but end
    }
    bytes += field;
  }
  EXPECT_EQ(Refusal(bytes, {3, 300}), "");
}

TEST(WireScanTest, NamesTheFieldThatIsWrong) {
  const std::string good = Bytes(2, "a"), bad = Bytes(2, "bc\xff");
  EXPECT_EQ(Refusal(Bytes(1, "n\xc0\xaf") + good), "name: not valid UTF-8 at byte 1");
  EXPECT_EQ(Refusal(good + Bytes(1, std::string(1000, 'n')) + bad), "texts[1]: not valid UTF-8 at byte 2");
  EXPECT_EQ(Refusal(good + good + Bytes(2, std::string(101, 'x'))), "texts[2]: 101 bytes, limit 100");
  EXPECT_EQ(Refusal(good + Bytes(2, std::string(100, 'x'))), "");
  // The number of texts says more than a fault behind them.
  EXPECT_EQ(Refusal(Repeat(bad, 4) + "\xff"), "texts: 4 items, limit 3");
  EXPECT_EQ(serving::ReasonOf(Scan({bad})), serving::kReasonInvalid);
  EXPECT_EQ(serving::ReasonOf(Scan({"\xff"})), serving::kReasonInvalid);
  EXPECT_EQ(serving::ReasonOf(Scan({good}, {0, 0})), serving::kReasonInvalid);
  EXPECT_EQ(serving::ReasonOf(Scan({good}, {1, 0})), serving::kReasonTooLong);
}

constexpr WireField kPairFields[] = {{1, "first", /*is_text=*/true}, {2, "second", /*is_text=*/true}};
constexpr WireField kNestedFields[] = {{1, "name"}, {2, "inputs", /*is_text=*/true, /*is_repeated=*/true, kPairFields}};

std::string NestedRefusal(const std::string& bytes, WireLimits limits = {3, 100}) {
  const absl::string_view pieces[] = {bytes};
  const absl::Status status = ScanMessage(pieces, "Thing", kNestedFields, limits);
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  return std::string(status.message().data(), status.message().size());
}

TEST(WireScanTest, TextsMayBeMessagesOfTheirOwn) {
  const std::string pair = Bytes(2, Bytes(1, "a") + Bytes(2, "b")), empty = Bytes(2, "");
  EXPECT_EQ(NestedRefusal(pair + empty + Bytes(2, Bytes(1, "a"))), "");
  EXPECT_EQ(NestedRefusal(pair + pair + pair + pair), "inputs: 4 items, limit 3");
  EXPECT_EQ(NestedRefusal(pair + Bytes(2, Bytes(1, "a") + Bytes(2, "b\xff"))),
            "inputs[1].second: not valid UTF-8 at byte 1");
  EXPECT_EQ(NestedRefusal(Bytes(2, Bytes(1, std::string(101, 'x')))), "inputs[0].first: 101 bytes, limit 100");
  // The limit is each text's, not the pair's; and not that of a field which is no text.
  EXPECT_EQ(NestedRefusal(Bytes(2, Bytes(1, std::string(100, 'x')) + Bytes(2, std::string(100, 'x')))), "");
  EXPECT_EQ(NestedRefusal(pair + Bytes(1, "n\xff")), "name: not valid UTF-8 at byte 1");
}

TEST(WireScanTest, TheFormOfATextsOwnMessageIsChecked) {
  const std::string good = Bytes(2, Bytes(1, "a"));
  for (const std::string& bad : {std::string("\xff"), Bytes(1, "a").substr(0, 2), Tag(3, kStartGroup),
                                 Tag(3, kEndGroup), Tag(0, kBytes), std::string(1, '\x08')}) {
    EXPECT_EQ(NestedRefusal(good + Bytes(2, bad)), kNotValid);
  }
  EXPECT_EQ(NestedRefusal(Bytes(2, Group(9, Bytes(1, "\xff")) + Bytes(1, "a"))),
            "");  // an unknown group is passed over
  // More than one of each kind is as many fields that no client sends, in whichever texts.
  const std::string many = Bytes(2, Repeat(Bytes(1, "a"), kMaxOtherFields / 2 + 1));
  EXPECT_EQ(NestedRefusal(many + many), "");
  EXPECT_EQ(NestedRefusal(many + many + Bytes(2, Bytes(9, ""))), kNotValid);
  EXPECT_EQ(NestedRefusal(Bytes(2, Repeat(std::string("\x78\x01"), kMaxOtherFields + 1))), kNotValid);
}

TEST(WireScanTest, PiecesAreOneMessageButEachIsWhole) {
  const std::string text = Bytes(2, "text"), bad = Bytes(2, "\xff"), two = text + text;
  EXPECT_TRUE(Scan({}).ok());
  EXPECT_TRUE(Scan({two, "", text}).ok());
  EXPECT_EQ(Scan({two, two}).message(), "texts: 4 items, limit 3");
  EXPECT_EQ(Scan({two, bad}).message(), "texts[2]: not valid UTF-8 at byte 0");
  EXPECT_EQ(Scan({text.substr(0, 3), text.substr(3)}).message(), kNotValid);
  EXPECT_EQ(Scan({text, text + "\xff"}).message(), kNotValid);
  EXPECT_EQ(Scan({text + "\xff", text}).message(), kNotValid);
  const std::string start = Tag(9, kStartGroup), end = Tag(9, kEndGroup);
  EXPECT_EQ(Scan({start, end}).message(), kNotValid);
  const std::string half = Repeat(Bytes(9, ""), kMaxOtherFields / 2), one = Bytes(9, "");
  EXPECT_TRUE(Scan({half, text, half}).ok());
  EXPECT_EQ(Scan({half, half, one}).message(), kNotValid);
}

TEST(WireScanTest, FindsFieldsInOrderAndTheLastVarint) {
  const std::string bytes = Bytes(4, "first") + Tag(4, kVarint) + Varint(1) + Group(9, Bytes(4, "hidden")) +
                            Tag(4, kBytes, 4) + Varint(4, 3) + "next" + Tag(4, kVarint, 9) + Varint(UINT64_MAX);
  EXPECT_THAT(FindFields(bytes, 4), ElementsAre("first", "next"));
  EXPECT_THAT(FindFields(bytes, 5), IsEmpty());
  EXPECT_EQ(FindVarint(bytes, 4), UINT64_MAX);
  EXPECT_EQ(FindVarint(bytes, 5), std::nullopt);
  // Bits above the 64th are cut off, as parsers do.
  EXPECT_EQ(FindVarint(Tag(4, kVarint) + std::string(9, '\x80') + "\x7f", 4), uint64_t{1} << 63);
}

// A message {1: text, 2: {3: {}}, others}.
constexpr NestedField kInnerFields[] = {{.number = 3}};
constexpr NestedField kOuterFields[] = {
    {1, NestedKind::kCountedText}, {2, NestedKind::kMessage, kInnerFields}, {4, NestedKind::kString}};

TEST(CountFieldsTest, CountsEveryLevelItIsToldOf) {
  const auto counts = CountFields(Bytes(1, "a") + Bytes(2, Bytes(3, Bytes(9, "") + Bytes(1, "")) + Bytes(1, "x")) +
                                      Tag(7, kVarint) + Varint(1) + Bytes(1, ""),
                                  kOuterFields);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->texts, 2u);   // field 1 of the outer message alone
  EXPECT_EQ(counts->others, 6u);  // 2, 7; 3 and 1 in it; 9 and 1 in that
}

TEST(CountFieldsTest, FindsWhatIsNotWellFormedAtEveryLevel) {
  for (const std::string& bad : {std::string("\x0a"), Bytes(2, "\x0a"), Bytes(2, Bytes(3, "\x0a"))}) {
    EXPECT_FALSE(CountFields(bad, kOuterFields)) << bad.size();
  }
  EXPECT_TRUE(CountFields(Bytes(1, "\x0a"), kOuterFields));  // a text may be anything
  EXPECT_TRUE(CountFields(Bytes(9, "\x0a"), kOuterFields));
  EXPECT_TRUE(CountFields(Bytes(4, "\u65e5"), kOuterFields));
  EXPECT_FALSE(CountFields(Bytes(4, "\xff"), kOuterFields));
}

TEST(CountVarintsTest, CountsLastBytes) {
  EXPECT_EQ(CountVarints(""), 0u);
  EXPECT_EQ(CountVarints(Varint(0) + Varint(300) + Varint(UINT64_MAX)), 3u);
}

}  // namespace
}  // namespace octet::rpc
