// `limbeck data convert`: a data set of any source into one file of arrays.
#pragma once
#include "apps/command_line.h"

namespace limbeck {

/// Adds the subcommand to `limbeck data`.
void add_data_convert(CommandLine& app);

}  // namespace limbeck
