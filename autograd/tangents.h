// Tangents: the derivative of a traced forward pass in one direction, made of ordinary
// differentiable operators, so that backward() goes through it. Backward over forward: gradients of
// what depends on input gradients, without a tape of backward passes.
//   g(w) = d L(f(x, w)) / d x and a constant v:  d <g, v> / d w = d <dL/df, df[v]> / d w,
//   df[v] the tangent of f at x in the direction v
#pragma once
#include <unordered_map>
#include <vector>

#include "autograd/trace.h"

namespace limbeck {

class Tangents {
 public:
  /// `calls` of an OperatorTrace around a forward pass from x; `direction` has x's shape. What
  /// batch norms and dropouts of the pass did they do here too: the statistics are those of the
  /// same batch, with their derivative, and the same places are dropped. Running statistics stay.
  /// Where an activation has a kink its derivative is what backward() takes. Throws naming the
  /// operator that has no rule.
  /// (The calls are copied: a trace that is still alive grows by the tangents' own.)
  Tangents(std::vector<OperatorCall> calls, const Variable& x, const Variable& direction);
  /// Of an output of one of the calls; undefined where it does not depend on x.
  Variable of(const Variable& output) const;

 private:
  void follow(const OperatorCall& call);
  std::unordered_map<const void*, Variable> known_;
};

}  // namespace limbeck
