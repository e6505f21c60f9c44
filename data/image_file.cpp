// Decodes image files: stb_image for PNG, JPEG and BMP behind the checks of image_format.h.
#include "data/image_file.h"

#include <stb/stb_image.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/image_format.h"
#include "data/table.h"
#include "tensor/safetensors.h"

namespace limbeck::data {
namespace {

template <class T>
using Pixels = std::unique_ptr<T, void (*)(void*)>;

const stbi_uc* stb_bytes(const std::string& bytes) {
  return reinterpret_cast<const stbi_uc*>(bytes.data());
}

/// u8 [H, W, channels] through stb, of files with samples of 8 bits.
Tensor decode_bytes(const std::string& bytes, int channels, const std::string& name) {
  int width = 0, height = 0, found = 0;
  const Pixels<stbi_uc> pixels(
      stbi_load_from_memory(stb_bytes(bytes), static_cast<int>(bytes.size()), &width, &height,
                            &found, channels),
      stbi_image_free);
  LIMBECK_CHECK(pixels != nullptr, name, ": corrupt image: ", stbi_failure_reason());
  Tensor image = Tensor::empty({height, width, channels}, DType::u8);
  std::memcpy(image.raw(), pixels.get(), static_cast<size_t>(image.bytes()));
  return image;
}

/// The file with more bits behind the data of every scan.
std::string with_bytes_behind_scans(const std::string& bytes, const std::vector<size_t>& ends,
                                    char byte) {
  std::string other;
  size_t at = 0;
  for (const size_t end : ends) {
    other.append(bytes, at, end - at).append(64, byte);
    at = end;
    while (bytes[at + 1] == '\xFF') ++at;  // fill bytes in front of the marker
  }
  return other.append(bytes, at, std::string::npos);
}

/// A decoder that has all data does not look at what follows them; one that misses some takes it
/// for pixels, so that opposite bits make other pixels.
Tensor decode_jpeg(const std::string& bytes, const ImageHeader& h, int channels,
                   const std::string& name) {
  const auto decoded_before = [&](char byte) {
    return decode_bytes(with_bytes_behind_scans(bytes, h.scan_ends, byte), channels, name);
  };
  const Tensor image = decoded_before('\x55'), again = decoded_before('\xAA');
  LIMBECK_CHECK(std::memcmp(image.raw(), again.raw(), static_cast<size_t>(image.bytes())) == 0,
                name, ": corrupt image: JPEG: the data of a scan end before the image does");
  return image;
}

/// Samples up to `largest` as bytes, to the nearest.
DecodedImage bytes_of(const uint16_t* samples, const Shape& shape, int64_t largest,
                      const std::string& name) {
  DecodedImage out{Tensor::empty(shape, DType::u8)};
  uint8_t* p = out.pixels.data<uint8_t>();
  for (int64_t i = 0; i < out.pixels.numel(); ++i) {
    LIMBECK_CHECK(samples[i] <= largest, name, ": sample ", samples[i], ", expected at most ",
                  largest, " (data.folder.bits)");
    out.largest = std::max<int64_t>(out.largest, samples[i]);
    p[i] = static_cast<uint8_t>((samples[i] * 255 + largest / 2) / largest);
  }
  return out;
}

DecodedImage decode_png16(const std::string& bytes, int channels, int64_t bits,
                          const std::string& name) {
  int width = 0, height = 0, found = 0;
  const Pixels<stbi_us> pixels(
      stbi_load_16_from_memory(stb_bytes(bytes), static_cast<int>(bytes.size()), &width, &height,
                               &found, channels),
      stbi_image_free);
  LIMBECK_CHECK(pixels != nullptr, name, ": corrupt image: ", stbi_failure_reason());
  return bytes_of(pixels.get(), {height, width, channels}, (int64_t{1} << bits) - 1, name);
}

DecodedImage decode_pnm(const std::string& bytes, const ImageHeader& h, const std::string& name) {
  const int64_t count = h.height * h.width * h.channels;
  const int size = h.largest > 255 ? 2 : 1;
  std::vector<uint16_t> samples(static_cast<size_t>(count));
  for (size_t i = 0; i < samples.size(); ++i)
    samples[i] = static_cast<uint16_t>(
        big_endian_at(bytes, h.pixels_begin + i * static_cast<size_t>(size), size));
  DecodedImage image = bytes_of(samples.data(), {h.height, h.width, h.channels}, h.largest, name);
  image.largest = 0;  // the header says what is white
  return image;
}

/// Grey of colours with stb's weights (those of BT.601 in 1/256), colours of grey.
Tensor with_channels(const Tensor& image, int64_t channels) {
  if (channels == 0 || image.size(2) == channels) return image;
  Tensor out = Tensor::empty({image.size(0), image.size(1), channels}, DType::u8);
  const uint8_t* in = image.data<uint8_t>();
  uint8_t* p = out.data<uint8_t>();
  for (int64_t i = 0; i < image.size(0) * image.size(1); ++i)
    if (channels == 1)
      p[i] = static_cast<uint8_t>((77 * in[3 * i] + 150 * in[3 * i + 1] + 29 * in[3 * i + 2]) >> 8);
    else
      p[3 * i] = p[3 * i + 1] = p[3 * i + 2] = in[i];
  return out;
}

/// The image as it was seen. From 5 on the rows of the file are columns; 3, 4, 6 and 7 have the
/// first row at the bottom or right, 2, 3, 7 and 8 the first column at the right or bottom.
Tensor turned(const Tensor& image, int orientation) {
  if (orientation == 1) return image;
  const int64_t h = image.size(0), w = image.size(1), c = image.size(2);
  const bool swaps = orientation >= 5;
  const bool rows_turn =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool columns_turn = orientation == 2 || orientation == 3 || orientation >= 7;
  Tensor out = Tensor::empty(swaps ? Shape{w, h, c} : Shape{h, w, c}, DType::u8);
  const uint8_t* in = image.data<uint8_t>();
  uint8_t* p = out.data<uint8_t>();
  for (int64_t y = 0; y < out.size(0); ++y)
    for (int64_t x = 0; x < out.size(1); ++x, p += c) {
      const int64_t a = swaps ? x : y, b = swaps ? y : x;
      const int64_t row = rows_turn ? h - 1 - a : a, column = columns_turn ? w - 1 - b : b;
      std::memcpy(p, in + (row * w + column) * c, static_cast<size_t>(c));
    }
  return out;
}

DecodedImage decode(const std::string& bytes, const ImageHeader& h, const ImageReading& reading,
                    const std::string& name) {
  const int channels = static_cast<int>(h.channels);
  switch (h.format) {
    case ImageFormat::png:
      check_png_rows(bytes, name);
      if (h.largest > 255) return decode_png16(bytes, channels, reading.bits, name);
      return {decode_bytes(bytes, channels, name)};
    case ImageFormat::jpeg: return {decode_jpeg(bytes, h, channels, name)};
    case ImageFormat::bmp: return {decode_bytes(bytes, channels, name)};
    case ImageFormat::pnm: return decode_pnm(bytes, h, name);
  }
  return {};
}

bool ends_with_one_of(const std::string& name, std::initializer_list<const char*> endings) {
  const std::string lower = lower_case(name);
  return std::any_of(endings.begin(), endings.end(),
                     [&](const char* ending) { return lower.ends_with(ending); });
}

}  // namespace

DecodedImage read_image_file(const std::string& path, const ImageReading& reading) {
  const std::string bytes = read_file(path);
  LIMBECK_CHECK(bytes.size() <= static_cast<size_t>(std::numeric_limits<int>::max()), path,
                ": image file of ", bytes.size(), " bytes is too large");
  const ImageHeader h = image_header(bytes, path);
  LIMBECK_CHECK(h.width <= reading.max_pixels / h.height, path, ": image of ", h.height, " x ",
                h.width, " pixels, expected at most ", reading.max_pixels, " (data.max_pixels)");
  DecodedImage image = decode(bytes, h, reading, path);
  image.pixels = turned(with_channels(image.pixels, reading.channels), h.orientation);
  return image;
}

Tensor read_image(const std::string& path) { return read_image_file(path).pixels; }

bool is_image_name(const std::string& name) {
  return ends_with_one_of(
      name, {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".pgm", ".ppm", ".pnm"});
}

bool is_foreign_image_name(const std::string& name) {
  return ends_with_one_of(
      name, {".tif", ".tiff", ".webp", ".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd",
             ".tga", ".hdr", ".exr", ".svg", ".pbm", ".pam", ".ico"});
}

}  // namespace limbeck::data
