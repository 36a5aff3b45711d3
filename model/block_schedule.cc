#include "model/block_schedule.h"

#include <algorithm>

#include "base/rounding.h"
#include "base/spin_wait.h"

namespace octet::model {
namespace {

constexpr size_t kMinGroupRowsPerThread = 256;

// Rows of a group for each thread. Fewer cost more passes over the weights, which grow with the square of `hidden_dim`; more
// leave the caches, by values that grow with it. docs/decisions/0001 has both measured.
size_t GroupRowsPerThread(size_t hidden_dim) { return std::max(hidden_dim * 4 / 3, kMinGroupRowsPerThread); }

// Fewer rows take as long: products are prepared for no less, and every block reads all weights. Who has a smaller rest beside
// them waits so long that it sleeps.
constexpr size_t kMinBlockRows = 4;

// Enough blocks that every thread gets the same number, all of nearly one size.
size_t BlockRows(size_t num_rows, size_t num_threads) {
  const size_t blocks = num_threads * DivideUp(num_rows, num_threads * kMaxBlockRows);
  return DivideUp(num_rows, std::clamp<size_t>(num_rows / kMinBlockRows, 1, blocks));
}

// Fewer rows of the last phase are not worth another pass over its weights.
constexpr size_t kMinLastRows = 64;

// Of the last phase's next block, while `left` rows are: each thread's share of them (guided self-scheduling: Polychronopoulos
// and Kuck, 1987).
size_t LastRows(size_t left, size_t num_threads, size_t block_rows) {
  constexpr size_t kProductRows = 32;  // of int8 with VNNI; others multiply this many at a time as well
  return std::min(left, std::clamp(left / num_threads / kProductRows * kProductRows, kMinLastRows, block_rows));
}

// Each group reaches its share of the rows, so there are no more than are wanted on one thread; and one more for the last phase.
size_t MaxGroups(size_t max_tokens) { return DivideUp(max_tokens, kMinGroupRowsPerThread) + 1; }

}  // namespace

BlockSchedule::BlockSchedule(size_t max_tokens, size_t hidden_dim)
    : group_rows_per_thread_(GroupRowsPerThread(hidden_dim)),
      blocks_(max_tokens),
      groups_(MaxGroups(max_tokens)),
      num_finished_(max_tokens) {}

uint64_t BlockSchedule::Bytes(size_t max_tokens) {
  return uint64_t{max_tokens} * (sizeof(Block) + sizeof(std::atomic<uint32_t>)) +
         MaxGroups(max_tokens) * sizeof(GroupPhases);
}

void BlockSchedule::Plan(std::span<const uint32_t> starts, size_t num_phases, size_t num_threads, size_t block_rows) {
  num_phases_ = num_phases;
  num_blocks_ = num_groups_ = num_steps_ = 0;
  const size_t num_texts = starts.size() - 1, num_rows = starts.back();
  const size_t wanted_rows = group_rows_per_thread_ * num_threads;
  const size_t wanted_groups = std::max<size_t>((num_rows + wanted_rows / 2) / wanted_rows, 1);  // the nearest number
  // Groups of nearly one size: group g ends with the text that reaches g + 1 shares of the rows.
  for (size_t text = 0, g = 0; text < num_texts; ++g) {
    const size_t wanted_end = num_rows * (g + 1) / wanted_groups;
    size_t end = text + 1;
    while (end < num_texts && starts[end] < wanted_end) ++end;
    const size_t group_rows = starts[end] - starts[text];
    AddGroup(starts.subspan(text, end - text + 1), block_rows != 0 ? block_rows : BlockRows(group_rows, num_threads),
             num_threads, /*ends_pass=*/end == num_texts);
    text = end;
  }
  for (size_t i = 0; i < num_blocks_; ++i) num_finished_[i].store(0, std::memory_order_relaxed);
  next_step_.store(0, std::memory_order_relaxed);
}

void BlockSchedule::AddGroup(std::span<const uint32_t> starts, size_t block_rows, size_t num_threads, bool ends_pass) {
  const auto first_row = starts.front(), end_row = starts.back();
  const size_t first_block = num_blocks_;
  const auto text_of = [&](uint32_t row) { return std::prev(std::upper_bound(starts.begin(), starts.end(), row)); };
  const auto block_of = [&](uint32_t row) {
    return static_cast<uint32_t>(first_block + (row - first_row) / block_rows);
  };
  const auto add_blocks = [&](auto rows_of_next) {
    for (uint32_t begin = first_row; begin < end_row; begin += blocks_[num_blocks_ - 1].size) {
      const auto size = static_cast<uint32_t>(rows_of_next(end_row - begin));
      blocks_[num_blocks_++] = {.begin = begin,
                                .size = size,
                                .first_needed = block_of(*text_of(begin)),
                                .end_needed = block_of(*std::next(text_of(begin + size - 1)) - 1) + 1};
    }
  };
  add_blocks([&](size_t left) { return std::min(left, block_rows); });
  const bool shrinks = ends_pass && num_threads > 1 && blocks_[first_block].size >= 2 * kMinLastRows;
  const size_t first_shrinking = num_phases_ - (shrinks ? 1 : 0);
  AddPhases(0, first_shrinking, first_block);
  if (shrinks) {
    const size_t first_last_block = num_blocks_;
    add_blocks([&](size_t left) { return LastRows(left, num_threads, block_rows); });
    AddPhases(first_shrinking, 1, first_last_block);
  }
}

void BlockSchedule::AddPhases(size_t first_phase, size_t num_phases, size_t first_block) {
  const size_t num_blocks = num_blocks_ - first_block;
  groups_[num_groups_++] = {.first_step = static_cast<uint32_t>(num_steps_),
                            .first_phase = static_cast<uint32_t>(first_phase),
                            .first_block = static_cast<uint32_t>(first_block),
                            .num_blocks = static_cast<uint32_t>(num_blocks)};
  num_steps_ += num_blocks * num_phases;
}

std::optional<BlockSchedule::Step> BlockSchedule::Next() {
  const uint32_t step = next_step_.fetch_add(1, std::memory_order_relaxed);
  if (step >= num_steps_) return std::nullopt;
  const auto groups = std::span(groups_).first(num_groups_);
  const GroupPhases& group = *std::prev(std::upper_bound(
      groups.begin(), groups.end(), step, [](uint32_t s, const GroupPhases& g) { return s < g.first_step; }));
  const uint32_t in_group = step - group.first_step, phase = group.first_phase + in_group / group.num_blocks;
  const size_t block_idx = group.first_block + in_group % group.num_blocks;
  const Block& block = blocks_[block_idx];
  for (size_t i = block.first_needed; i < block.end_needed; ++i) WaitUntilAtLeast(num_finished_[i], phase);
  return Step{.phase = phase, .block_idx = block_idx, .rows = {block.begin, block.size}};
}

void BlockSchedule::Finish(const Step& step) {
  StoreAndNotify(num_finished_[step.block_idx], static_cast<uint32_t>(step.phase + 1));
}

}  // namespace octet::model
