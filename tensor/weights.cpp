#include "tensor/weights.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_set>
#include <utility>

namespace limbeck {
namespace {

template <class T>
int64_t nonfinite_of(const Tensor& t) {
  const T* values = t.data<T>();
  return std::count_if(values, values + t.numel(), [](T v) { return !std::isfinite(v); });
}

int64_t nonfinite(const Tensor& t) {
  if (t.dtype() == DType::f32) return nonfinite_of<float>(t);
  if (t.dtype() == DType::f64) return nonfinite_of<double>(t);
  return 0;
}

std::string quoted(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

/// "a." of "a.b.c".
std::string first_part(const std::string& key) { return key.substr(0, key.find('.') + 1); }

TensorFile behind(const TensorFile& file, const std::string& prefix, const std::string& what) {
  TensorFile kept = file.part(prefix);
  if (kept.tensors.empty()) {
    std::set<std::string> beginnings;
    for (const auto& [key, tensor] : file.tensors) beginnings.insert(first_part(key));
    fail(what, ": no key begins with '", prefix, "'; its keys begin with ", quoted(beginnings));
  }
  kept.metadata = file.metadata;
  return kept;
}

bool below(const std::string& key, const std::string& name) {
  return key == name || key.starts_with(name + ".");
}

/// Without the keys for which `drop` holds; how many these were.
template <class F>
size_t erase_keys(TensorFile& file, F&& drop) {
  return std::erase_if(file.tensors, [&](const auto& entry) { return drop(entry.first); });
}

size_t strip_front(TensorFile& file, const std::string& front) {
  size_t met = 0;
  for (auto& [key, tensor] : file.tensors)
    if (key.starts_with(front)) key.erase(0, front.size()), ++met;
  return met;
}

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

bool is_counter(const std::string& key) {
  const std::string last = last_part(key);
  return last == "n_averaged" || last == "total_ops" || last == "total_params";
}

void drop_counters(RenamedWeights& weights) {
  std::set<std::string> dropped;
  erase_keys(weights.file, [&](const std::string& key) {
    if (is_counter(key)) dropped.insert(last_part(key));
    return is_counter(key);
  });
  weights.counters.assign(dropped.begin(), dropped.end());
}

bool all_begin_with(const TensorFile& file, const std::string& front) {
  return !file.tensors.empty() &&
         std::all_of(file.tensors.begin(), file.tensors.end(),
                     [&](const auto& entry) { return entry.first.starts_with(front); });
}

void drop_wrappers(RenamedWeights& weights) {
  bool again = true;
  while (std::exchange(again, false))
    for (const char* front : {"module.", "_orig_mod."})
      if (all_begin_with(weights.file, front)) {
        strip_front(weights.file, front);
        weights.front += front;
        again = true;
      }
}

}  // namespace

void check_finite(const TensorFile& file, const std::string& what) {
  for (const auto& [name, tensor] : file.tensors)
    if (const int64_t bad = nonfinite(tensor))
      fail(what, ": tensor '", name, "' holds NaN or infinite values (", bad, " of ",
           tensor.numel(), ")");
}

RenamedWeights rename_weights(const TensorFile& file, const KeyRules& rules,
                              const std::string& what) {
  RenamedWeights weights{rules.prefix.empty() ? file : behind(file, rules.prefix, what), {}, {}};
  for (const std::string& name : rules.ignore) {
    const size_t met =
        erase_keys(weights.file, [&](const std::string& key) { return below(key, name); });
    LIMBECK_CHECK(met > 0, what, ": no key '", name, "' to ignore");
  }
  for (const std::string& front : rules.strip)
    LIMBECK_CHECK(strip_front(weights.file, front) > 0, what, ": no key begins with '", front,
                  "', nothing to strip");
  drop_counters(weights);
  drop_wrappers(weights);
  std::unordered_set<std::string> names;
  for (const auto& [key, tensor] : weights.file.tensors)
    LIMBECK_CHECK(names.insert(key).second, what, ": two of its keys become '", key, "'");
  return weights;
}

std::string key_advice(const RenamedWeights& weights, const std::vector<std::string>& expected) {
  std::unordered_set<std::string> keys;
  for (const auto& [key, tensor] : weights.file.tensors) keys.insert(key);
  const auto holds_all = [&](const std::string& prefix) {
    return std::all_of(expected.begin(), expected.end(),
                       [&](const std::string& name) { return keys.contains(prefix + name); });
  };
  if (expected.empty() || keys.empty()) return "";
  if (holds_all("") && keys.size() == expected.size()) return "";  // it is about something else
  if (holds_all(""))
    return "; all of the network's keys are there: --ignore KEY leaves the others out";
  std::set<std::string> prefixes;
  for (const std::string& key : keys)
    if (key.size() > expected[0].size() && key.ends_with("." + expected[0]))
      if (const std::string prefix = key.substr(0, key.size() - expected[0].size());
          holds_all(prefix))
        prefixes.insert(weights.front + prefix);
  if (prefixes.empty()) return "";
  return "; all of the network's keys stand behind " + quoted(prefixes) + ": --prefix takes " +
         (prefixes.size() > 1 ? "one of them" : "it");
}

}  // namespace limbeck
