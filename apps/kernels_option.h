// `--kernels` of the subcommands that compute.
#pragma once
#include <memory>
#include <string>

#include "apps/command_line.h"
#include "tensor/dtype.h"

namespace limbeck {

/// Adds `--kernels own|tuned`. Read the value with set_kernels() when the command runs.
std::shared_ptr<std::string> add_kernels_option(CommandLine& app);

/// Applies the value to this process (ops/tuner.h); empty: by rule. Throws Error for `tuned` where the device has nothing to choose from.
void set_kernels(const std::string& value, Device device);

/// Prints what was measured and chosen, one line each; nothing unless kernels are tuned.
void print_kernel_choices(Device device);

}  // namespace limbeck
