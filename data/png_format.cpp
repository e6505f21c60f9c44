// PNG: chunks with their checksums, and the rows behind them.
#include <zlib.h>

#include <array>

#include "data/image_format.h"
#include "tensor/error.h"

namespace limbeck::data {
namespace {

using namespace std::string_view_literals;

/// Calls f(type, data) for every chunk; throws for one that is cut or damaged. `with_checksums`: as
/// the first walk needs it.
template <class F>
void for_each_chunk(std::string_view b, const std::string& name, bool with_checksums, F f) {
  LIMBECK_CHECK(b.starts_with("\x89PNG\r\n\x1A\n"sv), name,
                ": corrupt image: damaged PNG signature (copied as text?)");
  bool ended = false;
  for (size_t at = 8; !ended;) {
    LIMBECK_CHECK(b.size() - at >= 12, name, ": corrupt image: PNG cut after ", b.size(),
                  " bytes (no IEND)");
    const size_t length = big_endian_at(b, at, 4);
    const std::string type(b.substr(at + 4, 4));
    LIMBECK_CHECK(length <= b.size() - at - 12, name, ": corrupt image: PNG cut after ", b.size(),
                  " bytes, within a chunk of ", length, " bytes");
    if (with_checksums) {
      const auto* covered = reinterpret_cast<const Bytef*>(b.data() + at + 4);
      LIMBECK_CHECK(crc32_z(0, covered, length + 4) == big_endian_at(b, at + 8 + length, 4), name,
                    ": corrupt image: PNG chunk at byte ", at, ": checksum does not fit");
    }
    f(type, b.substr(at + 8, length));
    ended = type == "IEND";
    at += length + 12;
  }
}

/// Bytes of all rows with their filter bytes; of an interlaced image in its seven passes.
int64_t row_bytes(const ImageHeader& h, int64_t bits_per_pixel, bool interlaced) {
  const auto bytes = [&](int64_t height, int64_t width) {
    return height > 0 && width > 0 ? height * ((width * bits_per_pixel + 7) / 8 + 1) : 0;
  };
  if (!interlaced) return bytes(h.height, h.width);
  struct Pass {
    int64_t x, y, dx, dy;
  };
  constexpr std::array<Pass, 7> passes = {{{0, 0, 8, 8},
                                           {4, 0, 8, 8},
                                           {0, 4, 4, 8},
                                           {2, 0, 4, 4},
                                           {0, 2, 2, 4},
                                           {1, 0, 2, 2},
                                           {0, 1, 1, 2}}};
  int64_t sum = 0;
  for (const Pass& p : passes)
    sum += bytes((h.height - p.y + p.dy - 1) / p.dy, (h.width - p.x + p.dx - 1) / p.dx);
  return sum;
}

int64_t samples_per_pixel(int colour_type, const std::string& name) {
  switch (colour_type) {
    case 0: return 1;
    case 2: return 3;
    case 3: return 1;
    case 4: return 2;
    case 6: return 4;
  }
  fail(name, ": corrupt image: PNG colour type ", colour_type);
}

/// Counts what the pieces of a zlib stream inflate to, up to a little more than is wanted.
class InflatedBytes {
 public:
  InflatedBytes(const std::string& name, int64_t wanted) : name_(name), wanted_(wanted) {
    LIMBECK_CHECK(inflateInit(&z_) == Z_OK, name, ": out of memory");
  }
  ~InflatedBytes() { inflateEnd(&z_); }
  InflatedBytes(const InflatedBytes&) = delete;
  InflatedBytes& operator=(const InflatedBytes&) = delete;

  void add(std::string_view data) {
    z_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    z_.avail_in = static_cast<uInt>(data.size());
    while (z_.avail_in > 0 && !ended_) {
      z_.next_out = scratch_.data();
      z_.avail_out = static_cast<uInt>(scratch_.size());
      const int code = inflate(&z_, Z_NO_FLUSH);
      LIMBECK_CHECK(code == Z_OK || code == Z_STREAM_END, name_,
                    ": corrupt image: PNG rows do not inflate");
      ended_ = code == Z_STREAM_END;
      count_ += static_cast<int64_t>(scratch_.size() - z_.avail_out);
      LIMBECK_CHECK(count_ <= wanted_ + slack, name_,
                    ": corrupt image: PNG rows inflate to more than ", wanted_, " bytes");
    }
  }
  void finish() const {
    LIMBECK_CHECK(ended_ && count_ >= wanted_, name_, ": corrupt image: PNG rows: expected ",
                  wanted_, " bytes, found ", count_, ended_ ? "" : " (truncated)");
  }

 private:
  static constexpr int64_t slack = 1 << 16;  // some writers leave a little behind the last row
  const std::string& name_;
  const int64_t wanted_;
  int64_t count_ = 0;
  bool ended_ = false;
  z_stream z_ = {};
  std::vector<Bytef> scratch_ = std::vector<Bytef>(1 << 16);
};

}  // namespace

ImageHeader png_header(std::string_view b, const std::string& name) {
  ImageHeader h{.format = ImageFormat::png};
  bool first = true, rows = false;
  for_each_chunk(b, name, true, [&](const std::string& type, std::string_view data) {
    if (first) {
      LIMBECK_CHECK(type == "IHDR" && data.size() == 13, name,
                    ": corrupt image: PNG without IHDR in front");
      h.width = big_endian_at(data, 0, 4), h.height = big_endian_at(data, 4, 4);
      const int64_t samples = samples_per_pixel(data[9], name);
      h.channels = data[9] == 3 || samples > 2 ? 3 : 1;
      if (data[8] == 16) h.largest = 65535;
      first = false;
    }
    rows = rows || type == "IDAT";
    if (type == "eXIf") h.orientation = exif_orientation(data);
  });
  LIMBECK_CHECK(rows, name, ": corrupt image: PNG without IDAT");
  return h;
}

void check_png_rows(std::string_view b, const std::string& name) {
  const std::string_view ihdr = b.substr(16, 13);
  ImageHeader h;
  h.width = big_endian_at(ihdr, 0, 4), h.height = big_endian_at(ihdr, 4, 4);
  const int64_t bits = samples_per_pixel(ihdr[9], name) * static_cast<uint8_t>(ihdr[8]);
  InflatedBytes rows(name, row_bytes(h, bits, ihdr[12] != 0));
  for_each_chunk(b, name, false, [&](const std::string& type, std::string_view data) {
    if (type == "IDAT") rows.add(data);
  });
  rows.finish();
}

}  // namespace limbeck::data
