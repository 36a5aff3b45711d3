// How text from a model file appears in an error line: quoted, escaped, cut. Names in hostile files may
// hold line breaks, terminal codes or megabytes.
#ifndef OCTET_MODEL_QUOTE_H_
#define OCTET_MODEL_QUOTE_H_

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace octet::model {

inline std::string Quote(absl::string_view text) {
  constexpr size_t kMaxBytes = 96;  // the longest tensor name of a BERT-kind model has about 60
  const bool cut = text.size() > kMaxBytes;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kMaxBytes)), cut ? "..." : "", "\"");
}

}  // namespace octet::model

#endif  // OCTET_MODEL_QUOTE_H_
