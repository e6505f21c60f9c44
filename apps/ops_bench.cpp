#include "apps/ops_bench.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "apps/bench_calls.h"
#include "ops/cases.h"
#include "tensor/device.h"

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
  // Waiting for a device takes longer than a short kernel: about 2 ms of work between two waits.
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

int64_t elements(const OpCase& c) {
  int64_t n = 0;
  for (const CaseInput& i : c.inputs) n += i.given ? i.shape.numel() : 0;
  return n;
}

Speed speed(double seconds, double bytes, double flops, const Roofline& roofline) {
  return {seconds, bytes, flops, roofline.seconds(bytes, flops) / seconds};
}

/// What is timed.
struct Calls {
  std::string name;
  RotatingCalls::Call forward, backward;
};

/// Seconds of one call; on the CPU always on the same tensors.
double seconds_of(double budget, Device device, std::vector<CallTensors>& copies,
                  const RotatingCalls::Call& call) {
  if (device == cpu) return median_seconds(budget, device, [&] { call(copies[0]); });
  RotatingCalls recorded(device, copies, call);
  return median_seconds(budget, device, [&] { recorded.replay(); }) /
         static_cast<double>(copies.size());
}

/// As many as both directions need.
std::vector<CallTensors> copies_to_time(const Op& op, const CallTensors& tensors, Device device) {
  std::vector<CallTensors> copies{tensors};
  if (device == cpu) return copies;
  int64_t count = copies_beyond_cache(copies[0].forward_bytes(), device);
  if (op.backward) count = std::max(count, copies_beyond_cache(copies[0].backward_bytes(), device));
  while (static_cast<int64_t>(copies.size()) < count) copies.push_back(copy_of(op, copies[0]));
  return copies;
}

BenchRow bench_calls(const Op& op, const OpCase& c, const Calls& calls, const CallTensors& one,
                     Device device, const Roofline& roofline, double budget) {
  std::vector<CallTensors> copies = copies_to_time(op, one, device);
  BenchRow row{op.name,
               calls.name,
               describe(op, c),
               {},
               {},
               op.backward != nullptr,
               static_cast<int64_t>(copies.size())};
  double flops = op.flops ? op.flops(one.in, c.attrs) : 0;
  if (!op.flops)
    for (const Tensor& t : one.out) flops += static_cast<double>(t.numel());
  row.forward = speed(seconds_of(budget, device, copies, calls.forward), one.forward_bytes(), flops,
                      roofline);
  if (row.has_backward)
    row.backward = speed(seconds_of(budget, device, copies, calls.backward), one.backward_bytes(),
                         2 * flops, roofline);
  return row;
}

}  // namespace

Roofline measure_roofline(Device device) {
  const Tensor from = Tensor::empty({int64_t{64} << 20}, DType::u8, device),
               to = Tensor::empty_like(from);
  const double seconds = median_seconds(0.1, device, [&] { to.copy_from(from); });
  return {2.0 * static_cast<double>(from.bytes()) / seconds,
          std::numeric_limits<double>::infinity()};
}

std::vector<OpCase> bench_cases(const Op& op, bool for_gpu) {
  std::vector<OpCase> list = op.bench_cases;
  if (for_gpu) list.insert(list.end(), op.device_bench_cases.begin(), op.device_bench_cases.end());
  if (!list.empty() || op.cases.empty()) return list;
  return {*std::max_element(op.cases.begin(), op.cases.end(), [](const OpCase& a, const OpCase& b) {
    return elements(a) < elements(b);
  })};
}

std::optional<BenchRow> bench_kernel(const Op& op, const OpCase& c, const Kernel& kernel,
                                     Device device, const Roofline& roofline, double budget) {
  const CallTensors one = call_tensors(op, c, kernel.dtype, device);
  if (kernel.supports && !kernel.supports(one.in, c.attrs)) return std::nullopt;
  const BackwardFn backward = kernel.backward ? kernel.backward : op.backward;
  return bench_calls(op, c,
                     {kernel.name,
                      [&](CallTensors& t) {
                        kernel.forward({t.in, t.out, c.attrs});
                      },
                      [&](CallTensors& t) {
                        backward({t.saved_in, t.saved_out, t.dout, t.din, c.attrs});
                      }},
                     one, device, roofline, budget);
}

BenchRow bench_dispatch(const Op& op, const OpCase& c, Device device, const Roofline& roofline,
                        double budget) {
  const auto backward = [&](CallTensors& t) {
    std::vector<TensorSpec> specs;
    std::vector<bool> wanted;
    for (const Tensor& d : t.din) {
      specs.push_back({d.defined() ? d.shape() : Shape{}, d.defined() ? d.dtype() : DType::f32});
      wanted.push_back(d.defined());
    }
    t.kept = run_backward(op, t.saved_in, t.saved_out, t.dout, specs, wanted, c.attrs);
  };
  const auto forward = [&](CallTensors& t) { t.kept = run_forward(op, t.in, c.attrs); };
  return bench_calls(op, c, {"tuned", forward, backward}, call_tensors(op, c, DType::f32, device),
                     device, roofline, budget);
}

}  // namespace limbeck
