// Speed of the operators' implementations beside what the machine can do.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "ops/op.h"
#include "ops_cpu/roofline.h"

namespace limbeck {

struct Speed {
  double seconds = 0;           ///< median of one call
  double bytes = 0, flops = 0;  ///< least traffic: every tensor read or written once
  double fraction = 0;          ///< of the roofline: its seconds / these seconds
};

struct BenchRow {
  std::string op, kernel, which;
  Speed forward, backward;
  bool has_backward = false;
  int64_t copies = 1;  ///< of its tensors, one for each call in turn
};

/// Cases to time: the operator's bench_cases, for a GPU its device_bench_cases too; the largest of
/// its cases when it has none.
std::vector<OpCase> bench_cases(const Op& op, bool for_gpu);

/// The copy rate of a device other than the CPU; its arithmetic is not measured (infinite).
Roofline measure_roofline(Device device);

/// Times one kernel on `device`, whose kind is the kernel's; nothing where it does not support the
/// case. Backward counts twice the forward's FLOPs, the reference's backward where the kernel has
/// none of its own. On other devices than the CPU the calls are replays of a graph on tensors that
/// are not in the cache (apps/bench_calls.h): the device's time, not the host's.
std::optional<BenchRow> bench_kernel(const Op& op, const OpCase& c, const Kernel& kernel,
                                     Device device, const Roofline& roofline,
                                     double seconds_per_measure);
/// Times the operator as programs call it, under the present ops/tuner.h policy: choosing and
/// allocating are included. Row name "tuned".
BenchRow bench_dispatch(const Op& op, const OpCase& c, Device device, const Roofline& roofline,
                        double seconds_per_measure);

}  // namespace limbeck
