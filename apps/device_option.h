// `--device` of the subcommands that compute.
#pragma once
#include <memory>
#include <string>

#include "apps/command_line.h"
#include "tensor/dtype.h"

namespace limbeck {

/// Adds `--device cpu|cuda|cuda:N`. Read the value with device_of() when the command runs.
std::shared_ptr<std::string> add_device_option(CommandLine& app);

/// Throws Error when the name is unknown, the program was built without the device, or the machine has none.
Device device_of(const std::string& name);

}  // namespace limbeck
