// A finished set of fakes as a source of images, for trainings that ask for images of conditions.
#pragma once
#include <utility>
#include <vector>

#include "data/dataset.h"

namespace limbeck::kd {

/// What the images of a set stand for: classes i64 [N], or responses f32 [N].
const Tensor& labels_of(const data::Dataset& set);

/// Hands out the images of a set with replacement. For a class it is one of the class's images, for
/// a response one of those with the nearest responses. A gan::ImageSource.
class StoredFakes {
 public:
  /// Responses are normalised to [0, 1] (Task::for_generation). `flip`: at random, each image.
  /// Throws for an empty set.
  StoredFakes(data::Dataset fakes, bool flip);
  /// f32 [n, H, W, C] in [-1, 1]; throws naming a class without images.
  Tensor operator()(const Tensor& y, const Stream& stream) const;

 private:
  /// Of order_, those that stand for y.
  std::pair<int64_t, int64_t> range_of(double y) const;

  const data::Dataset fakes_;
  const bool flip_;
  std::vector<int64_t> order_;  // rows by their label
  std::vector<double> labels_;  // in that order
};

/// Two halves with the same labels: of the images in order of label every second one, equal labels
/// in random order. An odd image goes to the first.
std::pair<data::Dataset, data::Dataset> halves_by_label(const data::Dataset& set, Stream stream);

}  // namespace limbeck::kd
