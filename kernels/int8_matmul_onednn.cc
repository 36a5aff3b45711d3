// The int8 product through oneDNN, whose u8 x s8 kernels are exact from VNNI on. The only file that computes
// with oneDNN.
#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/aligned_buffer.h"
#include "base/check.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "kernels/int8_matmul_kinds.h"

namespace octet::kernels {
namespace {

dnnl::engine& Engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::cpu_isa OneDnnIsa(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
    case Isa::kAvx2:
      return dnnl::cpu_isa::avx2;
    case Isa::kAvx512:
      return dnnl::cpu_isa::avx512_core;
    case Isa::kAvx512Vnni:
      return dnnl::cpu_isa::avx512_core_vnni;
    case Isa::kAvx512Bf16:
      return dnnl::cpu_isa::avx512_core_bf16;
    case Isa::kAvx512Amx:
      return dnnl::cpu_isa::avx512_core_amx;
  }
  return dnnl::cpu_isa::avx2;
}

// Sizes of row blocks that are prepared, and the index of the smallest of at least `rows` rows.
constexpr size_t kBlockRows[] = {4, 8, 16, 24, 32, 40, 48, 56, 64};
size_t BlockIndex(size_t rows) { return rows <= 4 ? 0 : (rows + 7) / 8; }

class OneDnnPackedWeights final : public PackedInt8Weights {
 public:
  explicit OneDnnPackedWeights(dnnl::memory memory) : memory_(std::move(memory)) {}
  size_t bytes() const override { return memory_.get_desc().get_size(); }
  dnnl_memory_t handle() const { return memory_.get(); }

 private:
  dnnl::memory memory_;
};

class OneDnnContext final : public Int8Matmul::Context {
 public:
  struct Block {
    dnnl::memory src, dst, scratchpad;
  };
  OneDnnContext() : stream(Engine()) {}

  dnnl::stream stream;
  std::vector<Block> blocks;  // one per kBlockRows
  AlignedBuffer<uint8_t> scratchpad;
};

class OneDnnInt8Matmul final : public Int8Matmul {
 public:
  using dt = dnnl::memory::data_type;
  using tag = dnnl::memory::format_tag;

  static absl::StatusOr<std::unique_ptr<Int8Matmul>> Make(size_t depth, size_t cols) {
    auto matmul = std::unique_ptr<OneDnnInt8Matmul>(new OneDnnInt8Matmul(depth, cols));
    try {
      RETURN_IF_ERROR(matmul->MakePrimitives());
    } catch (const dnnl::error& e) {
      return absl::InternalError(absl::StrCat("oneDNN has no int8 product for ", depth, " x ", cols, ": ",
                                              e.message == nullptr ? "" : e.message));
    }
    return matmul;
  }

  absl::StatusOr<std::unique_ptr<PackedInt8Weights>> Pack(std::span<const int8_t> weights) const override {
    OCTET_CHECK(weights.size() == depth() * cols());
    try {
      // [cols, depth] rows are the columns of the product's [depth, cols] factor: tag ba.
      const dnnl::memory::desc plain(WeightDims(), dt::s8, tag::ba);
      dnnl::memory source(plain, Engine(), const_cast<int8_t*>(weights.data()));
      dnnl::memory packed(weights_desc_, Engine());
      dnnl::stream stream(Engine());
      dnnl::reorder(source, packed).execute(stream, source, packed);
      stream.wait();
      return std::make_unique<OneDnnPackedWeights>(std::move(packed));
    } catch (const dnnl::error& e) {
      return absl::InternalError(
          absl::StrCat("oneDNN cannot pack int8 weights: ", e.message == nullptr ? "" : e.message));
    }
  }

  std::unique_ptr<Context> NewContext() const override {
    auto context = std::make_unique<OneDnnContext>();
    size_t scratchpad_bytes = 1;
    for (const auto& pd : descs_) {
      scratchpad_bytes = std::max(scratchpad_bytes, pd.scratchpad_desc().get_size());
    }
    context->scratchpad = AlignedBuffer<uint8_t>(scratchpad_bytes);
    for (const auto& pd : descs_) {
      context->blocks.push_back(
          {.src = dnnl::memory(pd.src_desc(), Engine(), DNNL_MEMORY_NONE),
           .dst = dnnl::memory(pd.dst_desc(), Engine(), DNNL_MEMORY_NONE),
           .scratchpad = dnnl::memory(pd.scratchpad_desc(), Engine(), context->scratchpad.data())});
    }
    return context;
  }

  // By the C interface: the C++ one builds a hash map for every call.
  void Run(const uint8_t* a, const PackedInt8Weights& weights, size_t rows, Context* context,
           int32_t* acc) const override {
    auto* const own = static_cast<OneDnnContext*>(context);
    const size_t block_idx = BlockIndex(rows);
    OneDnnContext::Block& block = own->blocks[block_idx];
    const auto ok = [](dnnl_status_t status) { OCTET_CHECK(status == dnnl_success); };
    ok(dnnl_memory_set_data_handle(block.src.get(), const_cast<uint8_t*>(a)));
    ok(dnnl_memory_set_data_handle(block.dst.get(), acc));
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, block.src.get()},
        {DNNL_ARG_WEIGHTS, static_cast<const OneDnnPackedWeights&>(weights).handle()},
        {DNNL_ARG_DST, block.dst.get()},
        {DNNL_ARG_SCRATCHPAD, block.scratchpad.get()},
    };
    ok(dnnl_primitive_execute(primitives_[block_idx].get(), own->stream.get(), std::size(args), args));
  }

  std::string implementation_name() const override { return implementation_name_; }

 private:
  OneDnnInt8Matmul(size_t depth, size_t cols) : Int8Matmul(depth, cols) {}

  dnnl::memory::dims WeightDims() const { return {static_cast<dnnl_dim_t>(depth()), static_cast<dnnl_dim_t>(cols())}; }

  absl::Status MakePrimitives() {
    dnnl::primitive_attr attr;
    // A scratchpad of oneDNN's own belongs to the thread that made the primitive.
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    // The largest block chooses the layout, all others must take it.
    for (size_t i = std::size(kBlockRows); i-- > 0;) {
      const auto rows = static_cast<dnnl_dim_t>(kBlockRows[i]);
      const dnnl::memory::desc src({rows, static_cast<dnnl_dim_t>(depth())}, dt::u8, tag::ab);
      const dnnl::memory::desc dst({rows, static_cast<dnnl_dim_t>(cols())}, dt::s32, tag::ab);
      const dnnl::memory::desc wei =
          descs_.empty() ? dnnl::memory::desc(WeightDims(), dt::s8, tag::any) : weights_desc_;
      dnnl::matmul::primitive_desc pd(Engine(), src, wei, dst, attr);
      const std::string name = pd.impl_info_str();
      if (absl::StrContains(name, "ref")) {
        return absl::InternalError(absl::StrCat("oneDNN has only the reference kernel \"", name, "\" for int8 ", rows,
                                                " x ", depth(), " x ", cols()));
      }
      if (descs_.empty()) weights_desc_ = pd.weights_desc();
      if (!absl::StrContains(implementation_name_, name)) {
        absl::StrAppend(&implementation_name_, implementation_name_.empty() ? "" : ",", name);
      }
      descs_.insert(descs_.begin(), pd);
      primitives_.insert(primitives_.begin(), dnnl::matmul(pd));
    }
    return absl::OkStatus();
  }

  std::vector<dnnl::matmul::primitive_desc> descs_;  // one per kBlockRows, as primitives_
  std::vector<dnnl::matmul> primitives_;
  dnnl::memory::desc weights_desc_;
  std::string implementation_name_;
};

struct OneDnnLimit {
  Mutex mu;
  bool set ABSL_GUARDED_BY(mu) = false;
  Isa isa ABSL_GUARDED_BY(mu) = Isa::kScalar;
};

OneDnnLimit& Limit() {
  static OneDnnLimit limit;
  return limit;
}

}  // namespace

absl::Status LimitOneDnn(Isa isa) {
  OneDnnLimit& limit = Limit();
  MutexLock lock(&limit.mu);
  if (limit.set) {
    if (limit.isa == isa) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat("oneDNN is limited to ", IsaName(limit.isa), " in this process, ", IsaName(isa), " asked for"));
  }
  if (isa != Isa::kScalar) {
    // The variable of the same purpose would win over the call.
    unsetenv("ONEDNN_MAX_CPU_ISA");
    unsetenv("DNNL_MAX_CPU_ISA");
    const dnnl::cpu_isa wanted = OneDnnIsa(isa);
    if (dnnl::set_max_cpu_isa(wanted) != dnnl::status::success || dnnl::get_effective_cpu_isa() != wanted) {
      return absl::FailedPreconditionError(absl::StrCat("oneDNN does not run at ", IsaName(isa), ", only at level ",
                                                        static_cast<int>(dnnl::get_effective_cpu_isa())));
    }
  }
  limit.set = true;
  limit.isa = isa;
  return absl::OkStatus();
}

std::string OneDnnIsaName() {
  OneDnnLimit& limit = Limit();
  MutexLock lock(&limit.mu);
  if (!limit.set || limit.isa == Isa::kScalar) return "none";
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    default:
      return absl::StrCat("level ", static_cast<int>(dnnl::get_effective_cpu_isa()));
  }
}

absl::StatusOr<std::unique_ptr<Int8Matmul>> MakeOneDnnInt8Matmul(size_t depth, size_t cols) {
  return OneDnnInt8Matmul::Make(depth, cols);
}

}  // namespace octet::kernels
