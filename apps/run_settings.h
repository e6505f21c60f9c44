// The settings of a run: a configuration, what --set changes, and where its relative paths begin.
#pragma once
#include <string>
#include <vector>

#include "kd/settings.h"

namespace limbeck {

/// Defaults, then the file (empty: none), then --set in order. Relative paths begin in the folder
/// of the file that names them, those of --set in the working folder; all become absolute, so that
/// the stored configuration means the same from anywhere. Throws as apps/config.h does.
kd::ExperimentSettings read_run_settings(const std::string& config,
                                         const std::vector<std::string>& overrides);

/// Paths among the settings that are relative begin in `folder`.
void make_paths_absolute(kd::ExperimentSettings& settings, const std::string& folder);

}  // namespace limbeck
