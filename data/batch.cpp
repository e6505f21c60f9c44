// make_batch: bytes to standardised f32, with crop and flip (formula in tensor/image_bytes.h).
// Torchvision's RandomCrop pads the bytes, so what lies outside is black before the
// standardisation. One thread: the loader runs several batches at a time.
#include <utility>

#include "data/dataset.h"
#include "tensor/image_bytes.h"
#include "tensor/rows.h"

namespace limbeck::data {
namespace {

std::vector<float> byte_table_of(const Standardisation& s, int64_t channels) {
  const auto c_count = static_cast<size_t>(channels);
  LIMBECK_CHECK(s.mean.size() == c_count && s.deviation.size() == c_count,
                "make_batch: expected mean and deviation of ", channels, " channels, found ",
                s.mean.size(), " and ", s.deviation.size());
  const std::vector<float> mean(s.mean.begin(), s.mean.end()),
      deviation(s.deviation.begin(), s.deviation.end());
  for (size_t c = 0; c < c_count; ++c)
    LIMBECK_CHECK(deviation[c] > 0, "make_batch: deviation of channel ", c, " is ", deviation[c],
                  ", expected above 0");
  return byte_table(mean.data(), deviation.data(), channels);
}

/// One Philox block per image: word 0 row, 1 column, 2 flip. Shifts lie in [-padding, padding].
CropDraw draw_at(const Stream& stream, int64_t position, const Augmentation& a) {
  const PhiloxBlock b = philox(stream.key(), stream.offset() + static_cast<uint64_t>(position));
  const auto span = static_cast<uint64_t>(2 * a.crop_padding + 1);
  const auto shift = [&](uint32_t bits) {
    return static_cast<int32_t>(static_cast<int64_t>(bits * span >> 32) - a.crop_padding);
  };
  return {shift(b[0]), shift(b[1]), a.flip && (b[2] >> 31)};
}

void check_rows(const Tensor& images, const std::vector<int64_t>& index,
                const Augmentation& augmentation) {
  LIMBECK_CHECK(images.defined() && images.rank() == 4 && images.dtype() == DType::u8,
                "make_batch: expected u8 images [N,H,W,C], found ", describe(images));
  LIMBECK_CHECK(augmentation.crop_padding >= 0, "make_batch: crop padding ",
                augmentation.crop_padding, ", expected 0 or more");
  for (const int64_t row : index)
    LIMBECK_CHECK(row >= 0 && row < images.size(0), "make_batch: row ", row, " asked from ",
                  images.size(0), " images");
}

}  // namespace

Tensor make_batch(const Tensor& images, const std::vector<int64_t>& index,
                  const Augmentation& augmentation, const Standardisation& standardisation,
                  Stream stream, DrawnBy drawn_by) {
  check_rows(images, index, augmentation);
  const int64_t h = images.size(1), w = images.size(2), c = images.size(3);
  const std::vector<float> table = byte_table_of(standardisation, c);
  Tensor out = Tensor::empty({static_cast<int64_t>(index.size()), h, w, c});
  for (size_t i = 0; i < index.size(); ++i) {
    const auto position = static_cast<int64_t>(i);
    standardise_image(images.data<uint8_t>() + index[i] * h * w * c,
                      out.data<float>() + position * h * w * c, h, w, c,
                      draw_at(stream, drawn_by == DrawnBy::row ? index[i] : position, augmentation),
                      table.data());
  }
  return out;
}

ByteBatch make_byte_batch(const Tensor& images, const std::vector<int64_t>& index,
                          const Augmentation& augmentation, Stream stream, DrawnBy drawn_by) {
  check_rows(images, index, augmentation);
  ByteBatch b{take_rows(images, index),
              Tensor::empty({static_cast<int64_t>(index.size()), 3}, DType::i32)};
  for (size_t i = 0; i < index.size(); ++i) {
    const auto position = static_cast<int64_t>(i);
    const CropDraw d =
        draw_at(stream, drawn_by == DrawnBy::row ? index[i] : position, augmentation);
    int32_t* row = b.draws.data<int32_t>() + i * 3;
    row[0] = d.dy, row[1] = d.dx, row[2] = d.flip;
  }
  return b;
}

Tensor quarter_turns(const Tensor& images, const std::vector<int64_t>& index, bool flip,
                     Stream stream) {
  check_rows(images, index, {});
  const int64_t side = images.size(1), c = images.size(3), bytes = side * side * c;
  LIMBECK_CHECK(side == images.size(2), "quarter_turns: expected square images, found ",
                describe(images));
  Tensor out = Tensor::empty({4 * static_cast<int64_t>(index.size()), side, side, c}, DType::u8);
  uint8_t* to = out.data<uint8_t>();
  for (const int64_t row : index) {
    const uint8_t* from = images.data<uint8_t>() + row * bytes;
    const bool flipped = (stream.bits() >> 31) && flip;
    for (int turn = 0; turn < 4; ++turn)
      for (int64_t y = 0; y < side; ++y)
        for (int64_t x = 0; x < side; ++x, to += c) {
          int64_t sy = y, sx = x;
          for (int i = 0; i < turn; ++i) sy = std::exchange(sx, side - 1 - sy);
          if (flipped) sx = side - 1 - sx;
          std::copy_n(from + (sy * side + sx) * c, c, to);
        }
  }
  return out;
}

Stream ReplayedViews::stream(int64_t view) const {
  return Stream(static_cast<uint64_t>(seed)).fork("view", static_cast<uint64_t>(view));
}

Batch Batch::to(Device device) const {
  return {images.to(device), labels.to(device), targets.to(device), index,
          draws.to(device),  outputs.to(device)};
}

}  // namespace limbeck::data
