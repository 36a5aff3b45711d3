// Writes a tiny model for tests and tools that are not in C++: write_tiny_model DIRECTORY
// [NUM_LABELS | LABEL,LABEL... | loud]. The same arguments always give the same files. NUM_LABELS above 0: a classification model;
// labels: one of tokens; loud: an embedding model whose LayerNorms have two loud channels.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "tests/model/tiny_model.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3 || argv[1][0] == '-') {
    std::fprintf(stderr, "usage: write_tiny_model DIRECTORY [NUM_LABELS | LABEL,LABEL... | loud]\n");
    return 2;
  }
  octet::testing::TinyModelOptions options;
  if (argc == 3 && std::strchr(argv[2], ',') != nullptr) {
    std::istringstream labels(argv[2]);
    for (std::string label; std::getline(labels, label, ',');) options.token_labels.push_back(label);
  } else if (argc == 3 && std::strcmp(argv[2], "loud") == 0) {
    options.loud_channels = 2;
  } else if (argc == 3) {
    options.num_labels = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
  }
  octet::testing::WriteTinyModel(argv[1], options);
  return 0;
}
