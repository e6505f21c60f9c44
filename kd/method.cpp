#include "kd/method.h"

#include <algorithm>
#include <cmath>

#include "kd/data_free/registry.h"
#include "kd/teacher_statistics.h"

namespace limbeck::kd {
namespace {
std::vector<MethodEntry>& registry() {
  static std::vector<MethodEntry> entries;
  return entries;
}
}  // namespace

void check(const LossWeights& w, const std::string& method) {
  const auto key = [&](const char* name) { return cat("methods.", method, ".", name); };
  LIMBECK_CHECK(std::isfinite(w.temperature) && w.temperature > 0, key("temperature"),
                ": expected a positive number, found ", w.temperature);
  LIMBECK_CHECK(std::isfinite(w.hard_weight) && w.hard_weight >= 0, key("hard_weight"),
                ": expected 0 or more, found ", w.hard_weight);
  LIMBECK_CHECK(std::isfinite(w.soft_weight) && w.soft_weight >= 0, key("soft_weight"),
                ": expected 0 or more, found ", w.soft_weight);
  try {
    parse_teacher_statistics(w.teacher_bn);
  } catch (const Error& e) {
    fail(key("teacher_bn"), ": ", e.what());
  }
}

void check_weight(double weight, const std::string& method, const std::string& key) {
  LIMBECK_CHECK(std::isfinite(weight) && weight >= 0, "methods.", method, ".", key,
                ": expected 0 or more, found ", weight);
}

void register_method(MethodEntry entry) {
  auto& list = registry();
  const auto place =
      std::lower_bound(list.begin(), list.end(), entry.name,
                       [](const MethodEntry& e, const std::string& name) { return e.name < name; });
  list.insert(place, std::move(entry));
}

const char* name_of(Family family) {
  switch (family) {
    case Family::logits: return "logits";
    case Family::features: return "features";
    case Family::relations: return "relations";
    case Family::self_supervision: return "self-supervision";
    case Family::gradients: return "gradients";
  }
  return "";
}

const std::vector<MethodEntry>& all_methods() { return registry(); }

const MethodEntry& find_method(const std::string& name, std::string_view where) {
  std::vector<std::string> names;
  for (const MethodEntry& e : registry()) {
    if (e.name == name) return e;
    names.push_back(e.name);
  }
  fail(where, ": no distillation method '", name, "'",
       did_you_mean(name, names, "; `limbeck methods` lists them"));
}

NamedSettings default_method_settings() {
  NamedSettings all;
  for (const MethodEntry& e : registry()) all.entries[e.name] = {e.summary, e.settings};
  for (const data_free::Entry& e : data_free::all_entries())
    all.entries[e.name] = {e.summary, e.defaults};
  return all;
}

std::unique_ptr<Method> create_method(const std::string& name, const NamedSettings& settings) {
  const MethodEntry& entry = find_method(name, "distillation");
  std::unique_ptr<Method> method = entry.build(settings.at(name));
  check(method->weights(), name);
  return method;
}

}  // namespace limbeck::kd
