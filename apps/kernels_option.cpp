#include "apps/kernels_option.h"

#include <algorithm>
#include <cstdio>

#include "ops/tuner.h"
#include "tensor/error.h"

namespace limbeck {
namespace {

template <class F>
void for_each_library(const std::vector<const Op*>& ops, DeviceKind device, F&& f) {
  std::vector<std::string> seen;
  for (const Op* op : ops)
    for (const Kernel* k : kernels_of(op->name)) {
      if (!k->missing || k->device != device ||
          std::find(seen.begin(), seen.end(), k->name) != seen.end())
        continue;
      seen.push_back(k->name);
      f(*k, k->missing());
    }
}

/// What a choice is made from must be known before its times mean anything.
void say_what_is_missing(DeviceKind device) {
  for_each_library(all_ops(), device, [](const Kernel&, const std::string& missing) {
    if (!missing.empty()) std::fprintf(stderr, "limbeck: --kernels tuned: %s\n", missing.c_str());
  });
}

}  // namespace

std::shared_ptr<std::string> add_kernels_option(CommandLine& app) {
  auto value = std::make_shared<std::string>();
  app.add_option("--kernels", *value,
                 "own: never a vendor's library; tuned: the fastest for each shape, cuBLAS and "
                 "cuDNN among them, measured at first use "
                 "(--device cuda)")
      .value_name("own|tuned");
  return value;
}

void set_kernels(const std::string& value, Device device) {
  LIMBECK_CHECK(value.empty() || value == "own" || value == "tuned",
                "--kernels: expected own or tuned, found '", value, "'");
  set_kernel_policy(value == "own"     ? KernelPolicy::own
                    : value == "tuned" ? KernelPolicy::tuned
                                       : KernelPolicy::rule,
                    device);
  if (active_tuner(device.kind)) say_what_is_missing(device.kind);
}

std::vector<std::string> vendor_libraries(const std::vector<const Op*>& ops, DeviceKind device) {
  std::vector<std::string> lines;
  for_each_library(ops, device, [&](const Kernel& k, const std::string& missing) {
    lines.push_back(k.name + ": " + (missing.empty() ? k.library() : missing));
  });
  return lines;
}

void print_kernel_choices(Device device) {
  const KernelTuner* tuner = active_tuner(device.kind);
  if (!tuner) return;
  std::printf("\n%-20s %9s  %9s  %s\n", "chosen kernel", "us", "by rule", "call");
  for (const TunedChoice& c : tuner->choices())
    std::printf("%-20s %9.1f  %9.1f  %s%s%s\n", c.kernel.c_str(), c.seconds * 1e6,
                c.rule_seconds * 1e6, c.call.c_str(),
                c.passed_over.empty() ? "" : "; passed over: ", c.passed_over.c_str());
}

}  // namespace limbeck
