// PNG files, grids of images, and bytes from a generator's output.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "data/dataset.h"
#include "tensor/safetensors.h"

extern "C" unsigned char* stbi_write_png_to_mem(const unsigned char* pixels, int stride_bytes,
                                                int x, int y, int n, int* out_len);

namespace limbeck::data {

std::string encode_png(const Tensor& image, const std::string& what) {
  LIMBECK_CHECK(image.defined() && image.rank() == 3 && image.dtype() == DType::u8 &&
                    (image.size(2) == 1 || image.size(2) == 3) && image.numel() > 0,
                what, ": expected a u8 [height, width, 1 or 3] image, found ", describe(image));
  const int height = static_cast<int>(image.size(0)), width = static_cast<int>(image.size(1)),
            channels = static_cast<int>(image.size(2));
  int length = 0;
  std::unique_ptr<unsigned char, void (*)(void*)> png(
      stbi_write_png_to_mem(image.data<uint8_t>(), width * channels, width, height, channels,
                            &length),
      std::free);
  LIMBECK_CHECK(png != nullptr, what, ": out of memory while writing a PNG of ", height, " x ",
                width);
  return {reinterpret_cast<const char*>(png.get()), static_cast<size_t>(length)};
}

void write_png(const std::string& path, const Tensor& image) {
  const std::string png = encode_png(image, path);
  write_file_atomically(path, png.data(), png.size());
}

Tensor grid(const Tensor& images, int64_t columns, int64_t gap, int64_t zoom) {
  LIMBECK_CHECK(
      images.defined() && images.rank() == 4 && images.dtype() == DType::u8 && images.numel() > 0,
      "grid: expected u8 images [n,H,W,C], found ", describe(images));
  LIMBECK_CHECK(columns > 0 && gap >= 0 && zoom > 0, "grid: columns ", columns, ", gap ", gap,
                ", zoom ", zoom, " expected positive (gap 0 or more)");
  const int64_t n = images.size(0), h = images.size(1), w = images.size(2), c = images.size(3);
  const int64_t rows = (n + columns - 1) / columns, cell_h = h * zoom + gap,
                cell_w = w * zoom + gap, width = columns * cell_w;
  Tensor out = Tensor::full({rows * cell_h, width, c}, 255, DType::u8);
  uint8_t* canvas = out.data<uint8_t>();
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t* image = images.data<uint8_t>() + i * h * w * c;
    const int64_t top = i / columns * cell_h + gap / 2, left = i % columns * cell_w + gap / 2;
    for (int64_t y = 0; y < h * zoom; ++y)
      for (int64_t x = 0; x < w * zoom; ++x)
        std::memcpy(canvas + ((top + y) * width + left + x) * c,
                    image + (y / zoom * w + x / zoom) * c, static_cast<size_t>(c));
  }
  return out;
}

Tensor to_bytes(const Tensor& images) {
  Tensor out = Tensor::empty(images.shape(), DType::u8);
  const float* in = images.data<float>();
  uint8_t* bytes = out.data<uint8_t>();
  for (int64_t i = 0; i < images.numel(); ++i) {
    LIMBECK_CHECK(!std::isnan(in[i]), "to_bytes: pixel ", i, " of ", describe(images),
                  " is not a number");
    bytes[i] = static_cast<uint8_t>(
        std::clamp((in[i] * 0.5f + 0.5f) * 255.0f, 0.0f, 255.0f));  // truncates
  }
  return out;
}

}  // namespace limbeck::data
