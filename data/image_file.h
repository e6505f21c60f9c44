// Image files: PNG, JPEG, BMP and PNM, whole or refused.
#pragma once
#include <cstdint>
#include <string>

#include "tensor/tensor.h"

namespace limbeck::data {

/// Pixels that an image may have, unless settings say otherwise: 8192 x 8192.
inline constexpr int64_t default_max_pixels = int64_t{1} << 26;

struct ImageReading {
  int64_t channels = 0;                     ///< 1: grey, 3: colours, 0: as the file has them
  int64_t max_pixels = default_max_pixels;  ///< height x width, compared before anything is decoded
  int64_t bits = 16;  ///< of the samples in PNG files of 16 bits: 12 says that they end at 4095
};

struct DecodedImage {
  Tensor pixels;        ///< u8 [H, W, 1 or 3], turned as EXIF says; transparency is dropped
  int64_t largest = 0;  ///< largest sample of a file with more than 8 bits; 0 for others
};

/// Samples of more than 8 bits are divided by the largest possible one: v / 65535 in PNG (see
/// ImageReading::bits), v / maxval in PNM. Throws in one line that names the file: another format
/// (by its name), damage (checksums, missing rows, scans cut short), more than max_pixels.
DecodedImage read_image_file(const std::string& path, const ImageReading& reading = {});

/// Whether the name ends as those of our formats do (.png, .jpg, .jpeg, .bmp, .pgm, .ppm, .pnm), or
/// of image formats that are not read (.tif, .webp, .gif, ...); without regard to case.
bool is_image_name(const std::string& name);
bool is_foreign_image_name(const std::string& name);

}  // namespace limbeck::data
