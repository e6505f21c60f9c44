// Configuration: TOML files and --set onto settings structs (tensor/fields.h), and back to TOML.
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

namespace limbeck {

/// One settable value of a settings struct, by its dotted key.
struct Setting {
  using Target = std::variant<bool*, int64_t*, double*, std::string*, std::vector<int64_t>*, std::vector<double>*, std::vector<std::string>*>;
  std::string key;   ///< "gan.steps"
  std::string help;
  Target value;      ///< points into the struct, which must outlive this
};
using Settings = std::vector<Setting>;

/// Visitor that lists the fields of a struct.
class SettingsList {
 public:
  template <class T>
  void operator()(const char* name, T& value, const char* help) {
    if constexpr (std::is_class_v<T> && requires { value.fields(*this); }) {
      const std::string outer = prefix_;
      prefix_ += std::string(name) + ".";
      value.fields(*this);
      prefix_ = outer;
    } else {
      list_.push_back({prefix_ + name, help, Setting::Target(&value)});
    }
  }
  Settings take() { return std::move(list_); }

 private:
  Settings list_;
  std::string prefix_;
};

template <class T>
Settings list_settings(T& settings) {
  SettingsList v;
  settings.fields(v);
  return v.take();
}

/// Sets what the file names; the rest keeps its value. Throws Error "FILE:LINE: ..." for a syntax error, an unknown key (with the
/// nearest name), or a value of another type (key, expected, found). An integer is accepted where a real number is expected.
void read_toml(const Settings& settings, const std::string& path);

/// "key=value": the value is TOML; a bare word is taken as a string, and `1,2` as a list where one is expected. Throws as above.
void set_override(const Settings& settings, const std::string& assignment);

/// The settings as TOML that read_toml() reads back to the same values; `help` adds one comment per key.
std::string to_toml(const Settings& settings, bool help = false);

}  // namespace limbeck
