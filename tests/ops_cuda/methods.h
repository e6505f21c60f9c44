// Which test runs which distillation method on the device: every one that is registered is run.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "kd/method.h"

namespace limbeck {

/// With networks of the registry (methods_test.cpp): those that copy parts of a teacher, train
/// other networks or look at more than three maps.
inline const std::vector<std::string> methods_of_registry_networks = {
    "dkd",  "dist", "crd", "reviewkd", "semckd",     "simkd",
    "sskd", "takd", "hkd", "vam",      "kdexplainer"};

/// All others: with a network of three maps (distillation_test.cpp).
inline std::vector<std::string> methods_of_three_maps() {
  std::vector<std::string> names;
  for (const kd::MethodEntry& e : kd::all_methods())
    if (!std::count(methods_of_registry_networks.begin(), methods_of_registry_networks.end(),
                    e.name))
      names.push_back(e.name);
  return names;
}

}  // namespace limbeck
