#include "apps/kernels_option.h"

#include <cstdio>

#include "ops/tuner.h"

namespace limbeck {

std::shared_ptr<std::string> add_kernels_option(CommandLine& app) {
  auto value = std::make_shared<std::string>();
  app.add_option("--kernels", *value, "own: never a vendor's library; tuned: the fastest for each shape, cuBLAS and cuDNN among them, measured at first use "
                                      "(--device cuda)").one_of({"own", "tuned"});
  return value;
}

void set_kernels(const std::string& value, Device device) {
  set_kernel_policy(value == "own" ? KernelPolicy::own : value == "tuned" ? KernelPolicy::tuned : KernelPolicy::rule, device);
}

void print_kernel_choices(Device device) {
  const KernelTuner* tuner = active_tuner(device.kind);
  if (!tuner) return;
  std::printf("\n%-20s %9s  %9s  %s\n", "chosen kernel", "us", "by rule", "call");
  for (const TunedChoice& c : tuner->choices())
    std::printf("%-20s %9.1f  %9.1f  %s%s%s\n", c.kernel.c_str(), c.seconds * 1e6, c.rule_seconds * 1e6, c.call.c_str(),
                c.passed_over.empty() ? "" : "; passed over: ", c.passed_over.c_str());
}

}  // namespace limbeck
