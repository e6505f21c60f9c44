#include "ops_cuda/autotune.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <string_view>
#include <type_traits>

#include "ops/conv2d.h"
#include "ops_cuda/precision.h"
#include "ops_cuda/vendor.h"

namespace limbeck::cuda {

/// One call in one direction.
struct Autotuner::Request {
  const Op& op;
  const Kernel& by_rule;
  const char* direction;  // "forward" or "gradient of"
  int gradient;           // of which input; -1: forward
  const Tensors& in;
  const Tensors& result;  // out, or din
  const Attrs& attrs;
  bool aligned;  // every tensor starts at a multiple of 16 bytes
  std::function<void(const Kernel&)> run;

  int device() const {
    for (const Tensor& t : result)
      if (t.defined()) return t.device().index;
    return 0;
  }
  std::string call() const;  // for readers
  std::string key() const;   // the same in few bytes: eager calls ask for it every time
};

namespace {

template <class T>
void append_bytes(std::string& to, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class Range>
void append_list(std::string& to, const Range& list) {
  append_bytes(to, static_cast<int64_t>(std::distance(list.begin(), list.end())));
  for (const auto& v : list) append_bytes(to, v);
}

/// Operators whose tuned kernels are the products of implicit_gemm.h.
bool is_product(const std::string& op) {
  return op == "conv2d" || op == "conv_transpose2d" || op == "linear" || op == "matmul";
}

bool is_aligned(const Tensors& list) {
  return std::all_of(list.begin(), list.end(), [](const Tensor& t) {
    return !t.defined() || reinterpret_cast<uintptr_t>(t.raw()) % 16 == 0;
  });
}

/// Depthwise convolutions are no products: tiles mean nothing to them.
bool is_depthwise_call(const std::string& op, const Tensors& in, const Attrs& attrs) {
  return attrs.integer("groups", 1) > 1 && (op == "conv2d" || op == "conv_transpose2d") &&
         in[1].defined() && in[1].shape()[3] == 1 && in[1].shape()[0] == attrs.integer("groups", 1);
}

/// One more kernel that failed, in the words for readers.
void pass_over(TunedChoice& choice, const std::string& kernel, const Error& e) {
  choice.passed_over += cat(choice.passed_over.empty() ? "" : "; ", kernel, ": ", e.what());
}

/// Ours in every cut; and the libraries, whose first question may already fail (cuDNN is asked for
/// its algorithms).
std::vector<Autotuner::Candidate> candidates(const Op& op, const Kernel& by_rule, const Tensors& in,
                                             const Attrs& attrs, bool aligned, bool reads_weights,
                                             TunedChoice& choice) {
  std::vector<Autotuner::Candidate> list{{&by_rule, {}}};
  const bool rounds = by_rule.dtype == DType::bf16 && reads_weights &&
                      (op.name == "conv2d" || op.name == "conv_transpose2d");
  if (by_rule.name == "cuda" && !is_depthwise_call(op.name, in, attrs))
    for (const int tile : {64064, 128128, 128032, 128016})
      for (const int parts : {0, 1, 4}) {
        list.push_back({&by_rule, {tile, parts, 0}});
        if (rounds && (tile == 64064 || tile == 128128))
          list.push_back({&by_rule, {tile, parts, 1}});
      }
  if (!aligned) return list;  // cuDNN may read 16 bytes at a time
  for (const Kernel* k : kernels_of(op.name)) {
    if (k->device != DeviceKind::cuda || k->dtype != by_rule.dtype || k->priority >= 0 ||
        (k->missing && !k->missing().empty()))
      continue;
    try {
      if (!k->supports || k->supports(in, attrs)) list.push_back({k, {}});
    } catch (const Error& e) {
      pass_over(choice, k->name, e);
    }
  }
  return list;
}

/// Runs with the cuts of a candidate.
void run(const Autotuner::Candidate& c, const std::function<void(const Kernel&)>& call) {
  if (!c.cuts.tile && !c.cuts.parts) return call(*c.kernel);
  const ExecutionScope scope(with(&Execution::cuts, c.cuts));
  call(*c.kernel);
}

class Stopwatch {
 public:
  explicit Stopwatch(int device)
      : stream_(stream(device)),
        fill_(Tensor::empty({fill_bytes}, DType::u8, Device{DeviceKind::cuda, device})) {
    cuda_check(cudaEventCreateWithFlags(&begin_, cudaEventDefault));
    cuda_check(cudaEventCreateWithFlags(&end_, cudaEventDefault));
  }
  ~Stopwatch() {
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
  }
  Stopwatch(const Stopwatch&) = delete;

  /// Seconds of one call on the device.
  double time(const std::function<void()>& call) {
    for (int i = 0; i < 4; ++i)
      cuda_check(cudaMemsetAsync(fill_.raw(), 0, static_cast<size_t>(fill_bytes), stream_));
    cuda_check(cudaEventRecord(begin_, stream_));
    for (int i = 0; i < calls; ++i) call();
    cuda_check(cudaEventRecord(end_, stream_));
    cuda_check(cudaEventSynchronize(end_));
    float milliseconds = 0;
    cuda_check(cudaEventElapsedTime(&milliseconds, begin_, end_));
    return 1e-3 * static_cast<double>(milliseconds) / calls;
  }

 private:
  static constexpr int64_t fill_bytes =
      world::simulated ? 256 : int64_t{64} << 20;  // four of them: about 0.1 ms on a large GPU
  static constexpr int calls = world::simulated ? 1 : 4;
  cudaStream_t stream_;
  Tensor fill_;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
};

double median_of_three(Stopwatch& watch, const std::function<void()>& call) {
  call();  // allocates, loads, plans
  std::array<double, 3> seconds{};
  for (double& s : seconds) s = watch.time(call);
  std::sort(seconds.begin(), seconds.end());
  return seconds[1];
}

void print_choices() {
  for (const TunedChoice& c : autotuner().choices())
    std::fprintf(stderr, "%-16s %9.1f us (%s: %.1f us)  %s%s%s\n", c.kernel.c_str(),
                 c.seconds * 1e6, c.rule.c_str(), c.rule_seconds * 1e6, c.call.c_str(),
                 c.passed_over.empty() ? "" : "; passed over: ", c.passed_over.c_str());
}

bool profiling() {
  const char* v = std::getenv("LIMBECK_PROFILE");
  return v && *v && std::string_view(v) != "0";
}

}  // namespace

std::string Autotuner::Candidate::name() const {
  if (!cuts.tile) return kernel->name;
  return cat(kernel->name, " ", cuts.tile / 1000, "x", cuts.tile % 1000,
             cuts.parts ? cat(" in ", cuts.parts) : "",
             cuts.round_weights > 0 ? " rounding weights first" : "");
}

std::string Autotuner::Request::call() const {
  std::string text = cat(
      op.name, " ", direction,
      gradient < 0
          ? ""
          : " " + op.inputs[std::min(static_cast<size_t>(gradient), op.inputs.size() - 1)].name);
  for (const Tensor& t : in) text += t.defined() ? cat(" ", t.shape()) : " -";
  const std::string settings = to_string(attrs);
  const char* type =
      by_rule.dtype == DType::bf16 ? "stored in bf16" : name_of(execution().products);
  return cat(text, settings.empty() ? "" : " ", settings, " ", type, aligned ? "" : " unaligned",
             device() ? cat(" cuda:", device()) : "");
}

std::string Autotuner::Request::key() const {
  std::string k;
  k.reserve(256);
  append_bytes(k, &op);
  append_bytes(k, gradient);
  append_bytes(k, by_rule.dtype);
  append_bytes(k, execution().products);
  append_bytes(k, aligned);
  append_bytes(k, device());
  for (const Tensor& t : in) {
    append_bytes(k, t.defined());
    if (t.defined()) append_list(k, t.shape());
  }
  for (const auto& [name, value] : attrs.values()) {
    append_list(k, name);
    append_bytes(k, value.index());
    std::visit(
        [&](const auto& v) {
          if constexpr (std::is_arithmetic_v<std::decay_t<decltype(v)>>)
            append_bytes(k, v);
          else
            append_list(k, v);
        },
        value);
  }
  return k;
}

Autotuner::Candidate Autotuner::measure(const Request& r) {
  TunedChoice choice{.call = r.call(),
                     .kernel = {},
                     .seconds = 0,
                     .rule = r.by_rule.name,
                     .rule_seconds = 0,
                     .passed_over = {}};
  const std::vector<Candidate> list =
      candidates(r.op, r.by_rule, r.in, r.attrs, r.aligned, r.gradient != 1, choice);
  Stopwatch watch(r.device());
  const Candidate* best = nullptr;
  for (const Candidate& c : list) {
    double seconds = 0;
    try {
      seconds = median_of_three(watch, [&] { run(c, r.run); });
    } catch (const Error& e) {
      if (c.kernel == &r.by_rule) throw;
      pass_over(choice, c.name(), e);
      continue;
    }
    if (!best) choice.rule_seconds = seconds;  // the rule's kernel comes first
    if (best && seconds >= choice.seconds) continue;
    best = &c;
    choice.seconds = seconds;
  }
  choice.kernel = best->name();
  if (choices_.empty() && profiling()) std::atexit(print_choices);
  choices_.push_back(choice);
  return *best;
}

/// One measurement at a time: others would wait on the same stream.
Autotuner::Candidate Autotuner::choice_for(const Request& r) {
  const std::lock_guard lock(mutex_);
  const std::string key = r.key();
  if (const auto found = chosen_.find(key); found != chosen_.end()) return found->second;
  if (is_capturing(r.device())) return {&r.by_rule, {}};
  return chosen_.emplace(key, measure(r)).first->second;
}

void Autotuner::serve(const Request& r) {
  const bool empty = std::all_of(r.result.begin(), r.result.end(),
                                 [](const Tensor& t) { return !t.defined() || t.numel() == 0; });
  if (empty || !is_product(r.op.name) || r.by_rule.dtype == DType::f64) return r.run(r.by_rule);
  // After a measurement too: the result comes from the chosen kernel.
  run(choice_for(r), r.run);
}

void Autotuner::forward(const Op& op, const Kernel& by_rule, const ForwardCall& c) {
  serve({op, by_rule, "forward", -1, c.in, c.out, c.attrs, is_aligned(c.in) && is_aligned(c.out),
         [&](const Kernel& k) { k.forward(c); }});
}

void Autotuner::backward(const Op& op, const Kernel& by_rule, const BackwardCall& c) {
  if (!is_product(op.name)) return by_rule.backward(c);
  const bool aligned = is_aligned(c.in) && is_aligned(c.dout) && is_aligned(c.din);
  for (size_t i = 0; i < c.din.size(); ++i) {
    if (!c.din[i].defined()) continue;
    Tensors alone(c.din.size());
    alone[i] = c.din[i];
    const BackwardCall one{c.in, c.out, c.dout, alone, c.attrs};
    if (i > 1)
      by_rule.backward(one);  // biases: nothing to choose from
    else
      serve({op, by_rule, "gradient of", static_cast<int>(i), c.in, alone, c.attrs, aligned,
             [&](const Kernel& k) { k.backward(one); }});
  }
}

std::vector<TunedChoice> Autotuner::choices() const {
  const std::lock_guard lock(mutex_);
  return choices_;
}

void Autotuner::clear() {
  const std::lock_guard lock(mutex_);
  chosen_.clear();
  choices_.clear();
}

Autotuner& autotuner() {
  static auto* t = new Autotuner;
  return *t;
}

namespace {
const bool registered = (register_kernel_tuner(DeviceKind::cuda, autotuner()), true);
}

}  // namespace limbeck::cuda
