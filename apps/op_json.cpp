#include "apps/op_json.h"

#include <cmath>
#include <cstring>
#include <set>

namespace limbeck {

using nlohmann::json;

namespace {

/// Operators do not list their attributes, but one without a case would be untested: the cases name
/// them all.
std::vector<std::string> known_attributes(const Op& op) {
  std::set<std::string> names;
  for (const OpCase& c : op.cases)
    for (const auto& [name, value] : c.attrs.values()) names.insert(name);
  return {names.begin(), names.end()};
}

constexpr const char* infinity_text = "Infinity";

/// JSON has no infinity, and the operators no attribute whose text is one: "Infinity", or bare, as
/// Python writes it.
std::string with_quoted_infinities(const std::string& text) {
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t sign = text[i] == '-' ? 1 : 0, length = std::strlen(infinity_text) + sign;
    if (!in_string && text.compare(i + sign, length - sign, infinity_text) == 0) {
      result += '"' + text.substr(i, length) + '"';
      i += length - 1;
      continue;
    }
    if (text[i] == '"' && (i == 0 || text[i - 1] != '\\')) in_string = !in_string;
    result += text[i];
  }
  return result;
}

Attrs::Value value_from_json(const json& v, const std::string& where) {
  if (v == infinity_text) return HUGE_VAL;
  if (v == std::string("-") + infinity_text) return -HUGE_VAL;
  if (v.is_boolean()) return v.get<bool>();
  if (v.is_number_integer()) return v.get<int64_t>();
  if (v.is_number_float()) return v.get<double>();
  if (v.is_string()) return v.get<std::string>();
  LIMBECK_CHECK(v.is_array(), where,
                ": expected a number, a text, true or false, or a list of integers, found ",
                v.dump());
  std::vector<int64_t> list;
  for (const json& item : v) {
    LIMBECK_CHECK(item.is_number_integer(), where, ": expected a list of integers, found ",
                  v.dump());
    list.push_back(item.get<int64_t>());
  }
  return list;
}

}  // namespace

Attrs attrs_from_json(const Op& op, const std::string& text, const std::string& where) {
  if (text.empty()) return {};
  const json parsed = json::parse(with_quoted_infinities(text), nullptr, false);
  LIMBECK_CHECK(parsed.is_object(), where, ": expected attributes as a JSON object, found '", text,
                "'");
  const std::vector<std::string> known = known_attributes(op);
  Attrs attrs;
  for (const auto& [name, value] : parsed.items()) {
    LIMBECK_CHECK(std::find(known.begin(), known.end(), name) != known.end(), where, ": operator ",
                  op.name, " has no attribute '", name, "'", did_you_mean(name, known));
    attrs.set(name, value_from_json(value, where + ": attribute '" + name + "'"));
  }
  return attrs;
}

json to_json(const Attrs& attrs) {
  json result = json::object();
  for (const auto& [name, value] : attrs.values())
    std::visit([&, key = name](const auto& v) { result[key] = v; }, value);
  for (const auto& [name, value] : attrs.values())
    if (const double* v = std::get_if<double>(&value); v && std::isinf(*v))
      result[name] = std::string(*v < 0 ? "-" : "") + infinity_text;
  return result;
}

json to_json(const std::vector<TunedChoice>& choices) {
  json result = json::array();
  for (const TunedChoice& c : choices)
    result.push_back({{"call", c.call},
                      {"kernel", c.kernel},
                      {"seconds", c.seconds},
                      {"rule", c.rule},
                      {"rule_seconds", c.rule_seconds},
                      {"passed_over", c.passed_over}});
  return result;
}

}  // namespace limbeck
