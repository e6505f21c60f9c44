#include "tensor/image_bytes.h"

#include <algorithm>

namespace limbeck {
namespace {

template <int C>
void convert_row(const uint8_t* in, float* out, int64_t count, int64_t step, const float* table,
                 int64_t channels) {
  const int64_t c_count = C > 0 ? C : channels;
  for (int64_t x = 0; x < count; ++x, in += c_count, out += step)
    for (int64_t c = 0; c < c_count; ++c) out[c] = table[c * 256 + in[c]];
}

void black_pixels(float* out, int64_t count, const float* table, int64_t channels) {
  for (int64_t x = 0; x < count; ++x)
    for (int64_t c = 0; c < channels; ++c) *out++ = table[c * 256];
}

template <int C>
void convert_image(const uint8_t* in, float* out, int64_t h, int64_t w, int64_t channels,
                   const CropDraw& d, const float* table) {
  const int64_t begin = std::max<int64_t>(0, -d.dx),
                end = std::min<int64_t>(w, w - d.dx);  // columns of the crop that lie in the image
  for (int64_t y = 0; y < h; ++y, out += w * channels) {
    const int64_t sy = y + d.dy;
    if (sy < 0 || sy >= h || end <= begin) {
      black_pixels(out, w, table, channels);
      continue;
    }
    const uint8_t* row = in + (sy * w + begin + d.dx) * channels;
    const int64_t first = d.flip ? w - end : begin, last = d.flip ? w - begin : end;
    black_pixels(out, first, table, channels);
    convert_row<C>(row, out + (d.flip ? last - 1 : first) * channels, end - begin,
                   d.flip ? -channels : channels, table, channels);
    black_pixels(out + last * channels, w - last, table, channels);
  }
}

}  // namespace

std::vector<float> byte_table(const float* mean, const float* deviation, int64_t channels) {
  std::vector<float> table(static_cast<size_t>(channels) * 256);
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t v = 0; v < 256; ++v)
      table[static_cast<size_t>(c * 256 + v)] =
          (static_cast<float>(v) / 255.0f - mean[c]) / deviation[c];
  return table;
}

void standardise_image(const uint8_t* in, float* out, int64_t h, int64_t w, int64_t channels,
                       const CropDraw& draw, const float* table) {
  const auto convert = channels == 3   ? convert_image<3>
                       : channels == 1 ? convert_image<1>
                                       : convert_image<0>;
  convert(in, out, h, w, channels, draw, table);
}

}  // namespace limbeck
