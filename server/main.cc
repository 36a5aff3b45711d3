// The `octet` program; everything is in server/cli.
#include "server/cli/command.h"

int main(int argc, char** argv) { return octet::cli::RunCommandLine(argc, argv); }
