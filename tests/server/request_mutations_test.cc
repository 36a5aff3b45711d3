// Randomly changed requests. The oracle is protobuf's own parser: a request is taken only if protobuf takes it,
// with the same content, and refused only if protobuf refuses it or for a limit that it really breaks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "google/protobuf/stubs/logging.h"
#include "octet/v1/text_encoder.pb.h"
#include "server/rpc/classify_codec.h"
#include "server/rpc/request_codec.h"
#include "tei/v1/tei.pb.h"
#include "tests/server/request_bytes.h"

namespace octet::rpc {
namespace {

// Limits that mutated messages do reach.
constexpr RequestLimits kSmallLimits = {.max_texts = 6, .max_text_bytes = 40};

// A refusal with its numbers as N; `is_due` says whether a request that protobuf takes deserves it.
template <typename Request>
struct Refusal {
  const char* form;
  bool (*is_due)(const Request&, const std::string& bytes);
};

template <typename Request>
bool Never(const Request&, const std::string&) {
  return false;
}
// protobuf cuts tags to 32 bits, the scan refuses to guess. Finds other numbers of five bytes, too.
template <typename Request>
bool HasTagAbove32Bits(const Request&, const std::string& bytes) {
  int num_continued = 0;
  for (const unsigned char byte : bytes) {
    if (num_continued >= 4 && byte >= 0x10 && byte < 0x80) return true;
    num_continued = byte >= 0x80 ? num_continued + 1 : 0;
  }
  return false;
}
bool HasTooMany(const v1::EmbedRequest& request, const std::string&) {
  return request.texts_size() > static_cast<int>(kSmallLimits.max_texts);
}
bool HasTooLong(const v1::EmbedRequest& request, const std::string&) {
  return std::any_of(request.texts().begin(), request.texts().end(),
                     [](const std::string& text) { return text.size() > kSmallLimits.max_text_bytes; });
}
template <typename Request>
bool HasUnknownSide(const Request& request, const std::string&) {
  return !v1::TruncationSide_IsValid(request.truncation_side());
}
bool HasNoTexts(const v1::EmbedRequest& request, const std::string&) { return request.texts().empty(); }
// Of several `inputs` protobuf keeps the last, which shows nothing of the others.
bool MayHaveTwoInputs(const v1::EmbedRequest&, const std::string& bytes) {
  return std::count(bytes.begin(), bytes.end(), '\x0a') > 1;
}

constexpr Refusal<v1::EmbedRequest> kRefusals[] = {
    {"request: not a valid EmbedRequest", HasTagAbove32Bits},
    {"request: not a valid EmbedStreamRequest", HasTagAbove32Bits},
    {"model: not valid UTFN at byte N", Never},
    {"prompt_name: not valid UTFN at byte N", Never},
    {"texts[N]: not valid UTFN at byte N", Never},
    {"inputs: not valid UTFN at byte N", Never},
    {"texts: empty", HasNoTexts},
    {"texts: N items, limit N", HasTooMany},
    {"inputs: N items, limit N", MayHaveTwoInputs},
    {"texts[N]: N bytes, limit N", HasTooLong},
    {"inputs: N bytes, limit N", HasTooLong},
    {"truncation_side: unknown value N", HasUnknownSide},
    {"truncation_direction: unknown value N", HasUnknownSide},
};

bool HasTooManyInputs(const v1::ClassifyRequest& request, const std::string&) {
  return request.inputs_size() > static_cast<int>(kSmallLimits.max_texts);
}
// Of several texts in one input protobuf keeps the last, which shows nothing of the others.
bool MayHaveTooLongInput(const v1::ClassifyRequest&, const std::string& bytes) {
  return bytes.size() > kSmallLimits.max_text_bytes;
}
bool HasNoInputs(const v1::ClassifyRequest& request, const std::string&) { return request.inputs().empty(); }
bool HasUnknownMode(const v1::ClassifyRequest& request, const std::string&) {
  return !v1::ScoreMode_IsValid(request.score_mode());
}
bool HasNoFiniteThreshold(const v1::ClassifyRequest& request, const std::string&) {
  return !std::isfinite(request.threshold());
}

constexpr Refusal<v1::ClassifyRequest> kClassifyRefusals[] = {
    {"request: not a valid ClassifyRequest", HasTagAbove32Bits},
    {"model: not valid UTFN at byte N", Never},
    {"inputs[N].text: not valid UTFN at byte N", Never},
    {"inputs[N].pair: not valid UTFN at byte N", Never},
    {"inputs: empty", HasNoInputs},
    {"inputs: N items, limit N", HasTooManyInputs},
    {"inputs[N].text: N bytes, limit N", MayHaveTooLongInput},
    {"inputs[N].pair: N bytes, limit N", MayHaveTooLongInput},
    {"truncation_side: unknown value N", HasUnknownSide},
    {"score_mode: unknown value N", HasUnknownMode},
    {"threshold: not a finite number", HasNoFiniteThreshold},
};

std::string WithoutNumbers(const std::string& message) {
  std::string form;
  for (const char c : message) {
    const bool is_number = c == '-' || (c >= '0' && c <= '9');
    if (!is_number) form.push_back(c);
    if (is_number && (form.empty() || form.back() != 'N')) form.push_back('N');
  }
  return form;
}

// What is wrong with a refusal of `bytes`, "" for nothing. `reference`: protobuf's reading of them; nothing if it
// refuses them. That messages have one of the forms above proves that none echoes its input.
template <typename Request>
std::string RefusalDisagreement(const std::string& bytes, const absl::Status& status,
                                const std::optional<Request>& reference, std::span<const Refusal<Request>> refusals) {
  const std::string message = Message(status), form = WithoutNumbers(message);
  const auto refusal =
      std::find_if(refusals.begin(), refusals.end(), [&](const Refusal<Request>& r) { return r.form == form; });
  if (refusal == refusals.end() || message.size() > 256) return "message: " + message;
  if (!absl::IsInvalidArgument(status)) return "code: " + status.ToString();
  if (serving::ReasonOf(status).empty()) return "no reason: " + message;
  return reference.has_value() && !refusal->is_due(*reference, bytes) ? "protobuf takes it: " + message : "";
}

// What is wrong with `parsed` from `bytes`, "" for nothing.
template <typename AnyParsed>
std::string Disagreement(const std::string& bytes, const AnyParsed& parsed,
                         const std::optional<v1::EmbedRequest>& reference) {
  if (!parsed.ok()) return RefusalDisagreement<v1::EmbedRequest>(bytes, parsed.status(), reference, kRefusals);
  if (!reference.has_value()) return "protobuf refuses it";
  const serving::Request& request = (*parsed)->request;
  if (request.model != reference->model()) return "model";
  if (!std::equal(request.texts.begin(), request.texts.end(), reference->texts().begin(), reference->texts().end())) {
    return "texts";
  }
  Options options;
  options.truncate = reference->truncate();
  options.as_floats = reference->as_floats();
  if (reference->truncation_side() == v1::TRUNCATION_SIDE_LEFT) options.side = kLeft;
  if (reference->has_normalize()) options.normalize = reference->normalize();
  if (reference->has_prompt_name()) options.prompt_name = reference->prompt_name();
  if (reference->has_dimensions()) options.dimensions = reference->dimensions();
  return OptionsOf(**parsed) == options ? "" : "options";
}

std::string EmbedDisagreement(const std::string& bytes, bool* taken) {
  std::optional<v1::EmbedRequest> reference(std::in_place);
  if (!reference->ParseFromString(bytes)) reference.reset();
  const Parsed parsed = ParseEmbed(Buffer(bytes), kSmallLimits);
  *taken = parsed.ok();
  return Disagreement(bytes, parsed, reference);
}

std::string StreamDisagreement(const std::string& bytes, bool* taken) {
  v1::EmbedStreamRequest outer;
  std::optional<v1::EmbedRequest> reference;
  if (outer.ParseFromString(bytes)) reference = outer.request();
  const auto message = ParseEmbedStream(Buffer(bytes), kSmallLimits);
  *taken = message.ok() && message->parsed.ok();
  if (!message.ok()) return Disagreement(bytes, Parsed(message.status()), reference);
  if (reference.has_value() && message->id != outer.id()) return "id";
  if (*taken && (*message->parsed)->id != message->id) return "id of the request";
  return Disagreement(bytes, message->parsed, reference);
}

std::string TeiDisagreement(const std::string& bytes, bool* taken) {
  ::tei::v1::EmbedRequest tei;
  std::optional<v1::EmbedRequest> reference;
  if (tei.ParseFromString(bytes)) {
    reference = Texts({tei.inputs()});
    reference->set_truncate(tei.truncate());
    reference->set_normalize(!tei.has_normalize() || tei.normalize());
    const int direction = tei.truncation_direction();
    // One less than octet's side of the same meaning.
    const int side = ::tei::v1::TruncationDirection_IsValid(direction) ? direction + 1 : -1;
    reference->set_truncation_side(static_cast<v1::TruncationSide>(side));
    if (tei.has_prompt_name()) reference->set_prompt_name(tei.prompt_name());
    if (tei.has_dimensions()) reference->set_dimensions(tei.dimensions());
  }
  const ParsedTeiOr parsed = ParseTeiEmbed(Buffer(bytes), kSmallLimits);
  *taken = parsed.ok();
  return Disagreement(bytes, parsed, reference);
}

std::string ClassifyDisagreement(const std::string& bytes, bool* taken) {
  std::optional<v1::ClassifyRequest> reference(std::in_place);
  if (!reference->ParseFromString(bytes)) reference.reset();
  const auto parsed = ParseClassify(Buffer(bytes), kSmallLimits);
  *taken = parsed.ok();
  if (!*taken) {
    return RefusalDisagreement<v1::ClassifyRequest>(bytes, parsed.status(), reference, kClassifyRefusals);
  }
  if (!reference.has_value()) return "protobuf refuses it";
  const serving::Request& request = (*parsed)->request;
  if (request.model != reference->model() || request.truncate != reference->truncate()) return "model or truncate";
  const bool is_left = reference->truncation_side() == v1::TRUNCATION_SIDE_LEFT;
  if (request.truncation_side != (is_left ? kLeft : kRight)) return "truncation side";
  const bool same_inputs = std::equal(request.texts.begin(), request.texts.end(), reference->inputs().begin(),
                                      reference->inputs().end(), [](const auto& input, const v1::TextInput& message) {
                                        return input.text == message.text() &&
                                               input.pair.has_value() == message.has_pair() &&
                                               input.pair.value_or("") == message.pair();
                                      });
  if (!same_inputs) return "inputs";
  if ((*parsed)->activation.has_value() != (reference->score_mode() != v1::SCORE_MODE_UNSPECIFIED)) return "score mode";
  if ((*parsed)->top_k.has_value() != reference->has_top_k() || (*parsed)->top_k.value_or(0) != reference->top_k() ||
      (*parsed)->threshold.has_value() != reference->has_threshold() ||
      (*parsed)->threshold.value_or(0) != reference->threshold() ||
      (*parsed)->with_logits != reference->with_logits()) {
    return "options";
  }
  return "";
}

// Messages made from valid ones by a few random changes each; the same ones for the same seed everywhere.
class Mutator {
 public:
  Mutator(std::vector<std::string> originals, uint64_t seed) : originals_(std::move(originals)), random_(seed) {}

  std::string Next() {
    std::string bytes = Original();
    for (size_t i = 1 + Below(3); i > 0; --i) Change(&bytes);
    return bytes;
  }

 private:
  size_t Below(size_t end) { return random_() % end; }
  const std::string& Original() { return originals_[Below(originals_.size())]; }

  void Change(std::string* bytes) {
    const size_t at = Below(bytes->size() + 1), size = bytes->size() - at;
    switch (Below(6)) {
      case 0:
        if (size > 0) (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << Below(8)));
        return;
      case 1:
        bytes->insert(at, 1 + Below(2), static_cast<char>(Below(256)));
        return;
      case 2:
        bytes->erase(at, 1 + Below(4));
        return;
      case 3:
        bytes->resize(at);
        return;
      case 4: {  // the end of another
        const std::string& other = Original();
        bytes->replace(at, size, other, Below(other.size() + 1), std::string::npos);
        return;
      }
      default:  // a part twice
        bytes->insert(at, bytes->substr(at, Below(size + 1)));
    }
  }

  const std::vector<std::string> originals_;
  std::mt19937_64 random_;
};

std::vector<std::string> Originals() {
  v1::EmbedRequest all = Texts({"secret", "\u65e5\u672c\u8a9e", "", std::string(40, 'z')});
  all.set_model("mini");
  all.set_truncate(true);
  all.set_truncation_side(v1::TRUNCATION_SIDE_LEFT);
  all.set_normalize(false);
  all.set_prompt_name("query");
  all.set_dimensions(300);
  all.set_as_floats(true);
  // A tag and a length that are longer than they need be; unknown fields of each type, a text inside a group.
  const std::string odd = "\x92\x80\x80\x80" + std::string(1, '\0') + "\x82" + std::string(1, '\0') + "ab" +
                          "\x7b\x12\x01\xff\x73\x78\x81\x01\x74\x7c" +
                          "\x7d"
                          "1234"
                          "\x79"
                          "12345678"
                          "\x7a\x01q";
  return {Texts({"secret"}).SerializeAsString(), Texts({"a", "b", "c", "d", "e", "f"}).SerializeAsString(),
          all.SerializeAsString(), odd, all.SerializeAsString() + odd};
}

void ExpectAgreement(std::string (*disagreement)(const std::string&, bool*), std::vector<std::string> originals) {
  const google::protobuf::LogSilencer silencer;  // of the reference's complaints about UTF-8
  bool taken = false;
  for (const std::string& original : originals) {
    EXPECT_EQ(disagreement(original, &taken), "") << absl::CHexEscape(original);
    EXPECT_TRUE(taken) << absl::CHexEscape(original);
    for (size_t cut = 0; cut < original.size(); ++cut) EXPECT_EQ(disagreement(original.substr(0, cut), &taken), "");
  }
  constexpr int kNumMutations = 25'000;
  Mutator mutator(std::move(originals), /*seed=*/1);
  int num_taken = 0;
  for (int i = 0; i < kNumMutations; ++i) {
    const std::string bytes = mutator.Next();
    ASSERT_EQ(disagreement(bytes, &taken), "") << absl::CHexEscape(bytes);
    num_taken += taken;
  }
  // Both are common, or little is tested.
  EXPECT_GT(num_taken, kNumMutations / 20);
  EXPECT_LT(num_taken, kNumMutations * 19 / 20);
}

TEST(RequestMutationsTest, AgreesWithProtobufOnEmbedRequests) { ExpectAgreement(EmbedDisagreement, Originals()); }

TEST(RequestMutationsTest, AgreesWithProtobufOnStreamMessages) {
  std::vector<std::string> originals;
  for (const std::string& request : Originals()) {
    v1::EmbedStreamRequest outer;
    outer.set_id(300);
    ASSERT_TRUE(outer.mutable_request()->ParseFromString(request));
    const std::string bytes = outer.SerializeAsString();
    originals.push_back(bytes);
    originals.push_back("\x7b\x08\x01\x12\x01\xff\x7c" + bytes + Stream("\x18\x01"));
  }
  ExpectAgreement(StreamDisagreement, std::move(originals));
}

TEST(RequestMutationsTest, AgreesWithProtobufOnClassifyRequests) {
  v1::ClassifyRequest plain;
  for (const char* text : {"secret", "", "a"}) plain.add_inputs()->set_text(text);
  v1::ClassifyRequest all = plain;
  all.mutable_inputs(1)->set_pair("\u65e5\u672c\u8a9e");
  all.mutable_inputs(2)->set_pair("");
  all.add_inputs()->set_pair(std::string(40, 'z'));
  all.set_model("mini");
  all.set_truncate(true);
  all.set_truncation_side(v1::TRUNCATION_SIDE_LEFT);
  all.set_score_mode(v1::SCORE_MODE_RAW);
  all.set_top_k(300);
  all.set_threshold(0.25f);
  all.set_with_logits(true);
  // An input with unknown fields, a group and its text given twice.
  const std::string input = "\x0a\x01x\x7b\x0a\x01\xff\x7c\x78\x01\x0a\x01y\x1a\x02zz";
  const std::string odd = "\x12" + std::string(1, static_cast<char>(input.size())) + input;
  ExpectAgreement(ClassifyDisagreement,
                  {plain.SerializeAsString(), all.SerializeAsString(), all.SerializeAsString() + odd, odd});
}

TEST(RequestMutationsTest, AgreesWithProtobufOnTeiRequests) {
  ::tei::v1::EmbedRequest all = Inputs("\u65e5\u672c\u8a9e");
  all.set_truncate(true);
  all.set_normalize(false);
  all.set_truncation_direction(::tei::v1::TRUNCATION_DIRECTION_LEFT);
  all.set_prompt_name("query");
  all.set_dimensions(300);
  const std::string bytes = all.SerializeAsString();
  ExpectAgreement(TeiDisagreement,
                  {Inputs("secret").SerializeAsString(), bytes, bytes + "\x7b\x0a\x01\xff\x7c\x7a\x01q"});
}

}  // namespace
}  // namespace octet::rpc
