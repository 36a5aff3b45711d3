// Labels of a classification task: their names, and the sets that a data file gives its texts.
#ifndef OCTET_SERVER_CLI_EVALUATE_LABEL_READER_H_
#define OCTET_SERVER_CLI_EVALUATE_LABEL_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "server/cli/evaluate/classification_metrics.h"
#include "server/cli/evaluate/data_file.h"

namespace octet::cli {

// Index by name; may be empty: then data files give indices only.
using LabelIndices = absl::flat_hash_map<std::string, uint32_t>;

// One name a line; the line's place is the index. InvalidArgument with the line for one that is empty, is there twice
// or has a comma.
absl::StatusOr<LabelIndices> ReadLabelNames(const DataFile& file);

// The same from the file at `path`, whose digest is added to `files`; no names and no digest for an empty path. Errors of
// ReadDataFile as well.
absl::StatusOr<LabelIndices> LoadLabelNames(const std::string& path, std::vector<FileDigest>* files);

// "3", "joy", "4,27", "joy,anger", or "" for no label, blanks around names being dropped. Names come before indices: a
// label may be called "1". InvalidArgument for what is neither a name nor an index below the number of names (any index
// below 65536 without names), and for a label given twice.
absl::StatusOr<LabelSet> ParseLabels(const std::string& field, const LabelIndices& names);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_LABEL_READER_H_
