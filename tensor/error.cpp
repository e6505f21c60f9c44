#include "tensor/error.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace limbeck {
namespace {

size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replace});
    }
  }
  return row.back();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& candidates) {
  const size_t bound = std::min(std::max<size_t>(2, name.size() / 3), name.size() - 1);
  const std::string wanted = lower(name);
  std::string best;
  size_t best_distance = bound + 1;
  for (const auto& c : candidates) {
    // So many letters are missing at least: a name of kilobytes is compared with nothing.
    const auto [shorter, longer] = std::minmax({c.size(), name.size()});
    if (longer - shorter >= best_distance) continue;
    const size_t d = edit_distance(wanted, lower(c));
    if (d < best_distance) best_distance = d, best = c;
  }
  return best;
}

std::string did_you_mean(const std::string& name, const std::vector<std::string>& candidates,
                         const std::string& otherwise) {
  const std::string near = name.empty() ? "" : nearest_name(name, candidates);
  if (!near.empty()) return cat("; did you mean '", near, "'?");
  constexpr size_t few = 16;
  if (!otherwise.empty() || candidates.empty() || candidates.size() > few) return otherwise;
  return "; there are: " + joined(candidates);
}

}  // namespace limbeck
