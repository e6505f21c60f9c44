#include "kd/method.h"

#include <algorithm>

namespace limbeck::kd {
namespace {
std::vector<MethodEntry>& registry() {
  static std::vector<MethodEntry> entries;
  return entries;
}
}  // namespace

void Method::prepare(const nn::Features& student, const nn::Features& teacher, const Stream&) {
  LIMBECK_CHECK(student.output.shape() == teacher.output.shape(), name(), ": the student's output ", student.output.shape(),
                " does not match the teacher's ", teacher.output.shape());
}

RegisterMethod::RegisterMethod(MethodEntry entry) {
  auto& list = registry();
  const auto place = std::lower_bound(list.begin(), list.end(), entry.name,
                                      [](const MethodEntry& e, const std::string& name) { return e.name < name; });
  list.insert(place, std::move(entry));
}

const std::vector<MethodEntry>& all_methods() { return registry(); }

std::unique_ptr<Method> create_method(const MethodSettings& settings) {
  std::vector<std::string> names;
  for (const MethodEntry& e : registry()) {
    if (e.name == settings.name) return e.build(settings);
    names.push_back(e.name);
  }
  const std::string near = nearest_name(settings.name, names);
  fail("distillation.name: no method '", settings.name, "'", near.empty() ? "" : "; did you mean '" + near + "'?");
}

}  // namespace limbeck::kd
