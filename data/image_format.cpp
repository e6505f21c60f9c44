// Formats by their first bytes, EXIF, and the headers of BMP and PNM.
#include "data/image_format.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "tensor/error.h"

namespace limbeck::data {
namespace {

using namespace std::string_view_literals;

struct ForeignFormat {
  size_t at;
  std::string_view mark;
  const char* name;
};
// What people have beside the formats that are read.
const std::vector<ForeignFormat> foreign_formats = {
    {0, "II*\0"sv, "TIFF"},
    {0, "MM\0*"sv, "TIFF"},
    {0, "II+\0"sv, "BigTIFF"},
    {0, "MM\0+"sv, "BigTIFF"},
    {8, "WEBP"sv, "WebP"},
    {0, "GIF8"sv, "GIF"},
    {4, "ftypheic"sv, "HEIC"},
    {4, "ftypheix"sv, "HEIC"},
    {4, "ftypmif1"sv, "HEIF"},
    {4, "ftypavif"sv, "AVIF"},
    {4, "ftyp"sv, "a film (MP4 or QuickTime)"},
    {0, "\0\0\0\x0CjP  "sv, "JPEG 2000"},
    {0, "\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
    {0, "\0\0\0\x0CJXL "sv, "JPEG XL"},
    {0, "\xFF\x0A"sv, "JPEG XL"},
    {0, "8BPS"sv, "PSD (Photoshop)"},
    {0, "#?RADIANCE"sv, "HDR (Radiance)"},
    {0, "#?RGBE"sv, "HDR (Radiance)"},
    {0, "\x76\x2F\x31\x01"sv, "OpenEXR"},
    {0, "\0\0\1\0"sv, "ICO"},
    {0, "DDS "sv, "DDS"},
    {0, "qoif"sv, "QOI"},
    {0, "BPG\xFB"sv, "BPG"},
    {0, "%PDF"sv, "PDF"},
    {0, "\x93NUMPY"sv, "a NumPy array"},
    {0, "PK\3\4"sv, "a ZIP archive"},
    {0, "\x1F\x8B"sv, "a gzip file"},
    {0, "version https://git-lfs"sv, "a Git LFS pointer, not the file itself"},
    {0, "P1"sv, "a PNM of text (P1)"},
    {0, "P2"sv, "a PNM of text (P2)"},
    {0, "P3"sv, "a PNM of text (P3)"},
    {0, "P4"sv, "a PNM of bits (P4)"},
    {0, "P7"sv, "PAM (P7)"},
    {0, "PF\n"sv, "PFM"},
    {0, "Pf\n"sv, "PFM"},
};

std::string foreign_name(std::string_view bytes) {
  for (const ForeignFormat& f : foreign_formats)
    if (bytes.size() > f.at && bytes.substr(f.at).starts_with(f.mark)) return f.name;
  const size_t text = bytes.find_first_not_of(" \t\r\n");
  if (text != std::string_view::npos && bytes[text] == '<')
    return bytes.substr(0, 1000).find("<svg") != std::string_view::npos ? "SVG"
                                                                        : "a page of HTML or XML";
  if (bytes.size() > 18 && bytes.ends_with("TRUEVISION-XFILE.\0"sv)) return "TGA";
  return "";
}

void check_size(const ImageHeader& h, const std::string& name) {
  LIMBECK_CHECK(h.height > 0 && h.width > 0, name, ": corrupt image: ", h.height, " x ", h.width,
                " pixels");
}

ImageHeader bmp_header(std::string_view b, const std::string& name) {
  LIMBECK_CHECK(b.size() >= 30, name, ": corrupt image: BMP header cut after ", b.size(), " bytes");
  const uint32_t offset = little_endian_at(b, 10, 4), header = little_endian_at(b, 14, 4);
  const bool old = header == 12;  // of OS/2, with sizes of 16 bits
  const auto side = [&](size_t at) -> int64_t {
    if (old) return little_endian_at(b, 18 + at / 2, 2);
    return static_cast<int32_t>(little_endian_at(b, 18 + at, 4));
  };
  ImageHeader h{.format = ImageFormat::bmp};
  h.width = side(0), h.height = std::abs(side(4));  // a negative height: from top to bottom
  h.channels = 3;
  check_size(h, name);
  const int64_t bits = little_endian_at(b, old ? 24 : 28, 2), row = (h.width * bits + 31) / 32 * 4;
  const auto left = static_cast<int64_t>(b.size()) - offset;
  LIMBECK_CHECK(offset >= 14 + header, name, ": corrupt image: BMP rows begin at byte ", offset,
                ", within the header");
  const bool plain = old || (b.size() >= 34 &&
                             (little_endian_at(b, 30, 4) == 0 || little_endian_at(b, 30, 4) == 3));
  LIMBECK_CHECK(plain, name, ": expected an uncompressed BMP, found a compressed one");
  LIMBECK_CHECK(left >= 0 && h.height <= left / std::max<int64_t>(row, 1), name,
                ": corrupt image: BMP of ", h.height, " rows of ", row, " bytes, found ",
                std::max<int64_t>(left, 0), " bytes (truncated)");
  return h;
}

/// A number of a PNM header, behind blanks and comments.
int64_t pnm_number(std::string_view b, size_t& at, const std::string& name) {
  const auto blank = [&] { return at < b.size() && std::isspace(static_cast<uint8_t>(b[at])); };
  while (blank() || (at < b.size() && b[at] == '#')) {
    if (b[at] == '#')
      while (at < b.size() && b[at] != '\n') ++at;
    else
      ++at;
  }
  int64_t value = 0;
  const size_t begin = at;
  for (; at < b.size() && b[at] >= '0' && b[at] <= '9' && value < 1'000'000'000; ++at)
    value = 10 * value + (b[at] - '0');
  LIMBECK_CHECK(at > begin && blank(), name,
                ": corrupt image: PNM header: expected a number at byte ", begin);
  return value;
}

ImageHeader pnm_header(std::string_view b, const std::string& name) {
  ImageHeader h{.format = ImageFormat::pnm};
  h.channels = b[1] == '5' ? 1 : 3;
  size_t at = 2;
  h.width = pnm_number(b, at, name), h.height = pnm_number(b, at, name);
  h.largest = pnm_number(b, at, name);
  h.pixels_begin = at + 1;  // one blank behind maxval
  check_size(h, name);
  LIMBECK_CHECK(h.largest > 0 && h.largest < 65536, name,
                ": corrupt image: PNM maxval: expected 1..65535, found ", h.largest);
  const auto found = static_cast<int64_t>(b.size() - h.pixels_begin),
             row = h.width * h.channels * (h.largest > 255 ? 2 : 1);
  LIMBECK_CHECK(h.height <= found / row, name, ": corrupt image: PNM of ", h.height, " rows of ",
                row, " bytes, found ", found, " bytes (truncated)");
  return h;
}

}  // namespace

int exif_orientation(std::string_view tiff) {
  if (tiff.size() < 8 || (!tiff.starts_with("II"sv) && !tiff.starts_with("MM"sv))) return 1;
  const bool little = tiff[0] == 'I';
  const auto number = [&](size_t at, int bytes) {
    return little ? little_endian_at(tiff, at, bytes) : big_endian_at(tiff, at, bytes);
  };
  const size_t list = number(4, 4);
  if (list > tiff.size() - 2) return 1;
  const size_t entries = number(list, 2);
  for (size_t i = 0; i < entries && list + 2 + 12 * (i + 1) <= tiff.size(); ++i) {
    const size_t entry = list + 2 + 12 * i;
    if (number(entry, 2) != 0x0112) continue;
    const uint32_t type = number(entry + 2, 2);  // 3: short, as it should be; 4: long
    const uint32_t value = number(entry + 8, type == 4 ? 4 : 2);
    return (type == 3 || type == 4) && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

ImageHeader image_header(std::string_view bytes, const std::string& name) {
  ImageHeader h;
  if (bytes.starts_with("\x89PNG"sv))
    h = png_header(bytes, name);
  else if (bytes.starts_with("\xFF\xD8"sv))
    h = jpeg_header(bytes, name);
  else if (bytes.starts_with("BM"sv))
    h = bmp_header(bytes, name);
  else if (bytes.starts_with("P5"sv) || bytes.starts_with("P6"sv))
    h = pnm_header(bytes, name);
  else {
    const std::string foreign = foreign_name(bytes);
    fail(name, ": expected an image (PNG, JPEG, BMP, PNM), found ",
         bytes.empty()     ? "an empty file"
         : foreign.empty() ? "a file of another kind"
                           : foreign + "; convert it to PNG");
  }
  check_size(h, name);
  return h;
}

}  // namespace limbeck::data
