// The options of the subcommands that read a data set: the keys of [data] in a configuration.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "apps/command_line.h"
#include "data/source.h"

namespace limbeck {

struct DataOptions {
  data::DataSettings settings;
  std::vector<std::string> overrides;
};

/// Adds an option for each key ("--train-per-class" for train_per_class, "--shapes-train" for
/// shapes.train; --size is short for
/// --image-size) and --set. Read them with chosen_data() when the command runs.
std::shared_ptr<DataOptions> add_data_options(CommandLine& app);

/// The options, then --set in order. Throws Error as reading a configuration does.
data::DataSettings chosen_data(const DataOptions& options);

}  // namespace limbeck
