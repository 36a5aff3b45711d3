#include "server/rpc/wire_scan.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "serving/request.h"
#include "text/utf8.h"

namespace octet::rpc {
namespace {

// Wire types. Groups (3 and 4) are only skipped over, tag by tag.
constexpr uint32_t kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kStartGroup = 3, kEndGroup = 4, kFixed32 = 5;

struct Field {
  uint32_t number = 0, type = 0;
  uint64_t varint = 0;        // of kVarint
  absl::string_view payload;  // of kLengthDelimited
};

// Reads one field after the other; stops for good at the first malformed byte.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : bytes_(bytes) {}

  // The next field at the message's own level; fields inside groups are passed over.
  bool Next(Field* field) {
    while (ReadField(field)) {
      if (field->type == kStartGroup) {
        if (depth_ == kMaxGroupDepth) return Fail();
        open_groups_[depth_++] = field->number;
      } else if (field->type == kEndGroup) {
        if (depth_ == 0 || open_groups_[--depth_] != field->number) return Fail();
      } else if (depth_ == 0) {
        return true;
      }
    }
    return false;
  }

  // After Next has returned false: whether that was the end of a well-formed message.
  bool AtEnd() const { return !failed_ && bytes_.empty() && depth_ == 0; }
  // Read so far, those inside groups and the groups themselves included.
  size_t num_fields() const { return num_fields_; }

 private:
  bool Fail() {
    failed_ = true;
    return false;
  }

  bool ReadField(Field* field) {
    uint64_t tag;
    if (bytes_.empty()) return false;
    // A parser may cut a longer tag to 32 bits and see another field than this one.
    if (!ReadVarint(&tag) || tag >> 3 == 0 || tag > UINT32_MAX) return Fail();
    ++num_fields_;
    field->number = static_cast<uint32_t>(tag >> 3);
    field->type = static_cast<uint32_t>(tag & 7);
    switch (field->type) {
      case kVarint:
        return ReadVarint(&field->varint);
      case kFixed64:
        return Take(8, &field->payload);
      case kFixed32:
        return Take(4, &field->payload);
      case kLengthDelimited: {
        uint64_t size;
        return ReadVarint(&size) && Take(size, &field->payload);
      }
      case kStartGroup:
      case kEndGroup:
        return true;
      default:
        return Fail();
    }
  }

  bool ReadVarint(uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 70 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_[0]);
      bytes_.remove_prefix(1);
      if (shift < 64) *value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return true;
    }
    return Fail();
  }

  bool Take(uint64_t size, absl::string_view* out) {
    if (size > bytes_.size()) return Fail();
    *out = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return true;
  }

  absl::string_view bytes_;
  std::array<uint32_t, kMaxGroupDepth> open_groups_;  // numbers of the first depth_
  size_t depth_ = 0;
  size_t num_fields_ = 0;
  bool failed_ = false;
};

const WireField* FieldOrNull(std::span<const WireField> fields, const Field& field) {
  if (field.type != kLengthDelimited) return nullptr;
  for (const WireField& known : fields) {
    if (static_cast<uint32_t>(known.number) == field.number) return &known;
  }
  return nullptr;
}

absl::Status Invalid(const std::string& message, absl::string_view reason) {
  return serving::WithReason(absl::InvalidArgumentError(message), reason);
}

// The fields of a text's own message that are more than one of each known kind; nothing when it is not well formed.
std::optional<size_t> CountExtraFields(absl::string_view message, std::span<const WireField> fields) {
  Field field;
  Reader reader(message);
  std::vector<uint32_t> seen;  // at most as many as `fields`
  while (reader.Next(&field)) {
    const bool is_known = FieldOrNull(fields, field) != nullptr;
    if (is_known && std::find(seen.begin(), seen.end(), field.number) == seen.end()) seen.push_back(field.number);
  }
  if (!reader.AtEnd()) return std::nullopt;
  return reader.num_fields() - seen.size();
}

// The whole message before any field of it: form, and numbers of texts and of other fields.
absl::Status CheckForm(std::span<const absl::string_view> pieces, absl::string_view message_name,
                       std::span<const WireField> fields, size_t max_texts) {
  size_t num_texts = 0, num_fields = 0;
  bool well_formed = true;
  const char* name = "";
  for (const absl::string_view piece : pieces) {
    Field field;
    Reader reader(piece);
    while (reader.Next(&field)) {
      const WireField* const known = FieldOrNull(fields, field);
      if (known == nullptr || !known->is_text) continue;
      ++num_texts;
      name = known->name;
      if (known->fields.empty()) continue;
      const std::optional<size_t> num_extra = CountExtraFields(field.payload, known->fields);
      well_formed = well_formed && num_extra.has_value();
      num_fields += num_extra.value_or(0);
    }
    num_fields += reader.num_fields();
    well_formed = well_formed && reader.AtEnd();
  }
  if (num_texts > max_texts) {
    return Invalid(absl::StrCat(name, ": ", num_texts, " items, limit ", max_texts), serving::kReasonInvalid);
  }
  if (!well_formed || num_fields - num_texts > kMaxOtherFields) {
    return Invalid(absl::StrCat("request: not a valid ", message_name), serving::kReasonInvalid);
  }
  return absl::OkStatus();
}

absl::Status CheckBytes(const WireField& known, const std::string& name, absl::string_view payload,
                        size_t max_text_bytes) {
  if (known.is_text && payload.size() > max_text_bytes) {
    return Invalid(absl::StrCat(name, ": ", payload.size(), " bytes, limit ", max_text_bytes), serving::kReasonTooLong);
  }
  if (const auto position = text::FindInvalidUtf8(payload)) {
    return Invalid(absl::StrCat(name, ": not valid UTF-8 at byte ", *position), serving::kReasonInvalid);
  }
  return absl::OkStatus();
}

// `text_idx`: texts before it.
absl::Status CheckPayload(const WireField& known, size_t text_idx, absl::string_view payload, size_t max_text_bytes) {
  std::string name = known.name;
  if (known.is_repeated) absl::StrAppend(&name, "[", text_idx, "]");
  if (known.fields.empty()) return CheckBytes(known, name, payload, max_text_bytes);
  Field field;
  for (Reader reader(payload); reader.Next(&field);) {
    const WireField* const part = FieldOrNull(known.fields, field);
    if (part == nullptr) continue;
    RETURN_IF_ERROR(CheckBytes(*part, absl::StrCat(name, ".", part->name), field.payload, max_text_bytes));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ScanMessage(std::span<const absl::string_view> pieces, absl::string_view message_name,
                         std::span<const WireField> fields, const WireLimits& limits) {
  RETURN_IF_ERROR(CheckForm(pieces, message_name, fields, limits.max_texts));
  size_t text_idx = 0;
  for (const absl::string_view piece : pieces) {
    Field field;
    for (Reader reader(piece); reader.Next(&field);) {
      const WireField* const known = FieldOrNull(fields, field);
      if (known == nullptr) continue;
      RETURN_IF_ERROR(CheckPayload(*known, text_idx, field.payload, limits.max_text_bytes));
      text_idx += known->is_text;
    }
  }
  return absl::OkStatus();
}

std::optional<FieldCounts> CountFields(absl::string_view bytes, std::span<const NestedField> nested) {
  FieldCounts counts;
  size_t num_own_texts = 0;
  Field field;
  Reader reader(bytes);
  while (reader.Next(&field)) {
    if (field.type != kLengthDelimited) continue;
    const auto known = std::find_if(nested.begin(), nested.end(), [&](const NestedField& candidate) {
      return static_cast<uint32_t>(candidate.number) == field.number;
    });
    if (known == nested.end()) continue;
    switch (known->kind) {
      case NestedKind::kCountedText:
        ++num_own_texts;
        break;
      case NestedKind::kString:
        if (text::FindInvalidUtf8(field.payload)) return std::nullopt;
        break;
      case NestedKind::kMessage: {
        const std::optional<FieldCounts> inner = CountFields(field.payload, known->fields);
        if (!inner) return std::nullopt;
        counts.texts += inner->texts;
        counts.others += inner->others;
        break;
      }
    }
  }
  if (!reader.AtEnd()) return std::nullopt;
  counts.texts += num_own_texts;
  counts.others += reader.num_fields() - num_own_texts;
  return counts;
}

size_t CountVarints(absl::string_view payload) {
  return static_cast<size_t>(std::count_if(payload.begin(), payload.end(),
                                           [](char c) { return (static_cast<unsigned char>(c) & 0x80) == 0; }));
}

bool IsWellFormed(absl::string_view bytes) {
  Reader reader(bytes);
  Field field;
  while (reader.Next(&field)) {
  }
  return reader.AtEnd() && reader.num_fields() <= kMaxOtherFields;
}

std::vector<absl::string_view> FindFields(absl::string_view bytes, int number) {
  std::vector<absl::string_view> found;
  Field field;
  for (Reader reader(bytes); reader.Next(&field);) {
    if (field.type == kLengthDelimited && field.number == static_cast<uint32_t>(number)) {
      found.push_back(field.payload);
    }
  }
  return found;
}

std::optional<uint64_t> FindVarint(absl::string_view bytes, int number) {
  std::optional<uint64_t> found;
  Field field;
  for (Reader reader(bytes); reader.Next(&field);) {
    if (field.type == kVarint && field.number == static_cast<uint32_t>(number)) found = field.varint;
  }
  return found;
}

}  // namespace octet::rpc
