// `--device` and `--precision` of the subcommands that compute.
#pragma once
#include <memory>
#include <string>

#include "apps/command_line.h"
#include "tensor/dtype.h"

namespace limbeck {

struct DeviceOptions {
  std::string device = "cpu", precision = "f32";
};

/// Adds the options. Read them with chosen_device() when the command runs.
std::shared_ptr<DeviceOptions> add_device_options(CommandLine& app);

/// Sets the precision (ops/execution.h), until the command ends, and returns the device. Throws
/// Error when a name is unknown, the program was built without the device, the machine has none, or
/// a precision other than f32 is asked of the CPU.
Device chosen_device(const DeviceOptions& options);

}  // namespace limbeck
