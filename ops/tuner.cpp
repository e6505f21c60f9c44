#include "ops/tuner.h"

#include <array>

namespace limbeck {
namespace {

KernelTuner*& tuner_of(DeviceKind kind) {
  static std::array<KernelTuner*, 2> tuners{};
  static_assert(static_cast<size_t>(DeviceKind::cpu) < 2 &&
                static_cast<size_t>(DeviceKind::cuda) < 2);
  return tuners[static_cast<size_t>(kind)];
}

}  // namespace

void set_kernel_policy(KernelPolicy wanted, Device device) {
  LIMBECK_CHECK(wanted != KernelPolicy::tuned || tuner_of(device.kind),
                "--kernels tuned: the device ", device,
                " has one kernel for each call and nothing to choose from; use --device cuda, or "
                "leave it out");
  set_execution(with(&Execution::kernels, wanted));
}

void register_kernel_tuner(DeviceKind kind, KernelTuner& tuner) { tuner_of(kind) = &tuner; }

KernelTuner* active_tuner(DeviceKind kind) {
  return execution().kernels == KernelPolicy::tuned ? tuner_of(kind) : nullptr;
}

}  // namespace limbeck
