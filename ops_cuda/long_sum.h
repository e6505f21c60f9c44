// A float sum of any number of terms: they are added 1024 at a time, so that a small term never
// meets a large sum, which would round it away. Up to 1024 terms it is the plain sum, bit for bit;
// in double it always is. One counter and one more register than a plain sum.
#pragma once
#include <type_traits>

#include "ops_cuda/launch.h"

namespace limbeck::cuda {

template <class T>
class LongSum {
 public:
  LongSum() = default;
  __device__ explicit LongSum(T first) : part_(first) {}
  __device__ void add(T x) {
    part_ += x;
    if constexpr (!std::is_same_v<T, double>)
      if (++terms_ == longest) {
        whole_ += part_;
        part_ = 0;
        terms_ = 0;
      }
  }
  __device__ T value() const { return whole_ + part_; }

 private:
  static constexpr int longest = 1024;
  T whole_ = 0, part_ = 0;
  int terms_ = 0;
};

}  // namespace limbeck::cuda
