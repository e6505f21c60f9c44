// Kernels chosen by measurement, where a thread asks for it (KernelPolicy of ops/execution.h).
#pragma once
#include <string>
#include <vector>

#include "ops/execution.h"
#include "ops/op.h"

namespace limbeck {

/// Sets Execution::kernels of this thread. Throws Error for `tuned` on a device that has nothing to
/// choose from.
void set_kernel_policy(KernelPolicy policy, Device device);

/// What was found for one kind of call.
struct TunedChoice {
  std::string call;    ///< "conv2d gradient of w [64,32,32,16] [16,3,3,16] padding=1 f32"
  std::string kernel;  ///< "cudnn", "cuda 64064 x 4"
  double seconds = 0;
  std::string rule;  ///< the kernel that the rule picks
  double rule_seconds = 0;
  std::string passed_over;  ///< kernels that failed, and why; empty when none did
};

/// Takes over the calls on a device when the policy is `tuned`. `by_rule` is the kernel that would
/// run.
class KernelTuner {
 public:
  virtual ~KernelTuner() = default;
  virtual void forward(const Op& op, const Kernel& by_rule, const ForwardCall& call) = 0;
  virtual void backward(const Op& op, const Kernel& by_rule, const BackwardCall& call) = 0;
  /// In the order in which they were made.
  virtual std::vector<TunedChoice> choices() const = 0;
};

/// Before main(); `tuner` must live for ever.
void register_kernel_tuner(DeviceKind kind, KernelTuner& tuner);
/// Null when there is none or this thread's policy is not `tuned`.
KernelTuner* active_tuner(DeviceKind kind);

}  // namespace limbeck
