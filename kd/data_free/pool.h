// Images that were made, as bytes, for a student that learns from them again.
#pragma once
#include "data/dataset.h"
#include "tensor/safetensors.h"

namespace limbeck::kd::data_free {

/// Images f32 [N, H, W, C] as a network sees them, as bytes on the host, rounded down as in the
/// official codes.
Tensor bytes_of(const Tensor& images, const data::Standardisation& standardisation);

class ImagePool {
 public:
  /// At most `capacity` images of this shape [H, W, C], of classes or of responses; when it is full
  /// the oldest make room.
  ImagePool(int64_t capacity, const Shape& image, bool of_responses = false);
  int64_t size() const { return count_; }
  /// u8 [n, H, W, C] and the classes that were asked for, i64 [n], or responses, f32 [n, 1].
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
