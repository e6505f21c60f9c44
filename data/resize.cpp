#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tensor/error.h"

namespace limbeck::data {
namespace {

/// A new pixel of a row or column: the weighted mean of old ones from `first` on.
struct Tap {
  int64_t first;
  std::vector<double> weights;
};

/// Old pixels lie in [i, i + 1), new ones in [j, j + 1) old / size. Shrinking takes the mean over
/// that interval; growing interpolates between the two nearest centres.
std::vector<Tap> taps(int64_t old_size, int64_t size) {
  std::vector<Tap> all;
  const double scale = static_cast<double>(old_size) / static_cast<double>(size);
  for (int64_t j = 0; j < size; ++j) {
    if (size > old_size) {
      const double centre = std::clamp((static_cast<double>(j) + 0.5) * scale - 0.5, 0.0,
                                       static_cast<double>(old_size - 1));
      const auto first = static_cast<int64_t>(centre);
      const double right = centre - static_cast<double>(first);
      all.push_back({first, right > 0 ? std::vector{1 - right, right} : std::vector{1.0}});
      continue;
    }
    const double low = static_cast<double>(j) * scale, high = low + scale;
    const auto first = static_cast<int64_t>(low);
    Tap tap{first, {}};
    for (int64_t i = first; i < old_size && static_cast<double>(i) < high; ++i)
      tap.weights.push_back(
          (std::min(high, static_cast<double>(i + 1)) - std::max(low, static_cast<double>(i))) /
          scale);
    all.push_back(std::move(tap));
  }
  return all;
}

/// The part of an image that is scaled, and the size that it gets.
struct Frame {
  int64_t top, left, height, width;
  int64_t new_height, new_width;
};

Frame frame_of(int64_t height, int64_t width, int64_t size, Resize how) {
  if (how == Resize::stretch) return {0, 0, height, width, size, size};
  if (how == Resize::crop) {
    const int64_t side = std::min(height, width);
    return {(height - side) / 2, (width - side) / 2, side, side, size, size};
  }
  const double scale = static_cast<double>(size) / static_cast<double>(std::max(height, width));
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, std::llround(static_cast<double>(side) * scale));
  };
  return {0, 0, height, width, scaled(height), scaled(width)};
}

/// Columns first, then rows; `out` is [new_height, new_width, channels].
void scale_into(const uint8_t* in, int64_t stride, int64_t channels, const Frame& f, uint8_t* out) {
  const std::vector<Tap> across = taps(f.width, f.new_width), down = taps(f.height, f.new_height);
  std::vector<double> rows(static_cast<size_t>(f.height * f.new_width * channels));
  double* row = rows.data();
  for (int64_t y = 0; y < f.height; ++y)
    for (const Tap& tap : across)
      for (int64_t c = 0; c < channels; ++c) {
        const uint8_t* p = in + ((f.top + y) * stride + f.left + tap.first) * channels + c;
        double sum = 0;
        for (size_t i = 0; i < tap.weights.size(); ++i)
          sum += tap.weights[i] * p[static_cast<int64_t>(i) * channels];
        *row++ = sum;
      }
  const int64_t width = f.new_width * channels;
  for (const Tap& tap : down)
    for (int64_t x = 0; x < width; ++x) {
      double sum = 0;
      for (size_t i = 0; i < tap.weights.size(); ++i)
        sum += tap.weights[i] *
               rows[static_cast<size_t>((tap.first + static_cast<int64_t>(i)) * width + x)];
      // Nearest byte; an exact half goes up.
      *out++ = static_cast<uint8_t>(std::clamp(std::floor(sum + 0.5 + 1e-9), 0.0, 255.0));
    }
}

}  // namespace

Resize parse_resize(const std::string& text) {
  if (text.empty()) return Resize::none;
  if (text == "stretch") return Resize::stretch;
  if (text == "crop") return Resize::crop;
  if (text == "fit") return Resize::fit;
  fail("data.resize: expected stretch, crop, fit or nothing, found '", text, "'");
}

Tensor pad_images(const Tensor& images, int64_t size) {
  const int64_t n = images.size(0), h = images.size(1), w = images.size(2), c = images.size(3);
  const int64_t top = (size - h) / 2, left = (size - w) / 2;
  Tensor out = Tensor::zeros({n, size, size, c}, DType::u8);
  const uint8_t* in = images.data<uint8_t>();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t y = 0; y < h; ++y)
      std::memcpy(out.data<uint8_t>() + ((i * size + top + y) * size + left) * c,
                  in + (i * h + y) * w * c, static_cast<size_t>(w * c));
  return out;
}

Tensor resize_images(const Tensor& images, int64_t size, Resize how) {
  LIMBECK_CHECK(images.rank() == 4 && images.dtype() == DType::u8 && size > 0,
                "resize_images: expected u8 [N, H, W, C], found ", describe(images));
  const int64_t n = images.size(0), h = images.size(1), w = images.size(2), c = images.size(3);
  LIMBECK_CHECK(h > 0 && w > 0, "resize_images: images without pixels, ", describe(images));
  const Frame frame = frame_of(h, w, size, how);
  Tensor scaled = Tensor::empty({n, frame.new_height, frame.new_width, c}, DType::u8);
  const int64_t bytes = frame.new_height * frame.new_width * c;
  const uint8_t* const in = images.data<uint8_t>();
  uint8_t* const out = scaled.data<uint8_t>();
#pragma omp parallel for
  for (int64_t i = 0; i < n; ++i) scale_into(in + i * h * w * c, w, c, frame, out + i * bytes);
  return scaled.size(1) == size && scaled.size(2) == size ? scaled : pad_images(scaled, size);
}

Tensor resize_image(const Tensor& image, int64_t size, Resize how) {
  const Tensor one = image.reshape({1, image.size(0), image.size(1), image.size(2)});
  return resize_images(one, size, how).reshape({size, size, image.size(2)});
}

}  // namespace limbeck::data
