// The images that syntheses have made, as bytes, for a student that learns from all of them.
#pragma once
#include "data/dataset.h"
#include "tensor/safetensors.h"

namespace limbeck::kd::data_free {

class ImagePool {
 public:
  /// At most `capacity` images of this shape [H, W, C]; when it is full the oldest make room.
  ImagePool(int64_t capacity, const Shape& image);
  int64_t size() const { return count_; }
  /// u8 [n, H, W, C] and the classes that were asked for, i64 [n].
  void add(const Tensor& images, const Tensor& labels);
  struct Batch {
    data::ByteBatch images;
    Tensor labels;
  };
  /// n of them, drawn evenly with replacement, augmented. Throws while there are none.
  Batch draw(int64_t n, const data::Augmentation& augmentation, const Stream& stream) const;

  TensorFile state() const;
  /// Throws for more images than the capacity.
  void load(const TensorFile& state);

 private:
  Tensor images_, labels_;
  int64_t count_ = 0, next_ = 0;
};

}  // namespace limbeck::kd::data_free
