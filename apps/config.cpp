// toml++ is included here and nowhere else: it is the slowest header of the project.
#include "apps/config.h"

#include <charconv>
#include <sstream>
#include <stdexcept>

namespace {
/// The parser of toml++ asserts what a file can break ("[" at the end of a line).
struct BrokenAssertion : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] void assertion_broke(const char* text) { throw BrokenAssertion(text); }
}  // namespace

#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ASSERT(expr) ((expr) ? static_cast<void>(0) : assertion_broke(#expr))
#include <toml++/toml.h>

#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck {
namespace {

const char* type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a section";
    case toml::node_type::array: return "a list";
    case toml::node_type::string: return "a string";
    case toml::node_type::integer: return "an integer";
    case toml::node_type::floating_point: return "a real number";
    case toml::node_type::boolean: return "a boolean";
    default: return "a date or time";
  }
}

template <class T>
constexpr const char* expected_name = "";
template <>
constexpr const char* expected_name<bool> = "a boolean";
template <>
constexpr const char* expected_name<int64_t> = "an integer";
template <>
constexpr const char* expected_name<double> = "a real number";
template <>
constexpr const char* expected_name<std::string> = "a string";
template <>
constexpr const char* expected_name<std::vector<int64_t>> = "a list of integers";
template <>
constexpr const char* expected_name<std::vector<double>> = "a list of real numbers";
template <>
constexpr const char* expected_name<std::vector<std::string>> = "a list of strings";

/// Reads one node into `out`; false when the type does not fit.
template <class T>
bool read_value(const toml::node& node, T& out) {
  if constexpr (std::is_same_v<T, double>) {
    if (const auto* integer = node.as_integer())
      return out = static_cast<double>(integer->get()), true;
  }
  const auto* value = node.as<T>();
  if (value) out = value->get();
  return value != nullptr;
}

template <class T>
bool read_value(const toml::node& node, std::vector<T>& out) {
  const toml::array* list = node.as_array();
  if (!list) return false;
  std::vector<T> read;
  for (const toml::node& element : *list) {
    T value{};
    if (!read_value(element, value)) return false;
    read.push_back(value);
  }
  out = std::move(read);
  return true;
}

std::string describe_list(const toml::node& node) {
  const toml::array* list = node.as_array();
  if (!list || list->empty()) return type_name(node);
  return cat("a list that holds ", type_name((*list)[0]));
}

void assign(const Setting& setting, const toml::node& node, const std::string& where) {
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        LIMBECK_CHECK(read_value(node, *target), where, "'", setting.key, "': expected ",
                      expected_name<T>, ", found ", describe_list(node));
      },
      setting.value);
}

std::vector<std::string> keys_of(const Settings& settings) {
  std::vector<std::string> keys;
  for (const Setting& s : settings) keys.push_back(s.key);
  return keys;
}

/// "gan", "gan.optimiser", ...: every prefix of a key.
std::vector<std::string> sections_of(const Settings& settings) {
  std::vector<std::string> sections;
  for (const Setting& s : settings)
    for (size_t dot = s.key.find('.'); dot != std::string::npos; dot = s.key.find('.', dot + 1))
      if (std::string section = s.key.substr(0, dot);
          sections.empty() || sections.back() != section)
        sections.push_back(section);
  return sections;
}

bool contains(const std::vector<std::string>& list, const std::string& name) {
  for (const auto& s : list)
    if (s == name) return true;
  return false;
}

/// "epochs" of "teacher.epochs", and "teacher.".
std::string last_of(const std::string& key) { return key.substr(key.rfind('.') + 1); }
std::string section_of(const std::string& key) { return key.substr(0, key.rfind('.') + 1); }

/// The same last name below the section, or anywhere for a key without one, is the likeliest
/// ("steps" for "gan.steps", "data.train" for "data.shapes.train"); then the nearest that the
/// section has, or all that it has; of an unknown section the nearest key.
std::string hint(const std::string& name, const std::vector<std::string>& candidates) {
  const std::string section = section_of(name);
  std::vector<std::string> below, of_section;
  for (const auto& c : candidates) {
    if (!c.starts_with(section)) continue;
    if (last_of(c) == last_of(name)) return did_you_mean(c, {c});
    below.push_back(c.substr(section.size()));
    if (section_of(c) == section) of_section.push_back(last_of(c));
  }
  constexpr size_t few = 10;
  if (section.empty() || below.empty())
    return did_you_mean(name, candidates,
                        candidates.size() > few ? "; 'limbeck config' lists the keys"
                                                : "; expected " + joined(candidates));
  if (const std::string near = nearest_name(last_of(name), below); !near.empty())
    return did_you_mean(section + near, {section + near});
  return cat("; [", section.substr(0, section.size() - 1), "] has ", joined(of_section));
}

const Setting& find_setting(const Settings& settings, const std::string& key,
                            const std::string& where, const std::string& found = {}) {
  for (const Setting& s : settings)
    if (s.key == key) return s;
  LIMBECK_CHECK(!contains(sections_of(settings), key), where, "'", key, "' is a section",
                found.empty() ? "" : ", found ", found);
  fail(where, "unknown key '", key, "'", hint(key, keys_of(settings)));
}

std::string position(const std::string& path, const toml::node& node) {
  return cat(path, ":", node.source().begin.line, ": ");
}

void read_table(const Settings& settings, const toml::table& table, const std::string& prefix,
                const std::string& path) {
  const auto sections = sections_of(settings);
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::table* inner = node.as_table();
        inner && (contains(sections, name) || !contains(keys_of(settings), name))) {
      LIMBECK_CHECK(contains(sections, name), position(path, node), "unknown section '", name, "'",
                    hint(name, sections));
      read_table(settings, *inner, name + ".", path);
    } else {
      assign(find_setting(settings, name, position(path, node), type_name(node)), node,
             position(path, node));
    }
  }
}

toml::table parse_toml(const std::string& path) {
  const std::string text = read_file(path);
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& e) {
    fail(path, ":", e.source().begin.line, ": not TOML: ", e.description());
  } catch (const BrokenAssertion& e) {
    fail(path, ": not TOML: expected a key, a section or a value (toml++: ", e.what(), ")");
  }
}

// --- writing -------------------------------------------------------------------------------------

std::string text_of(bool v) { return v ? "true" : "false"; }
std::string text_of(int64_t v) { return std::to_string(v); }

/// Shortest text that reads back to the same number; TOML wants a point or an exponent in a real
/// number.
std::string text_of(double v) {
  if (v != v) return "nan";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, v).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string text_of(const std::string& v) {
  std::string text = "\"";
  for (const char c : v) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      text += '\\', text += c;
    else if (c == '\n')
      text += "\\n";
    else if (c == '\t')
      text += "\\t";
    else if (u < 0x20 || u == 0x7f) {
      const char* digits = "0123456789ABCDEF";
      text += "\\u00", text += digits[u >> 4], text += digits[u & 15];
    } else
      text += c;
  }
  return text + '"';
}

template <class T>
std::string text_of(const std::vector<T>& list) {
  std::string text = "[";
  for (size_t i = 0; i < list.size(); ++i) text += (i ? ", " : "") + text_of(list[i]);
  return text + "]";
}

}  // namespace

void read_toml(const Settings& settings, const std::string& path) {
  read_table(settings, parse_toml(path), "", path);
}

void read_toml_tables(const std::string& path, const std::string& name,
                      const std::function<Settings(const std::string& where)>& add) {
  const toml::table file = parse_toml(path);
  LIMBECK_CHECK(!file.empty(), path, ": expected [[", name, "]], found nothing");
  for (const auto& [key, node] : file)
    LIMBECK_CHECK(key.str() == name && node.is_array_of_tables(), position(path, node),
                  "expected [[", name, "]], found '", key.str(), "'");
  for (const toml::node& node : *file.get(name)->as_array())
    read_table(add(position(path, node)), *node.as_table(), "", path);
}

void set_override(const Settings& settings, const std::string& assignment) {
  const size_t equals = assignment.find('=');
  LIMBECK_CHECK(equals != std::string::npos && equals > 0, "--set ", assignment,
                ": expected key=value");
  const std::string key = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  const std::string where = cat("--set ", assignment, ": ");
  const Setting& setting = find_setting(settings, key, where);
  const bool wants_text = std::holds_alternative<std::string*>(setting.value);
  const bool wants_list = setting.value.index() >= 4;
  // Tried in turn: TOML as it stands, the elements of a list, one bare word.
  for (const std::string& text : {value, "[" + value + "]"}) {
    try {
      const toml::table table = toml::parse("value = " + text);
      if (table.size() != 1) continue;  // a line break, and another key after it
      const toml::node& node = *table.get("value");
      if ((wants_text && !node.is_string()) || (wants_list && !node.is_array())) continue;
      return assign(setting, node, where);
    } catch (const toml::parse_error&) {
      continue;
    } catch (const BrokenAssertion&) {
      continue;
    }
  }
  if (auto* text = std::get_if<std::string*>(&setting.value)) return void(**text = value);
  if (auto* list = std::get_if<std::vector<std::string>*>(&setting.value)) {
    std::vector<std::string> words;
    std::istringstream in(value);
    for (std::string word; std::getline(in, word, ',');) words.push_back(word);
    return void(**list = words);
  }
  toml::table found;
  found.insert("value", value);
  assign(setting, *found.get("value"), where);  // throws: a string where something else is expected
}

std::string to_toml(const Settings& settings, bool help) {
  // A section comes before its own sections, and those with keys of their own only.
  std::vector<std::string> sections{""};
  for (const std::string& section : sections_of(settings))
    if (!contains(sections, section)) sections.push_back(section);
  std::string out;
  for (const std::string& section : sections) {
    std::string lines;
    for (const Setting& s : settings) {
      const size_t dot = s.key.rfind('.');
      if ((dot == std::string::npos ? "" : s.key.substr(0, dot)) != section) continue;
      const std::string name = dot == std::string::npos ? s.key : s.key.substr(dot + 1);
      const std::string line =
          cat(name, " = ", std::visit([](auto* v) { return text_of(*v); }, s.value));
      lines += line;
      if (help && !s.help.empty())
        lines += cat(std::string(line.size() < 36 ? 36 - line.size() : 1, ' '), "# ", s.help);
      lines += '\n';
    }
    if (lines.empty()) continue;
    if (!section.empty()) out += cat(out.empty() ? "" : "\n", "[", section, "]\n");
    out += lines;
  }
  return out;
}

}  // namespace limbeck
