#include "apps/ops_bench.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "ops/cases.h"
#include "tensor/device.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

/// Median seconds of f(), repeated for about `budget` seconds after one warm-up call. Work queued on a device is waited for once in `group`
/// calls, so that the way to it and back does not count.
template <class F>
double median_seconds(double budget, Device device, F&& f) {
  using Clock = std::chrono::steady_clock;
  const int group = device == cpu ? 1 : 20;
  const auto wait = [&] { if (device != cpu) backend(device).synchronise(device.index); };
  f();
  wait();
  std::vector<double> times;
  double total = 0;
  while (times.size() < 3 || (total < budget && times.size() < 10000)) {
    const auto begin = Clock::now();
    for (int i = 0; i < group; ++i) f();
    wait();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    times.push_back(seconds / group);
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

Speed speed(double seconds, double bytes, double flops, const Roofline& roofline) {
  return {seconds, bytes, flops, roofline.seconds(bytes, flops) / seconds};
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

BenchRow bench_kernel(const Op& op, const OpCase& c, const Kernel& kernel, const Roofline& roofline, double budget) {
  const Device device{kernel.device};
  Tensors in = case_inputs(op, c, kernel.dtype), out, dout, din;
  for (Tensor& t : in) t = t.to(device);
  for (const TensorSpec& s : op.infer(in, c.attrs)) out.push_back(Tensor::empty(s.shape, s.dtype, device));
  BenchRow row{op.name, kernel.name, describe(op, c), {}, {}, op.backward != nullptr};
  double flops = op.flops ? op.flops(in, c.attrs) : 0;
  if (!op.flops)
    for (const Tensor& t : out) flops += static_cast<double>(t.numel());
  const double forward = median_seconds(budget, device, [&] { kernel.forward({in, out, c.attrs}); });
  row.forward = speed(forward, bytes_of(in) + bytes_of(out), flops, roofline);
  if (!row.has_backward) return row;

  for (size_t j = 0; j < out.size(); ++j) {
    dout.push_back(op.outputs[j].differentiable ? Tensor::empty_like(out[j]) : Tensor());
    if (dout[j].defined()) Stream(j).fill_uniform(dout[j], -1, 1);
  }
  for (size_t i = 0; i < in.size(); ++i) din.push_back(in[i].defined() && input_of(op, i).differentiable ? Tensor::empty_like(in[i]) : Tensor());
  const Tensors saved_in = only(in, op.saved_inputs), saved_out = only(out, op.saved_outputs);
  const BackwardFn run = kernel.backward ? kernel.backward : op.backward;
  const double backward = median_seconds(budget, device, [&] { run({saved_in, saved_out, dout, din, c.attrs}); });
  row.backward = speed(backward, bytes_of(saved_in) + bytes_of(saved_out) + bytes_of(dout) + bytes_of(din), 2 * flops, roofline);
  return row;
}

}  // namespace limbeck
