// How the stages that measure Theorem 1 write down what they found.
#pragma once
#include "kd/stage.h"
#include "kd/theorem1.h"

namespace limbeck::kd {

/// A result of kind "theorem1", a scalar.
inline void put_theorem1(StageContext& context, const std::string& key, double value,
                         Better better = Better::neither) {
  context.results[key] = {value, "", better, "theorem1"};
}
/// An estimate, a scalar, and its standard error as NAME_error.
inline void put_theorem1(StageContext& context, const std::string& key, const Estimate& e,
                         Better better = Better::neither) {
  put_theorem1(context, key, e.mean, better);
  put_theorem1(context, key + "_error", e.error);
}

}  // namespace limbeck::kd
