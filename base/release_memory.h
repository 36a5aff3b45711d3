// Gives memory back to the system that only start-up needed. Linux and glibc.
#ifndef OCTET_BASE_RELEASE_MEMORY_H_
#define OCTET_BASE_RELEASE_MEMORY_H_

namespace octet {

// Trims the heap, and unmaps the pages of code and constants of every loaded object until they are used
// again: choosing kernels walks through 15 MB of oneDNN of which running needs a few hundred kB. What is
// needed comes back from the page cache by minor faults, so call it before the warm-up, not after.
void ReleaseStartupMemory();

}  // namespace octet

#endif  // OCTET_BASE_RELEASE_MEMORY_H_
