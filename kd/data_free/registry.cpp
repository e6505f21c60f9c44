#include "kd/data_free/registry.h"

#include <algorithm>

namespace limbeck::kd::data_free {
namespace {
std::vector<Entry>& entries() {
  static std::vector<Entry> all;
  return all;
}
}  // namespace

Register::Register(std::string name, std::string title, std::string summary,
                   const Settings& defaults) {
  auto& all = entries();
  const auto place =
      std::lower_bound(all.begin(), all.end(), name,
                       [](const Entry& e, const std::string& n) { return e.name < n; });
  all.insert(place, {std::move(name), std::move(title), std::move(summary), defaults});
}

const std::vector<Entry>& all_entries() { return entries(); }

const Entry* find_entry(const std::string& name) {
  const auto& all = entries();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Entry& e) { return e.name == name; });
  return found == all.end() ? nullptr : &*found;
}

Settings settings_of(const std::string& name, const NamedSettings& methods) {
  Settings s = methods.at(name).as<Settings>();
  check(s, "methods." + name);
  return s;
}

}  // namespace limbeck::kd::data_free
