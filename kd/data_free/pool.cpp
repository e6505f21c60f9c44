#include "kd/data_free/pool.h"

#include <algorithm>

#include "tensor/rows.h"

namespace limbeck::kd::data_free {

ImagePool::ImagePool(int64_t capacity, const Shape& image)
    : images_(Tensor::zeros({capacity, image[0], image[1], image[2]}, DType::u8)),
      labels_(Tensor::zeros({capacity}, DType::i64)) {}

void ImagePool::add(const Tensor& images, const Tensor& labels) {
  const int64_t capacity = images_.size(0);
  for (int64_t i = 0; i < images.size(0); ++i) {
    images_.rows(next_, next_ + 1).copy_from(images.rows(i, i + 1));
    labels_.rows(next_, next_ + 1).copy_from(labels.rows(i, i + 1));
    next_ = (next_ + 1) % capacity;
    count_ = std::min(count_ + 1, capacity);
  }
}

ImagePool::Batch ImagePool::draw(int64_t n, const data::Augmentation& augmentation,
                                 const Stream& stream) const {
  LIMBECK_CHECK(count_ > 0, "image pool: nothing was added yet");
  Stream rows = stream.fork("rows");
  std::vector<int64_t> index(static_cast<size_t>(n));
  for (int64_t& i : index) i = rows.below(count_);
  return {data::make_byte_batch(images_, index, augmentation, stream.fork("augment")),
          take_rows(labels_, index)};
}

TensorFile ImagePool::state() const {
  TensorFile file;
  file.add("images", images_.rows(0, count_).clone());
  file.add("labels", labels_.rows(0, count_).clone());
  file.add("next", Tensor::of<int64_t>({next_}));
  return file;
}

void ImagePool::load(const TensorFile& file) {
  const Tensor& images = file.get("images");
  count_ = images.size(0);
  LIMBECK_CHECK(count_ <= images_.size(0), "image pool: expected at most ", images_.size(0),
                " images, found ", count_);
  images_.rows(0, count_).copy_from(images);
  labels_.rows(0, count_).copy_from(file.get("labels"));
  next_ = file.get("next").to_vector<int64_t>().at(0);
}

}  // namespace limbeck::kd::data_free
