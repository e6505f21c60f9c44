// What an image file says before it is decoded: format, size, orientation; and whether it is whole.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace limbeck::data {

enum class ImageFormat { png, jpeg, bmp, pnm };

struct ImageHeader {
  ImageFormat format = ImageFormat::png;
  int64_t height = 0, width = 0;
  int64_t channels = 0;           ///< 1 or 3, without transparency
  int64_t largest = 255;          ///< possible sample: 65535 in PNG of 16 bits, maxval of PNM
  int orientation = 1;            ///< of EXIF, 1 to 8
  size_t pixels_begin = 0;        ///< PNM: where the samples begin
  std::vector<size_t> scan_ends;  ///< JPEG: the marker behind the data of each scan
};

/// Walks over the file without decoding it. Throws, beginning with `name`, for a format that is not
/// read, sizes of 0, and damage that shows: wrong checksums, chunks, markers or rows that are cut.
ImageHeader image_header(std::string_view bytes, const std::string& name);

/// Of the formats, one file each.
/// Each throws naming the file when it is damaged.
ImageHeader png_header(std::string_view bytes, const std::string& name);
ImageHeader jpeg_header(std::string_view bytes, const std::string& name);

/// The rows of a PNG, which have to inflate to as many bytes as its header says. Throws as above.
void check_png_rows(std::string_view bytes, const std::string& name);

/// Orientation in an EXIF block (TIFF, without "Exif"); 1 where it says nothing that is one.
int exif_orientation(std::string_view tiff);

/// Numbers of a file; the caller has compared the length.
inline uint32_t big_endian_at(std::string_view b, size_t at, int bytes) {
  uint32_t value = 0;
  for (int i = 0; i < bytes; ++i)
    value = value << 8 | static_cast<uint8_t>(b[at + static_cast<size_t>(i)]);
  return value;
}
inline uint32_t little_endian_at(std::string_view b, size_t at, int bytes) {
  uint32_t value = 0;
  for (int i = bytes; i-- > 0;)
    value = value << 8 | static_cast<uint8_t>(b[at + static_cast<size_t>(i)]);
  return value;
}

}  // namespace limbeck::data
