// make_batch: bytes to standardised f32, with crop and flip.
//   out[i,y,x,c] = (in[index_i, y + top_i - pad, x' + left_i - pad, c] / 255 - mean_c) / deviation_c,  x' = x or W-1-x when flipped,
// and a position outside the image is byte 0, i.e. black before the standardisation, as torchvision's RandomCrop on the bytes.
// All byte values go through one 256-entry table per channel, computed in f32 in the order of ToTensor and Normalize (same bits).
// Reads 1 byte and writes 4 per element; one thread (the loader runs several batches at a time).
#include <algorithm>
#include <cstring>

#include "data/dataset.h"

namespace limbeck::data {
namespace {

std::vector<float> byte_table(const Standardisation& s, int64_t channels) {
  const auto c_count = static_cast<size_t>(channels);
  LIMBECK_CHECK(s.mean.size() == c_count && s.deviation.size() == c_count, "make_batch: expected mean and deviation of ", channels,
                " channels, found ", s.mean.size(), " and ", s.deviation.size());
  std::vector<float> table(c_count * 256);
  for (size_t c = 0; c < c_count; ++c) {
    const float mean = static_cast<float>(s.mean[c]), deviation = static_cast<float>(s.deviation[c]);
    LIMBECK_CHECK(deviation > 0, "make_batch: deviation of channel ", c, " is ", deviation, ", expected above 0");
    for (size_t v = 0; v < 256; ++v) table[c * 256 + v] = (static_cast<float>(v) / 255.0f - mean) / deviation;
  }
  return table;
}

struct Draw {
  int64_t dy = 0, dx = 0;  ///< the crop's corner relative to the image, in [-pad, pad]
  bool flip = false;
};

/// One Philox block per image: word 0 row, 1 column, 2 flip.
Draw draw_at(const Stream& stream, int64_t position, const Augmentation& a) {
  const PhiloxBlock b = philox(stream.key(), stream.offset() + static_cast<uint64_t>(position));
  const auto span = static_cast<uint64_t>(2 * a.crop_padding + 1);
  const auto below = [&](uint32_t bits) { return static_cast<int64_t>(bits * span >> 32); };
  return {below(b[0]) - a.crop_padding, below(b[1]) - a.crop_padding, a.flip && (b[2] >> 31)};
}

template <int C>
void convert_row(const uint8_t* in, float* out, int64_t count, int64_t step, const float* table, int64_t channels) {
  const int64_t c_count = C > 0 ? C : channels;
  for (int64_t x = 0; x < count; ++x, in += c_count, out += step)
    for (int64_t c = 0; c < c_count; ++c) out[c] = table[c * 256 + in[c]];
}

void black_pixels(float* out, int64_t count, const float* table, int64_t channels) {
  for (int64_t x = 0; x < count; ++x)
    for (int64_t c = 0; c < channels; ++c) *out++ = table[c * 256];
}

template <int C>
void convert_image(const uint8_t* in, float* out, int64_t h, int64_t w, int64_t channels, const Draw& d, const float* table) {
  const int64_t begin = std::max<int64_t>(0, -d.dx), end = std::min(w, w - d.dx);  // columns of the crop that lie in the image
  for (int64_t y = 0; y < h; ++y, out += w * channels) {
    const int64_t sy = y + d.dy;
    if (sy < 0 || sy >= h || end <= begin) {
      black_pixels(out, w, table, channels);
      continue;
    }
    const uint8_t* row = in + (sy * w + begin + d.dx) * channels;
    const int64_t first = d.flip ? w - end : begin, last = d.flip ? w - begin : end;
    black_pixels(out, first, table, channels);
    convert_row<C>(row, out + (d.flip ? last - 1 : first) * channels, end - begin, d.flip ? -channels : channels, table, channels);
    black_pixels(out + last * channels, w - last, table, channels);
  }
}

}  // namespace

Tensor make_batch(const Tensor& images, const std::vector<int64_t>& index, const Augmentation& augmentation,
                  const Standardisation& standardisation, Stream stream) {
  LIMBECK_CHECK(images.defined() && images.rank() == 4, "make_batch: expected u8 images [N,H,W,C], found ", describe(images));
  LIMBECK_CHECK(augmentation.crop_padding >= 0, "make_batch: crop padding ", augmentation.crop_padding, ", expected 0 or more");
  const int64_t n = images.size(0), h = images.size(1), w = images.size(2), c = images.size(3);
  const std::vector<float> table = byte_table(standardisation, c);
  Tensor out = Tensor::empty({static_cast<int64_t>(index.size()), h, w, c});
  const auto convert = c == 3 ? convert_image<3> : c == 1 ? convert_image<1> : convert_image<0>;
  for (size_t i = 0; i < index.size(); ++i) {
    LIMBECK_CHECK(index[i] >= 0 && index[i] < n, "make_batch: row ", index[i], " asked from ", n, " images");
    const auto position = static_cast<int64_t>(i);
    convert(images.data<uint8_t>() + index[i] * h * w * c, out.data<float>() + position * h * w * c, h, w, c,
            draw_at(stream, position, augmentation), table.data());
  }
  return out;
}

Batch Batch::to(Device device) const {
  const auto move = [device](const Tensor& t) { return t.defined() ? t.to(device) : t; };
  return {move(images), move(labels), move(targets), index};
}

}  // namespace limbeck::data
