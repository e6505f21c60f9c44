// The calls that `limbeck ops bench` times on a device: each on tensors of its own, so that none
// finds its data in the cache, and recorded as one graph, so that the host's time to queue them
// does not count. A training step runs so (nn/step_graph.h).
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "ops/op.h"
#include "tensor/device.h"

namespace limbeck {

/// What one call of an operator reads and writes, forward and backward.
struct CallTensors {
  Tensors in, out;
  Tensors saved_in, saved_out, dout,
      din;       ///< for backward: those of `in` and `out` that it reads, cotangents, gradients
  Tensors kept;  ///< what a call allocated by itself

  /// Least traffic of a call: every tensor read or written once.
  double forward_bytes() const;
  double backward_bytes() const;
};

/// Inputs drawn for a case (ops/cases.h), with `floating` as their type; outputs and gradients are
/// not initialised.
CallTensors call_tensors(const Op& op, const OpCase& c, DType floating, Device device,
                         uint64_t seed = 0);
/// The same numbers in other memory.
CallTensors copy_of(const Op& op, const CallTensors& t);

/// How many copies of a call's tensors are more than any cache holds: 256 MiB together, but at most
/// 256 of them, so that calls of less than some 200 KiB may find data in the L2 cache of a large
/// GPU. Two on a simulated device, which has no cache.
int64_t copies_beyond_cache(double bytes_of_call, Device device);

/// One call after the other, each on its own copy, as a graph.
class RotatingCalls {
 public:
  using Call = std::function<void(CallTensors&)>;
  /// Calls once as usual, on the first copy (libraries are set up, kernels are chosen), and then
  /// records a call on every copy. `copies` outlive it.
  RotatingCalls(Device device, std::vector<CallTensors>& copies, const Call& call);
  /// Queues all the calls.
  void replay();

 private:
  std::unique_ptr<HostEffects> effects_;
  std::unique_ptr<Recording> recording_;
};

}  // namespace limbeck
