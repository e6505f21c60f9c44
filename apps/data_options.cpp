#include "apps/data_options.h"

#include <algorithm>

#include "apps/config.h"

namespace limbeck {

std::shared_ptr<DataOptions> add_data_options(CommandLine& app) {
  auto o = std::make_shared<DataOptions>();
  for (const Setting& s : list_settings(o->settings)) {
    std::string name = "--" + s.key;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '_' || c == '.'; }, '-');
    if (s.key == "image_size") name += ",--size";
    std::visit([&](auto* target) { app.add_option(name, *target, s.help).show_default(); },
               s.value);
  }
  app.add_option("--set", o->overrides,
                 "key=value of [data], as in --set shapes.train=100; may be repeated")
      .value_name("KEY=VALUE")
      .one_value_each();
  return o;
}

data::DataSettings chosen_data(const DataOptions& o) {
  data::DataSettings settings = o.settings;
  const Settings list = list_settings(settings);
  for (const std::string& assignment : o.overrides) set_override(list, assignment);
  return settings;
}

}  // namespace limbeck
