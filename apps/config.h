// Configuration: TOML files and --set onto settings structs (tensor/fields.h), and back to TOML.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "tensor/fields.h"

namespace limbeck {

/// One settable value of a settings struct, by its dotted key.
struct Setting {
  std::string key;  ///< "gan.steps"
  std::string help;
  FieldTarget value;  ///< points into the struct, which must outlive this
};
using Settings = std::vector<Setting>;

/// Visitor that lists the fields of a struct.
class SettingsList : public FieldVisitor {
 public:
  Settings take() { return std::move(list_); }

 protected:
  void visit(const std::string& key, FieldTarget value, const std::string& help) override {
    list_.push_back({key, help, value});
  }

 private:
  Settings list_;
};

template <class T>
Settings list_settings(T& settings) {
  SettingsList v;
  settings.fields(v);
  return v.take();
}

/// Sets what the file names; the rest keeps its value. Throws Error "FILE:LINE: ..." for a syntax
/// error, an unknown key (with the nearest name), or a value of another type (key, expected,
/// found). An integer is accepted where a real number is expected.
void read_toml(const Settings& settings, const std::string& path);

/// Calls `add` with "FILE:LINE: " for every table of read_toml_list(), and reads the table into
/// what it returns.
void read_toml_tables(const std::string& path, const std::string& name,
                      const std::function<Settings(const std::string& where)>& add);

/// A table of a file, and its place for messages: "FILE:LINE: ".
template <HasFields T>
struct Located {
  std::string where;
  T value;
};
/// A file that holds a list of one kind of table, [[name]] after [[name]], each read as read_toml()
/// reads a file. Throws also when the file holds anything else, or none.
template <HasFields T>
std::vector<Located<T>> read_toml_list(const std::string& path, const std::string& name) {
  std::vector<Located<T>> list;
  read_toml_tables(path, name, [&](const std::string& where) {
    list.push_back({where, T()});
    return list_settings(list.back().value);
  });
  return list;
}

/// "key=value": the value is TOML; a bare word is taken as a string, and `1,2` as a list where one
/// is expected. Throws as above.
void set_override(const Settings& settings, const std::string& assignment);

/// The settings as TOML that read_toml() reads back to the same values; `help` adds one comment per
/// key.
std::string to_toml(const Settings& settings, bool help = false);
/// "gan.steps = 3000", as a line of TOML or an argument of --set.
std::string to_line(const Setting& setting);

}  // namespace limbeck
