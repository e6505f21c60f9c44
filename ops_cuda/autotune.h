// The autotuner of the device cuda (ops/tuner.h), `--kernels tuned`: per operator, direction
// (forward, gradient of one input), shapes, attributes, precision and device, the first eager call
// times every kernel that can serve it, and the fastest one serves from then on.
//   candidates  the kernel of the rule; ours with the cuts of ops/execution.h; cuBLAS or
//               cuDNN where they are there. Never a naive kernel
//               beside a tuned one.
//   measurement CUDA events around a few calls, once to warm up and then three times; the median
//   counts. A memory fill is queued in front, so
//               that the calls are waiting on the GPU when the first event passes: a recorded step
//               does not wait for the host either.
//   recording   nothing is measured while a step is recorded into a graph: an earlier choice
//               serves, or else the rule's kernel.
// Convolutions and matrix products only: their results depend on nothing but their inputs, so that
// calls can be repeated. Two runs may choose differently, and results then differ by rounding.
#pragma once
#include <map>
#include <mutex>
#include <string>

#include "ops/execution.h"
#include "ops/tuner.h"

namespace limbeck::cuda {

class Autotuner final : public KernelTuner {
 public:
  void forward(const Op& op, const Kernel& by_rule, const ForwardCall& call) override;
  /// Each wanted gradient is a call of its own.
  void backward(const Op& op, const Kernel& by_rule, const BackwardCall& call) override;
  std::vector<TunedChoice> choices() const override;
  /// Forgets all choices.
  void clear();

  /// A kernel and how it is cut.
  struct Candidate {
    const Kernel* kernel;
    ProductCuts cuts;
    std::string name() const;
  };

 private:
  struct Request;
  void serve(const Request& request);
  Candidate choice_for(const Request& request);
  Candidate measure(const Request& request);

  mutable std::recursive_mutex mutex_;  // a candidate that is measured may call an operator
  std::map<std::string, Candidate> chosen_;
  std::vector<TunedChoice> choices_;
};

/// The one that is registered for the device cuda.
Autotuner& autotuner();

}  // namespace limbeck::cuda
