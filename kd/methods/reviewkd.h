// ReviewKD's modules; formulas and sources in reviewkd.cpp.
#pragma once
#include <memory>
#include <vector>

#include "nn/layers.h"

namespace limbeck::kd::reviewkd {

/// Attention-based fusion of a student's map with what comes from the deeper level.
class Fusion : public nn::Module {
 public:
  /// `deepest`: nothing comes from deeper.
  Fusion(int64_t in, int64_t middle, int64_t out, bool deepest);
  struct Result {
    Variable output, residual;  ///< [N, side, side, out], [N, side, side, middle]
  };
  /// map [N,H,W,in], deeper [N,h,w,middle] or undefined; resized to `side` by nearest neighbours.
  Result operator()(const Variable& map, const Variable& deeper, int64_t side);

 private:
  /// A convolution "0" and a batch norm "1".
  struct ConvNorm : nn::Module {
    ConvNorm(int64_t in, int64_t out, int64_t kernel);
    Variable forward(const Variable& x) override { return bn(conv(x)); }
    nn::Conv2d conv;
    nn::BatchNorm2d bn;
  };
  ConvNorm conv1_, conv2_;
  std::unique_ptr<nn::Conv2d> attention_;
};

/// Nearest neighbours, by a whole factor up or down.
/// map [N,H,W,C] -> [N,side,side,C].
Variable resized(const Variable& map, int64_t side);

/// HCL: the hierarchical context loss of one level.
/// Both [N,H,W,C]; a scalar.
Variable context_loss(const Variable& student, const Variable& teacher);

}  // namespace limbeck::kd::reviewkd
