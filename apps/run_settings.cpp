#include "apps/run_settings.h"

#include <filesystem>

#include "apps/config.h"

namespace limbeck {

void make_paths_absolute(kd::ExperimentSettings& s, const std::string& folder) {
  namespace fs = std::filesystem;
  for (std::string* path :
       {&s.data.path, &s.plan.teachers, &s.plan.fake_data, &s.plan.logits, &s.evaluation.types}) {
    if (path->empty()) continue;
    const fs::path whole = fs::absolute(fs::path(folder) / *path);
    std::error_code error;  // of links that turn in circles, say
    const fs::path plain = fs::weakly_canonical(whole, error);
    *path = (error ? whole : plain).string();
    if (path->size() > 1 && path->ends_with("/")) path->pop_back();
  }
}

kd::ExperimentSettings read_run_settings(const std::string& config,
                                         const std::vector<std::string>& overrides) {
  kd::ExperimentSettings settings;
  const Settings list = list_settings(settings);
  if (!config.empty()) {
    read_toml(list, config);
    make_paths_absolute(settings, std::filesystem::path(config).parent_path().string());
  }
  for (const auto& o : overrides) set_override(list, o);
  make_paths_absolute(settings, "");
  return settings;
}

}  // namespace limbeck
