#include "tests/model/encoder_invariance.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "base/check.h"
#include "kernels/thread_team.h"
#include "model/text_model.h"

namespace octet::model {
namespace {

using Text = std::vector<int32_t>;

class Checker {
 public:
  explicit Checker(const InvarianceOptions& options) : options_(options), random_(20241) {
    auto loaded = TextModel::Load(options.directory, {.precision = options.precision,
                                                      .isa = options.isa,
                                                      .max_batch_tokens = options.max_batch_tokens,
                                                      .num_threads = 3,
                                                      .plan = options.plan,
                                                      .activation_range = options.activation_range,
                                                      .needs_text = false});
    if (!loaded.ok()) std::fprintf(stderr, "%s\n", loaded.status().ToString().c_str());
    OCTET_CHECK(loaded.ok());
    model_ = *std::move(loaded);
    MakeTexts();
  }

  InvarianceResult Run() {
    RunAlone();
    for (const int num_threads : {1, 2, 3}) {
      kernels::ThreadTeam team(num_threads);
      auto workspace = model_->encoder().NewWorkspace(&team);
      for (const size_t block_rows : {0, 1, 3, 13, 64, 65, 150, 384}) {
        workspace->SetBlockRows(block_rows);
        RunTogether(workspace.get());
      }
    }
    return result_;
  }

 private:
  Text RandomText(size_t length) {
    std::uniform_int_distribution<int32_t> id(0, static_cast<int32_t>(model_->info().vocab_size) - 1);
    Text text(length);
    for (int32_t& token : text) token = id(random_);
    return text;
  }

  // The first texts are the hostile ones, so that every batch gets some.
  void MakeTexts() {
    const size_t max_tokens = model_->info().max_tokens;
    texts_.push_back(RandomText(max_tokens));
    texts_.push_back(RandomText(1));
    texts_.push_back(Text(max_tokens, texts_[1][0]));  // one token over and over: the sharpest attention
    texts_.push_back(Text(1, 0));
    std::uniform_int_distribution<size_t> length(1, max_tokens);
    while (texts_.size() < options_.num_texts) texts_.push_back(RandomText(length(random_)));
  }

  // Hidden states of all texts of `order`, by text.
  std::map<size_t, std::vector<float>> Forward(const std::vector<size_t>& order, EncoderWorkspace* workspace) {
    std::vector<int32_t> ids;
    std::vector<uint32_t> starts = {0};
    for (const size_t t : order) {
      ids.insert(ids.end(), texts_[t].begin(), texts_[t].end());
      starts.push_back(static_cast<uint32_t>(ids.size()));
    }
    const auto states = model_->encoder().Forward({.ids = ids, .type_ids = {}, .starts = starts}, workspace);
    OCTET_CHECK(states.ok());
    std::map<size_t, std::vector<float>> by_text;
    for (size_t i = 0; i < order.size(); ++i) {
      const auto rows = states->Rows(starts[i], starts[i + 1] - starts[i]);
      by_text[order[i]].assign(rows.data(), rows.data() + rows.rows() * rows.cols());
    }
    return by_text;
  }

  void RunAlone() {
    kernels::ThreadTeam team(1);
    auto workspace = model_->encoder().NewWorkspace(&team);
    for (size_t t = 0; t < texts_.size(); ++t) alone_[t] = Forward({t}, workspace.get()).at(t);
  }

  // All texts once, in batches as large as they may be, a hostile text in each.
  void RunTogether(EncoderWorkspace* workspace) {
    std::vector<size_t> order(texts_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random_);
    std::vector<size_t> batch;
    size_t num_tokens = 0, next_hostile = 0;
    const auto flush = [&] {
      if (!batch.empty()) Compare(Forward(batch, workspace));
      batch.clear();
      num_tokens = 0;
    };
    const auto add = [&](size_t t) {
      if (num_tokens + texts_[t].size() > options_.max_batch_tokens) flush();
      if (std::find(batch.begin(), batch.end(), t) != batch.end()) return;
      batch.push_back(t);
      num_tokens += texts_[t].size();
    };
    for (const size_t t : order) {
      add(t);
      if (batch.size() == 1) add(next_hostile++ % 4);
    }
    flush();
  }

  void Compare(const std::map<size_t, std::vector<float>>& together) {
    for (const auto& [text, states] : together) {
      const std::vector<float>& expected = alone_.at(text);
      OCTET_CHECK(states.size() == expected.size());
      const auto* a = reinterpret_cast<const unsigned char*>(states.data());
      const auto* b = reinterpret_cast<const unsigned char*>(expected.data());
      for (size_t i = 0; i < states.size() * sizeof(float); ++i) result_.differing_bytes += a[i] != b[i];
      ++result_.compared_texts;
    }
  }

  const InvarianceOptions options_;
  std::mt19937 random_;
  std::shared_ptr<const TextModel> model_;
  std::vector<Text> texts_;
  std::map<size_t, std::vector<float>> alone_;
  InvarianceResult result_;
};

}  // namespace

InvarianceResult RunInvariance(const InvarianceOptions& options) { return Checker(options).Run(); }

}  // namespace octet::model
