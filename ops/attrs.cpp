#include "ops/attrs.h"

namespace limbeck {
namespace {

[[noreturn]] void wrong_type(std::string_view name, const char* expected) {
  fail("attribute '", name, "': expected ", expected);
}

}  // namespace

Attrs& Attrs::set(std::string name, Value value) {
  for (auto& [n, v] : values_)
    if (n == name) {
      v = std::move(value);
      return *this;
    }
  values_.emplace_back(std::move(name), std::move(value));
  return *this;
}

const Attrs::Value* Attrs::find(std::string_view name) const {
  for (const auto& [n, v] : values_)
    if (n == name) return &v;
  return nullptr;
}

bool Attrs::flag(std::string_view name, bool fallback) const {
  const Value* v = find(name);
  if (!v) return fallback;
  if (const bool* b = std::get_if<bool>(v)) return *b;
  wrong_type(name, "true or false");
}

int64_t Attrs::integer(std::string_view name, int64_t fallback) const {
  const Value* v = find(name);
  if (!v) return fallback;
  if (const int64_t* i = std::get_if<int64_t>(v)) return *i;
  wrong_type(name, "an integer");
}

double Attrs::number(std::string_view name, double fallback) const {
  const Value* v = find(name);
  if (!v) return fallback;
  if (const double* d = std::get_if<double>(v)) return *d;
  if (const int64_t* i = std::get_if<int64_t>(v)) return static_cast<double>(*i);
  wrong_type(name, "a number");
}

std::string_view Attrs::text(std::string_view name, std::string_view fallback) const {
  const Value* v = find(name);
  if (!v) return fallback;
  if (const std::string* s = std::get_if<std::string>(v)) return *s;
  wrong_type(name, "a text");
}

std::vector<int64_t> Attrs::integers(std::string_view name,
                                     const std::vector<int64_t>& fallback) const {
  const Value* v = find(name);
  if (!v) return fallback;
  if (const auto* list = std::get_if<std::vector<int64_t>>(v)) return *list;
  if (const int64_t* i = std::get_if<int64_t>(v)) return {*i};
  wrong_type(name, "a list of integers");
}

std::pair<int64_t, int64_t> Attrs::pair(std::string_view name, int64_t fallback) const {
  const Value* v = find(name);
  if (!v) return {fallback, fallback};
  if (const int64_t* i = std::get_if<int64_t>(v)) return {*i, *i};
  if (const auto* list = std::get_if<std::vector<int64_t>>(v); list && list->size() == 2)
    return {(*list)[0], (*list)[1]};
  wrong_type(name, "an integer or a list of two");
}

std::string to_string(const Attrs& attrs) {
  std::ostringstream out;
  out << std::boolalpha;
  const char* gap = "";
  for (const auto& [name, value] : attrs.values()) {
    out << gap << name << '=';
    gap = " ";
    std::visit(
        [&](const auto& v) {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::vector<int64_t>>) {
            out << '[';
            for (size_t i = 0; i < v.size(); ++i) out << (i ? ", " : "") << v[i];
            out << ']';
          } else {
            out << v;
          }
        },
        value);
  }
  return out.str();
}

}  // namespace limbeck
