// Requests from bytes: every option, messages of a stream, and what a flood of fields costs.
#include "server/rpc/request_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "octet/v1/text_encoder.pb.h"
#include "server/rpc/wire_scan.h"
#include "tei/v1/tei.pb.h"
#include "tests/server/request_bytes.h"

namespace {

// Bytes from operator new in this process, libraries included, and the most there have been.
std::atomic<size_t> live_bytes{0}, peak_bytes{0};

void CountAllocated(size_t bytes) {
  const size_t live = live_bytes.fetch_add(bytes) + bytes;
  size_t peak = peak_bytes.load();
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
  }
}

}  // namespace

// All forms but those for larger alignments, as sanitizers replace each of them. Not inlined, so that the compiler
// does not pair them with malloc and free.
[[gnu::noinline]] void* operator new(size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  CountAllocated(malloc_usable_size(memory));
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  if (memory != nullptr) live_bytes -= malloc_usable_size(memory);
  std::free(memory);
}
void* operator new[](size_t size) { return operator new(size); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, size_t) noexcept { operator delete(memory); }

namespace octet::rpc {
namespace {

using ::testing::ElementsAre;

constexpr char kNotValid[] = "request: not a valid EmbedRequest";

template <typename Request>
struct OptionRow {
  const char* name;
  void (*set)(Request*);
  Options options;
};

TEST(RequestCodecTest, EveryOptionArrives) {
  using Request = v1::EmbedRequest;
  const OptionRow<Request> rows[] = {
      {"none", [](Request*) {}, {}},
      {"truncate", [](Request* r) { r->set_truncate(true); }, {.truncate = true}},
      {"right", [](Request* r) { r->set_truncation_side(v1::TRUNCATION_SIDE_RIGHT); }, {.side = kRight}},
      {"left", [](Request* r) { r->set_truncation_side(v1::TRUNCATION_SIDE_LEFT); }, {.side = kLeft}},
      {"normalize", [](Request* r) { r->set_normalize(true); }, {.normalize = true}},
      {"not normalize", [](Request* r) { r->set_normalize(false); }, {.normalize = false}},
      {"prompt", [](Request* r) { r->set_prompt_name("query"); }, {.prompt_name = "query"}},
      {"no prompt", [](Request* r) { r->set_prompt_name(""); }, {.prompt_name = ""}},
      {"dimensions", [](Request* r) { r->set_dimensions(256); }, {.dimensions = 256}},
      {"zero dimensions", [](Request* r) { r->set_dimensions(0); }, {.dimensions = 0}},
      {"most dimensions", [](Request* r) { r->set_dimensions(UINT32_MAX); }, {.dimensions = UINT32_MAX}},
      {"floats", [](Request* r) { r->set_as_floats(true); }, {.as_floats = true}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    Request request = Texts({"a", "", "b"});
    request.set_model("mini");
    row.set(&request);
    const Parsed parsed = ParseEmbed(Buffer(request.SerializeAsString()), {});
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ((*parsed)->request.model, "mini");
    EXPECT_THAT((*parsed)->request.texts, ElementsAre("a", "", "b"));
    EXPECT_TRUE(OptionsOf(**parsed) == row.options);
  }
}

TEST(RequestCodecTest, EveryTeiOptionArrives) {
  using Request = ::tei::v1::EmbedRequest;
  const OptionRow<Request> rows[] = {
      {"none", [](Request*) {}, {.normalize = true}},
      {"truncate", [](Request* r) { r->set_truncate(true); }, {.truncate = true, .normalize = true}},
      {"left",
       [](Request* r) { r->set_truncation_direction(::tei::v1::TRUNCATION_DIRECTION_LEFT); },
       {.side = kLeft, .normalize = true}},
      {"normalize", [](Request* r) { r->set_normalize(true); }, {.normalize = true}},
      {"not normalize", [](Request* r) { r->set_normalize(false); }, {.normalize = false}},
      {"prompt", [](Request* r) { r->set_prompt_name("query"); }, {.normalize = true, .prompt_name = "query"}},
      {"no prompt", [](Request* r) { r->set_prompt_name(""); }, {.normalize = true, .prompt_name = ""}},
      {"dimensions", [](Request* r) { r->set_dimensions(256); }, {.normalize = true, .dimensions = 256}},
      {"zero dimensions", [](Request* r) { r->set_dimensions(0); }, {.normalize = true, .dimensions = 0}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    Request request = Inputs("a");
    row.set(&request);
    const ParsedTeiOr parsed = ParseTeiEmbed(Buffer(request.SerializeAsString()), {});
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ((*parsed)->request.model, "");
    EXPECT_THAT((*parsed)->request.texts, ElementsAre("a"));
    EXPECT_TRUE(OptionsOf(**parsed) == row.options);
  }
}

TEST(RequestCodecTest, LastOccurrenceOfAnOptionCountsAndTextsAddUp) {
  v1::EmbedRequest first = Texts({"a", "b"}), second = Texts({"c"});
  first.set_model("first");
  first.set_truncation_side(v1::TRUNCATION_SIDE_LEFT);
  first.set_normalize(true);
  first.set_prompt_name("query");
  first.set_dimensions(7);
  second.set_model("second");
  second.set_truncation_side(v1::TRUNCATION_SIDE_RIGHT);
  second.set_normalize(false);
  second.set_prompt_name("");
  second.set_dimensions(8);
  // Fields that hold their default are not written: as_floats = true, then false.
  const std::string bytes =
      first.SerializeAsString() + "\x40\x01" + second.SerializeAsString() + std::string("\x40\0", 2);
  const Parsed parsed = ParseEmbed(Buffer(bytes), {});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ((*parsed)->request.model, "second");
  EXPECT_THAT((*parsed)->request.texts, ElementsAre("a", "b", "c"));
  EXPECT_TRUE(OptionsOf(**parsed) == (Options{.normalize = false, .prompt_name = "", .dimensions = 8}));
}

TEST(RequestCodecTest, TeiTextsAreCountedInCodePointsAndNoneIsDropped) {
  const std::pair<std::string, uint32_t> rows[] = {{"", 0},
                                                   {"abc", 3},
                                                   {"\u00e9", 1},
                                                   {"e\u0301", 2},
                                                   {"\u65e5\u672c", 2},
                                                   {"\U0001f44d\U0001f3fd", 2},
                                                   {std::string("a\0b", 3), 3},
                                                   {"a\r\n", 3}};
  for (const auto& [text, num_chars] : rows) {
    const ParsedTeiOr parsed = ParseTeiEmbed(Buffer(Inputs(text).SerializeAsString()), {});
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ((*parsed)->num_chars, num_chars) << text;
    EXPECT_THAT((*parsed)->request.texts, ElementsAre(text));
  }
  const std::string two = Inputs("a").SerializeAsString() + Inputs("b").SerializeAsString();
  EXPECT_EQ(Message(ParseTeiEmbed(Buffer(two), {}).status()), "inputs: 2 items, limit 1");
}

TEST(RequestCodecTest, TextsOutliveTheBufferAndMayLieAcrossItsSlices) {
  const std::string text(1000, 'x'), bytes = Texts({text, "y"}).SerializeAsString();
  for (const size_t slice_bytes : {1, 2, 7, 999}) {
    auto buffer = std::make_unique<grpc::ByteBuffer>(Buffer(bytes, slice_bytes));
    const Parsed parsed = ParseEmbed(*buffer, {});
    buffer.reset();
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_THAT((*parsed)->request.texts, ElementsAre(text, "y"));
  }
}

TEST(RequestCodecTest, ABadRequestOfAStreamIsAnsweredUnderItsId) {
  const std::string id = "\x08\x2a", good = Stream(Texts({"a"}).SerializeAsString());
  const std::pair<std::string, std::string> rows[] = {
      {id, "texts: empty"},
      {id + "\x10\x01", "texts: empty"},  // `request` of another type is none
      {id + Stream(""), "texts: empty"},
      {id + Stream("\xff"), kNotValid},
      {Stream("\x12\x7f"
              "abc") +
           id,
       kNotValid},
      {id + Stream("\x12\x01\xff"), "texts[0]: not valid UTF-8 at byte 0"},
      {id + Stream("\x7b") + Stream("\x7c"), kNotValid},  // a group from one piece into the next
      {id +
           Stream("\x12\x02"
                  "a") +
           Stream("b"),
       kNotValid},
      {id + good + Stream("\x12\x01\xff"), "texts[1]: not valid UTF-8 at byte 0"},
      {id + good + Stream("\x20\x07"), "truncation_side: unknown value 7"},
      {Repeat(good, 129) + id, "texts: 129 items, limit 128"},
  };
  for (const auto& [bytes, error] : rows) {
    SCOPED_TRACE(absl::CHexEscape(bytes));
    const auto message = ParseEmbedStream(Buffer(bytes), {});
    ASSERT_TRUE(message.ok()) << message.status();
    EXPECT_EQ(message->id, 42u);
    EXPECT_EQ(message->parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Message(message->parsed.status()), error);
  }
}

TEST(RequestCodecTest, WhatIsNoStreamMessageIsRefusedAsAWhole) {
  const std::string good = "\x08\x2a" + Stream(Texts({"a"}).SerializeAsString());
  ASSERT_TRUE(ParseEmbedStream(Buffer(good), {})->parsed.ok());
  const std::string endings[] = {"\xff\xff\xff\xff",
                                 "\x12\x7f"
                                 "abc",
                                 "\x08",
                                 std::string(1, '\0'),
                                 "\x0e",
                                 "\x0f",
                                 "\x7b",
                                 "\x7c",
                                 "\x7b\x74",
                                 Repeat("\x7b", 100'000) + Repeat("\x7c", 100'000),
                                 Repeat("\x78\x01", kMaxOtherFields - 1)};
  for (const std::string& ending : endings) {
    const auto message = ParseEmbedStream(Buffer(good + ending), {});
    EXPECT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Message(message.status()), "request: not a valid EmbedStreamRequest");
  }
  EXPECT_TRUE(ParseEmbedStream(Buffer(good + Repeat("\x78\x01", kMaxOtherFields - 2)), {}).ok());
}

TEST(RequestCodecTest, StreamTakesTheLastIdAndMergesRequests) {
  v1::EmbedStreamRequest first, second;
  first.set_id(1);
  *first.mutable_request() = Texts({"a", "b"});
  first.mutable_request()->set_model("mini");
  first.mutable_request()->set_dimensions(7);
  second.set_id(UINT64_MAX);
  *second.mutable_request() = Texts({"c"});
  second.mutable_request()->set_dimensions(8);
  const auto message = ParseEmbedStream(Buffer(first.SerializeAsString() + second.SerializeAsString()), {});
  ASSERT_TRUE(message.ok() && message->parsed.ok());
  EXPECT_EQ(message->id, UINT64_MAX);
  const ParsedEmbed& parsed = **message->parsed;
  EXPECT_EQ(parsed.id, UINT64_MAX);
  EXPECT_EQ(parsed.request.model, "mini");
  EXPECT_THAT(parsed.request.texts, ElementsAre("a", "b", "c"));
  EXPECT_TRUE(OptionsOf(parsed) == (Options{.dimensions = 8}));
}

// Growth of what is allocated while `work` runs, at its highest.
template <typename Work>
size_t PeakGrowth(const Work& work) {
  const size_t before = live_bytes;
  peak_bytes = before;
  work();
  return peak_bytes - before;
}

// R5: what would be hundreds of megabytes of parsed message is refused before it is parsed.
TEST(RequestCodecTest, AFloodOfFieldsIsRefusedWithoutMemory) {
  constexpr size_t kMessageBytes = 4 << 20;
  const auto embed = [](const grpc::ByteBuffer& bytes) { return ParseEmbed(bytes, {}).status(); };
  const auto tei = [](const grpc::ByteBuffer& bytes) { return ParseTeiEmbed(bytes, {}).status(); };
  const auto stream = [](const grpc::ByteBuffer& bytes) {
    const auto message = ParseEmbedStream(bytes, {});
    return message.ok() ? message->parsed.status() : message.status();
  };
  const std::string empty_texts = Repeat(std::string("\x12\0", 2), kMessageBytes / 2);
  const std::string half = "\x12\x80\x80\x80\x01" + empty_texts.substr(kMessageBytes / 2);  // 2 MiB inside
  struct {
    absl::Status (*parse)(const grpc::ByteBuffer&);
    std::string bytes, error;
  } const rows[] = {
      {embed, empty_texts, "texts: 2097152 items, limit 128"},
      {embed, Repeat(std::string("\x78\0", 2), kMessageBytes / 2), kNotValid},  // unknown numbers
      {embed, "\x7b" + empty_texts + "\x7c", kNotValid},                        // texts in a group
      {embed, Repeat(std::string("\x7b\x7c", 2), kMessageBytes / 2), kNotValid},
      {stream, half + half, "texts: 2097152 items, limit 128"},
      {stream, empty_texts, "request: not a valid EmbedStreamRequest"},
      {tei, Repeat(std::string("\x0a\0", 2), kMessageBytes / 2), "inputs: 2097152 items, limit 1"},
  };
  for (const auto& row : rows) {
    const grpc::ByteBuffer buffer = Buffer(row.bytes, /*slice_bytes=*/16384);
    absl::Status status;
    const size_t growth = PeakGrowth([&] { status = row.parse(buffer); });
    EXPECT_EQ(Message(status), row.error);
    EXPECT_LT(growth, size_t{8} << 20);  // the slices are joined once
  }
  // That nothing large is missed: slices are counted, and what the parser makes of the same bytes.
  EXPECT_GE(PeakGrowth([] { grpc::Slice slice(kMessageBytes); }), kMessageBytes);
  v1::EmbedRequest request;
  EXPECT_GT(PeakGrowth([&] { EXPECT_TRUE(request.ParseFromString(empty_texts)); }), size_t{64} << 20);
}

}  // namespace
}  // namespace octet::rpc
