// limbeck methods: the distillation methods with family, needs, sources and settings.
#include <cstdio>

#include "apps/command.h"
#include "apps/config.h"
#include "kd/data_free/registry.h"
#include "kd/stored_logits.h"

namespace limbeck::methods_app {
namespace {

/// The stages that run before a student's, by their names without the method's.
std::string stages_before(const kd::MethodEntry& e) {
  std::vector<std::string> names;
  for (const kd::Preparation& p :
       kd::create_method(e.name, kd::default_method_settings())->preparations())
    names.push_back(p.name);
  return names.empty() ? "-" : joined(names);
}

const char* needs(const kd::MethodEntry& e) {
  if (e.family != kd::Family::logits) return "taps";
  return kd::serves_with_stored_logits(e, kd::default_method_settings()) ? "logits, stored or not"
                                                                         : "logits";
}

void print_settings(AnySettings& settings) {
  for (const Setting& s : list_settings(settings))
    std::printf("    %-40s %s\n", to_line(s).c_str(), s.help.c_str());
}

constexpr const char* line = "%-11s %-11s %-17s %-22s %-12s %s\n";

void list_methods(bool with_settings) {
  std::printf(line, "method", "", "family", "of the teacher", "stage before", "what");
  for (const kd::MethodEntry& e : kd::all_methods()) {
    std::printf(line, e.name.c_str(), e.title.c_str(), name_of(e.family), needs(e),
                stages_before(e).c_str(), e.summary.c_str());
    AnySettings settings = e.settings;
    if (with_settings) print_settings(settings);
  }
}

void list_data_free(bool with_settings) {
  for (const kd::data_free::Entry& e : kd::data_free::all_entries()) {
    std::printf(line, e.name.c_str(), e.title.c_str(), "data-free", "itself, no data", "-",
                e.summary.c_str());
    AnySettings settings = e.defaults;
    if (with_settings) print_settings(settings);
  }
}

const RegisterCommand command(
    {"methods", "list the distillation methods", [](CommandLine& app) {
       auto settings = std::make_shared<bool>(false);
       app.add_flag("--settings", *settings, "also the keys of [methods.NAME] with their defaults");
       app.callback([settings] { list_methods(*settings), list_data_free(*settings); });
     }});

}  // namespace
}  // namespace limbeck::methods_app
