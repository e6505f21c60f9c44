#include "apps/op_json.h"

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

Attrs::Value value_from_json(const json& v, const std::string& where) {
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
  const json parsed = json::parse(text, nullptr, false);
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
