// The `octet` program; everything is in server/cli.
#include "absl/synchronization/mutex.h"
#include "server/cli/command.h"

int main(int argc, char** argv) {
  // Debian builds Abseil with its assertions, which keep a graph of the order in which every thread takes its locks, gRPC's
  // included. That search for deadlocks is for tests, where it stays on.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  return octet::cli::RunCommandLine(argc, argv);
}
