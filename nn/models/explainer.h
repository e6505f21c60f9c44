// The explaining student of KDExplainer (Xue et al., "KDExplainer: a task-oriented attention model
// for explaining knowledge distillation", IJCAI 2021; official code: zju-vipa/KamalEngine): a tree
// of small experts in which every block takes a mixture of the blocks above it. What distillation
// does to the mixtures can be read off.
#pragma once
#include "nn/models/registry.h"

namespace limbeck::nn {

/// "explainer_tree". Three levels of 2, 4 and 8 blocks, each halving its maps, and one head for
/// each class. Input of child i: sum over parents j of d_ij maps_j, d_i = softmax(2 b_i / t), with
/// b [children, parents] a parameter that no image changes, and t a buffer that its method
/// (kd/methods/kdexplainer.cpp) lets fall.
class ExplainerTree : public Network {
 public:
  /// d of levels 2, 3 and the heads: [4, 2], [8, 4], [classes, 8], rows of sum 1.
  virtual Variables decisions() const = 0;
  /// 1 / t, [1, 1]: 0.1 at the start; great: every child takes one parent alone.
  virtual Tensor& inverse_temperature() = 0;
};

/// Mean over all rows of all `decisions` of H(row) / log(parents): 1 for even mixtures, 0 where
/// every child has one parent. Throws for a row of one.
double mean_entropy(const Variables& decisions);

}  // namespace limbeck::nn
