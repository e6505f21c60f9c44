// limbeck methods: the distillation methods with their sources and settings.
#include <cstdio>

#include "apps/command.h"
#include "apps/config.h"
#include "kd/method.h"

namespace limbeck::methods_app {
namespace {

void list_methods(bool with_settings) {
  for (const kd::MethodEntry& e : kd::all_methods()) {
    std::printf("%-10s %-10s %s\n", e.name.c_str(), e.title.c_str(), e.summary.c_str());
    if (!with_settings) continue;
    AnySettings settings = e.settings;
    for (const Setting& s : list_settings(settings))
      std::printf("    %-40s %s\n", to_toml({s}).substr(0, to_toml({s}).find('\n')).c_str(),
                  s.help.c_str());
  }
}

const RegisterCommand command({"methods", "list the distillation methods", [](CommandLine& app) {
                                 auto settings = std::make_shared<bool>(false);
                                 app.add_flag(
                                     "--settings", *settings,
                                     "also the keys of [methods.NAME] with their defaults");
                                 app.callback([settings] { list_methods(*settings); });
                               }});

}  // namespace
}  // namespace limbeck::methods_app
