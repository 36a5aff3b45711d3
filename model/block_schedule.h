// The order in which threads compute the row blocks of a forward pass. A step is one block in one phase; a phase
// leaves keys and values that the next phase's attention reads. Threads claim steps in one fixed order and wait only
// for the blocks that share a text with theirs, so that no thread waits for a whole layer of the batch. Many tokens go
// in groups of whole texts: one group passes all phases, while its rows are in the threads' caches, before the
// next begins. In the very last phase blocks become ever smaller, so that all threads end together, also where one of
// them is slower. Internal to the encoder's files.
#ifndef OCTET_MODEL_BLOCK_SCHEDULE_H_
#define OCTET_MODEL_BLOCK_SCHEDULE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace octet::model {

// The most rows of a block. Each of a layer's matrices is read into a thread's L2 once for that many rows, and multiplies
// kMaxProductRows of them at a time: docs/decisions/0001 has sizes measured.
inline constexpr size_t kMaxBlockRows = 384;

// Rows [begin, begin + size), size in 1..kMaxBlockRows.
struct RowBlock {
  size_t begin, size;
};

class BlockSchedule {
 public:
  // For passes of up to `max_tokens` rows of `hidden_dim` values.
  BlockSchedule(size_t max_tokens, size_t hidden_dim);

  static uint64_t Bytes(size_t max_tokens);

  // Plans a pass over texts of rows [starts[t], starts[t + 1]), starts[0] = 0. `block_rows`: of a block; 0: as large as
  // caches allow, but enough of them for every thread. Not thread-safe; allocates nothing.
  void Plan(std::span<const uint32_t> starts, size_t num_phases, size_t num_threads, size_t block_rows);

  size_t num_blocks() const { return num_blocks_; }

  struct Step {
    size_t phase;
    size_t block_idx;
    RowBlock rows;
  };

  // The next step, once all that it reads has been computed and nobody reads any more what it writes: all blocks that
  // share a text with it have finished the phase before. Null: all steps are claimed. Thread-safe.
  std::optional<Step> Next();

  // To be called once for each step, by the thread that has computed it.
  void Finish(const Step& step);

 private:
  struct Block {
    uint32_t begin, size;
    uint32_t first_needed, end_needed;  // blocks that share a text with it, itself among them
  };
  // Blocks [first_block, first_block + num_blocks) of a group's phases from `first_phase` on.
  struct GroupPhases {
    uint32_t first_step, first_phase, first_block, num_blocks;
  };
  // Texts of rows [starts[t], starts[t + 1]) in blocks of `block_rows`; in the last phase, if `ends_pass`, of fewer and fewer.
  void AddGroup(std::span<const uint32_t> starts, size_t block_rows, size_t num_threads, bool ends_pass);
  // Of all blocks from `first_block` on.
  void AddPhases(size_t first_phase, size_t num_phases, size_t first_block);

  const size_t group_rows_per_thread_;
  std::vector<Block> blocks_;
  std::vector<GroupPhases> groups_;
  std::vector<std::atomic<uint32_t>> num_finished_;  // phases of a block
  size_t num_phases_ = 0, num_blocks_ = 0, num_groups_ = 0, num_steps_ = 0;
  std::atomic<uint32_t> next_step_{0};
};

}  // namespace octet::model

#endif  // OCTET_MODEL_BLOCK_SCHEDULE_H_
