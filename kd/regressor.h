// Regressor: carries a student's map to the size and channels of its teacher's (RepDistiller
// models/util.py, ConvReg).
#pragma once
#include <string>

#include "nn/layers.h"

namespace limbeck::kd {

/// Maps [N, side, side, in] to the teacher's [N, side', side', out]: a convolution with bias, batch
/// norm and, where asked for, ReLU. 3x3 with stride 2 when the student's side is twice the
/// teacher's; transposed 4x4 with stride 2 when it is half of it; otherwise a kernel of
/// 1 + (student's side - teacher's side) without padding, 1x1 for equal sides. Throws naming
/// `method` when there is none.
class Regressor : public nn::Module {
 public:
  Regressor(const std::string& method, const Shape& student, const Shape& teacher,
            bool relu = true);
  Variable forward(const Variable& x) override;

 private:
  nn::Module* conv_ = nullptr;
  nn::BatchNorm2d norm_;
  const bool relu_;
};

}  // namespace limbeck::kd
