// Settings as plain structs: a struct lists its fields once, and readers (TOML, --set, --help, fingerprints) visit the list.
//   struct GanTraining {
//     int64_t steps = 1000;
//     template <class V> void fields(V& v) { v("steps", steps, "generator steps"); }
//   };
// Field types: bool, int64_t, double, std::string, std::vector of the latter three, or another struct with fields().
#pragma once
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

namespace limbeck {

/// "key = value" lines in declaration order, nested as "section.key": the canonical text of settings.
class SettingsText {
 public:
  template <class T>
  void operator()(const char* name, T& value, const char* /*help*/) {
    if constexpr (std::is_class_v<T> && requires { value.fields(*this); }) {
      const std::string outer = prefix_;
      prefix_ += std::string(name) + ".";
      value.fields(*this);
      prefix_ = outer;
    } else {
      out_ << prefix_ << name << " = ";
      print(value);
      out_ << '\n';
    }
  }
  std::string text() const { return out_.str(); }

 private:
  void print(bool v) { out_ << (v ? "true" : "false"); }
  void print(int64_t v) { out_ << v; }
  void print(double v) { out_.precision(17); out_ << v; }
  void print(const std::string& v) { out_ << '"' << v << '"'; }
  template <class T>
  void print(const std::vector<T>& list) {
    out_ << '[';
    for (size_t i = 0; i < list.size(); ++i) {
      if (i) out_ << ", ";
      print(list[i]);
    }
    out_ << ']';
  }
  std::ostringstream out_;
  std::string prefix_;
};

/// Canonical text of any settings struct.
template <class T>
std::string settings_text(T settings) {
  SettingsText v;
  settings.fields(v);
  return v.text();
}

}  // namespace limbeck
