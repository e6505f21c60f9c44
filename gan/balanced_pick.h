// Batches balanced by response: labels uniform over the distinct ones, then an image of each label
// (the sparse autoencoder and the density ratio of the regression experiments).
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/random.h"

namespace limbeck::gan {

class BalancedPick {
 public:
  /// Throws for no responses and for an empty batch.
  BalancedPick(std::span<const float> responses, int64_t batch, const Stream& stream);
  /// Rows of the batch of a step, with replacement; depends on stream and step only. Fit for
  /// data::Loader::Config::pick.
  std::vector<int64_t> operator()(int64_t step) const;

 private:
  std::vector<std::vector<int64_t>> rows_of_;  // of each distinct response, rising
  int64_t batch_;
  Stream stream_;
};

}  // namespace limbeck::gan
