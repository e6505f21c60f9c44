// Attrs: the named settings of one operator call (stride, axes, eps, ...). Small, ordered,
// comparable.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tensor/error.h"

namespace limbeck {

class Attrs {
 public:
  using Value = std::variant<bool, int64_t, double, std::string, std::vector<int64_t>>;
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, Value>> values) : values_(values) {}

  Attrs& set(std::string name, Value value);
  const Value* find(std::string_view name) const;

  // Readers return the default when the name is absent and throw when the type differs (an integer
  // serves as a double).
  bool flag(std::string_view name, bool fallback = false) const;
  int64_t integer(std::string_view name, int64_t fallback) const;
  double number(std::string_view name, double fallback) const;
  std::string_view text(std::string_view name, std::string_view fallback) const;
  std::vector<int64_t> integers(std::string_view name,
                                const std::vector<int64_t>& fallback = {}) const;
  /// One integer or a list of two: {h, w}.
  std::pair<int64_t, int64_t> pair(std::string_view name, int64_t fallback) const;

  const std::vector<std::pair<std::string, Value>>& values() const { return values_; }

 private:
  std::vector<std::pair<std::string, Value>> values_;
};

/// "stride=2 padding=[1, 1]" for reports.
std::string to_string(const Attrs& attrs);

}  // namespace limbeck
