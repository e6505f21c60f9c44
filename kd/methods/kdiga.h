// The term of KDIGA's form "igdm", of logits alone.
#pragma once
#include "autograd/functions.h"

namespace limbeck::kd::kdiga {

/// KL(softmax(t+ - t-) || softmax(s+ - s-)), batch mean: how the logits differ between images on
/// either side. No gradient to the teacher. All [N, C].
Variable difference_loss(const Variable& student_above, const Variable& student_below,
                         const Variable& teacher_above, const Variable& teacher_below);

}  // namespace limbeck::kd::kdiga
