#include "apps/ops_bench.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>

#include "ops/cases.h"
#include "tensor/device.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

/// Median seconds of f(), repeated for about `budget` seconds after warm-up calls.
template <class F>
double median_seconds(double budget, Device device, F&& f) {
  using Clock = std::chrono::steady_clock;
  const auto time_of = [&](int calls) {
    const auto begin = Clock::now();
    for (int i = 0; i < calls; ++i) f();
    if (device != cpu) backend(device).synchronise(device.index);
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  time_of(1);
  // Waiting for a device takes longer than a short kernel: about 2 ms of calls between two waits.
  const int calls = device == cpu ? 1 : static_cast<int>(std::clamp(2e-3 / time_of(1), 1.0, 200.0));
  std::vector<double> times;
  double total = 0;
  while (times.size() < 3 || (total < budget && times.size() < 10000)) {
    const double seconds = time_of(calls);
    times.push_back(seconds / calls);
    total += seconds;
  }
  std::nth_element(times.begin(), times.begin() + static_cast<long>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

double bytes_of(const Tensors& list) {
  double sum = 0;
  for (const Tensor& t : list)
    if (t.defined()) sum += static_cast<double>(t.bytes());
  return sum;
}

Tensors only(const Tensors& list, const std::vector<int>& which) {
  Tensors result(list.size());
  for (int i : which) result[i] = list[i];
  return result;
}

int64_t elements(const OpCase& c) {
  int64_t n = 0;
  for (const CaseInput& i : c.inputs) n += i.given ? i.shape.numel() : 0;
  return n;
}

Tensors moved(const Tensors& list, Device device) {
  Tensors result;
  for (const Tensor& t : list) result.push_back(t.defined() ? t.to(device) : Tensor());
  return result;
}

Speed speed(double seconds, double bytes, double flops, const Roofline& roofline) {
  return {seconds, bytes, flops, roofline.seconds(bytes, flops) / seconds};
}

/// What is timed.
struct Calls {
  std::string name;
  DType dtype;
  std::function<void(const ForwardCall&)> forward;
  std::function<void(const BackwardCall&)> backward;
};

BenchRow bench_calls(const Op& op, const OpCase& c, const Calls& calls, Device device, const Roofline& roofline, double budget) {
  const Tensors in = moved(case_inputs(op, c, calls.dtype), device);
  Tensors out, dout, din;
  for (const TensorSpec& s : op.infer(in, c.attrs)) out.push_back(Tensor::empty(s.shape, s.dtype, device));
  BenchRow row{op.name, calls.name, describe(op, c), {}, {}, op.backward != nullptr};
  double flops = op.flops ? op.flops(in, c.attrs) : 0;
  if (!op.flops)
    for (const Tensor& t : out) flops += static_cast<double>(t.numel());
  const double forward = median_seconds(budget, device, [&] { calls.forward({in, out, c.attrs}); });
  row.forward = speed(forward, bytes_of(in) + bytes_of(out), flops, roofline);
  if (!row.has_backward) return row;

  for (size_t j = 0; j < out.size(); ++j) {
    if (!op.outputs[j].differentiable) {
      dout.emplace_back();
      continue;
    }
    const Tensor cotangent = Tensor::empty(out[j].shape(), DType::f32);
    Stream(j).fill_uniform(cotangent, -1, 1);
    dout.push_back(cotangent.to(out[j].dtype()).to(device));
  }
  for (size_t i = 0; i < in.size(); ++i) din.push_back(in[i].defined() && input_of(op, i).differentiable ? Tensor::empty_like(in[i]) : Tensor());
  const Tensors saved_in = only(in, op.saved_inputs), saved_out = only(out, op.saved_outputs);
  const double backward = median_seconds(budget, device, [&] { calls.backward({saved_in, saved_out, dout, din, c.attrs}); });
  row.backward = speed(backward, bytes_of(saved_in) + bytes_of(saved_out) + bytes_of(dout) + bytes_of(din), 2 * flops, roofline);
  return row;
}

}  // namespace

Roofline measure_roofline(Device device) {
  const Tensor from = Tensor::empty({int64_t{64} << 20}, DType::u8, device), to = Tensor::empty_like(from);
  const double seconds = median_seconds(0.1, device, [&] { to.copy_from(from); });
  return {2.0 * static_cast<double>(from.bytes()) / seconds, std::numeric_limits<double>::infinity()};
}

std::vector<OpCase> bench_cases(const Op& op) {
  if (!op.bench_cases.empty()) return op.bench_cases;
  if (op.cases.empty()) return {};
  return {*std::max_element(op.cases.begin(), op.cases.end(), [](const OpCase& a, const OpCase& b) { return elements(a) < elements(b); })};
}

BenchRow bench_kernel(const Op& op, const OpCase& c, const Kernel& kernel, Device device, const Roofline& roofline, double budget) {
  return bench_calls(op, c, {kernel.name, kernel.dtype, kernel.forward, kernel.backward ? kernel.backward : op.backward}, device, roofline, budget);
}

BenchRow bench_dispatch(const Op& op, const OpCase& c, Device device, const Roofline& roofline, double budget) {
  const auto backward = [&](const BackwardCall& call) {
    std::vector<TensorSpec> specs;
    std::vector<bool> wanted;
    for (const Tensor& t : call.din) {
      specs.push_back({t.defined() ? t.shape() : Shape{}, t.defined() ? t.dtype() : DType::f32});
      wanted.push_back(t.defined());
    }
    run_backward(op, call.in, call.out, call.dout, specs, wanted, call.attrs);
  };
  return bench_calls(op, c, {"tuned", DType::f32, [&](const ForwardCall& call) { run_forward(op, call.in, call.attrs); }, backward}, device, roofline, budget);
}

}  // namespace limbeck
