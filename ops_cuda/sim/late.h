// Streams that run late, for tests: a GPU may run a stream's work at any time between the call that
// queues it and the one that waits for it. The shim runs it at once, which hides a missing wait;
// with this it runs at the last moment, when an event or the host waits for it.
#pragma once
#include <functional>

#include "ops_cuda/sim/runtime.h"

namespace limbeck::sim {

/// Streams for which it says yes run late while this lives. Then device memory is neither hidden
/// nor filled with NaN when it changes hands, because queued work may still use it.
class RunLate {
 public:
  explicit RunLate(std::function<bool(cudaStream_t)> which);
  ~RunLate();  ///< runs what is left
  RunLate(const RunLate&) = delete;
};

}  // namespace limbeck::sim
