// Writes a tiny model for tests and tools that are not in C++: write_tiny_model DIRECTORY [NUM_LABELS]. The same
// arguments always give the same files. NUM_LABELS above 0: a classification model.
#include <cstdio>
#include <cstdlib>

#include "tests/model/tiny_model.h"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: write_tiny_model DIRECTORY [NUM_LABELS]\n");
    return 2;
  }
  octet::testing::TinyModelOptions options;
  if (argc == 3) options.num_labels = static_cast<uint32_t>(std::strtoul(argv[2], nullptr, 10));
  octet::testing::WriteTinyModel(argv[1], options);
  return 0;
}
