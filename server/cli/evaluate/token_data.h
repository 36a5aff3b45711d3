// Sentences whose words are labelled, from CoNLL files and JSON lines. Pure functions.
#ifndef OCTET_SERVER_CLI_EVALUATE_TOKEN_DATA_H_
#define OCTET_SERVER_CLI_EVALUATE_TOKEN_DATA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/cli/evaluate/data_file.h"
#include "server/cli/evaluate/label_reader.h"

namespace octet::cli {

// Three of equal length, at least one.
struct LabelledSentence {
  std::vector<std::string> words;  // not empty
  std::vector<std::string> labels;
  std::vector<uint64_t> lines;  // where each word's label stands in the file
};

// JSON lines when the first character is "{": objects with "tokens" and "labels" or "ner_tags", arrays of equal length.
// Otherwise CoNLL: a word a line, columns separated by tabs, or by blanks where the line has no tab; the first is the
// word, the last its label. An empty line ends a sentence, and so does one of "-DOCSTART-", which is no word.
// `names`: what labels may be, by name or index; when it is empty, labels are names and taken as they are. `limit`: the
// first so many sentences; 0 all. At least one sentence. InvalidArgument with file and line for another number of
// columns than the first word has, words or labels that are empty or missing, labels that are not in `names`, and
// indices without `names`; with the file for no sentence at all.
absl::StatusOr<std::vector<LabelledSentence>> ReadTokenData(const DataFile& file, const LabelIndices& names,
                                                            uint64_t limit);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_TOKEN_DATA_H_
