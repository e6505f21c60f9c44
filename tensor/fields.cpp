#include "tensor/fields.h"

#include <utility>

namespace limbeck {
namespace {

void print(std::ostream& out, bool v) { out << (v ? "true" : "false"); }
void print(std::ostream& out, int64_t v) { out << v; }
void print(std::ostream& out, double v) {
  out.precision(17);
  out << v;
}
void print(std::ostream& out, const std::string& v) { out << '"' << v << '"'; }

template <class T>
void print(std::ostream& out, const std::vector<T>& list) {
  out << '[';
  for (size_t i = 0; i < list.size(); ++i) {
    if (i) out << ", ";
    print(out, list[i]);
  }
  out << ']';
}

}  // namespace

void SettingsText::visit(const std::string& key, FieldTarget value, const std::string& /*help*/) {
  if (influence() == Influence::none) return;
  out_ << key << " = ";
  std::visit([this](const auto* v) { print(out_, *v); }, value);
  out_ << '\n';
}

const AnySettings& NamedSettings::at(const std::string& name) const {
  const auto found = entries.find(name);
  if (found != entries.end()) return found->second.settings;
  std::vector<std::string> names;
  for (const auto& [known, entry] : entries) names.push_back(known);
  fail("unknown name '", name, "'", did_you_mean(name, names));
}

}  // namespace limbeck
