// `--kernels` of the subcommands that compute.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "apps/command_line.h"
#include "ops/op.h"

namespace limbeck {

/// Adds `--kernels own|tuned`. Read the value with set_kernels() when the command runs.
std::shared_ptr<std::string> add_kernels_option(CommandLine& app);

/// Applies the value until the command ends (ops/execution.h); empty: by rule. `tuned` without a
/// library says so on stderr, once. Throws Error for other values, and for `tuned` where the device
/// has nothing to choose from.
void set_kernels(const std::string& value, Device device);

/// The libraries behind the kernels of these operators, each once: "cudnn: cuDNN 9.1.0
/// (libcudnn.so.9)", or why it is not used.
std::vector<std::string> vendor_libraries(const std::vector<const Op*>& ops, DeviceKind device);

/// Prints what was measured and chosen, one line each; nothing unless kernels are tuned.
void print_kernel_choices(Device device);

}  // namespace limbeck
