#include "kd/data_free/pool.h"

#include <algorithm>

#include "tensor/rows.h"

namespace limbeck::kd::data_free {

Tensor bytes_of(const Tensor& images, const data::Standardisation& s) {
  const Tensor host = images.to(cpu), bytes = Tensor::empty(images.shape(), DType::u8);
  const auto from = host.span<float>();
  const auto to = bytes.span<uint8_t>();
  for (size_t i = 0; i < from.size(); ++i) {
    const size_t c = i % s.mean.size();
    const double pixel = 255 * (from[i] * s.deviation[c] + s.mean[c]);
    to[i] = static_cast<uint8_t>(std::clamp(pixel, 0.0, 255.0));
  }
  return bytes;
}

ImagePool::ImagePool(int64_t capacity, const Shape& image, bool of_responses)
    : images_(Tensor::zeros({capacity, image[0], image[1], image[2]}, DType::u8)),
      labels_(of_responses ? Tensor::zeros({capacity, 1}) : Tensor::zeros({capacity}, DType::i64)) {
}

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
