// The data-free methods by name. A method is one file of kd/data_free/ that registers the settings
// which make the trainer that method; there is no list to edit. Their names stand beside those of
// kd/method.h in `plan.methods`, `distillation.method` and [methods.NAME], and are none of them.
#pragma once
#include <string>
#include <vector>

#include "kd/data_free/settings.h"
#include "tensor/fields.h"

namespace limbeck::kd::data_free {

struct Entry {
  std::string name;     ///< "cgdd"
  std::string title;    ///< "CGDD-R", as tables print it
  std::string summary;  ///< with the source
  Settings defaults;
};
struct Register {
  Register(std::string name, std::string title, std::string summary, const Settings& defaults);
};
/// Sorted by name.
const std::vector<Entry>& all_entries();
/// Null when the name is none of them.
const Entry* find_entry(const std::string& name);
/// The settings of a data-free method among [methods], checked.
Settings settings_of(const std::string& name, const NamedSettings& methods);

}  // namespace limbeck::kd::data_free
