// Overrides of the rules that cut matrix products and convolutions (implicit_gemm.h): for tests and
// for an autotuner.
#pragma once

namespace limbeck::cuda {

struct ProductTuning {
  int tile =
      /// 0: by the rule; otherwise rows * 1000 + columns: 64064, 128128, 128032, 128016. Stored
      /// matrices take 128032 for 128016.
      0;
  int parts =
      0;  ///< into how many parts sums are split, 0: by the rule; fewer where a sum is too short
  int round_weights =
      /// bf16 convolutions: 1: weights are rounded to bf16 by a launch before, 0: on their way to
      /// registers, -1: by the rule
      -1;
};

/// Of the whole process.
inline ProductTuning& product_tuning() {
  static ProductTuning t;
  return t;
}

}  // namespace limbeck::cuda
