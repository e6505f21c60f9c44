#include "data/animation.h"

#include <zlib.h>

#include <cmath>
#include <string_view>

#include "data/dataset.h"
#include "tensor/safetensors.h"

namespace limbeck::data {
namespace {

void put_number(std::string& out, uint32_t v, int bytes = 4) {  // big-endian
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(v >> (8 * i));
}
uint32_t number_at(std::string_view bytes, size_t at) {
  uint32_t v = 0;
  for (size_t i = at; i < at + 4; ++i) v = v << 8 | static_cast<uint8_t>(bytes[i]);
  return v;
}

void put_chunk(std::string& out, std::string_view type, std::string_view content) {
  put_number(out, static_cast<uint32_t>(content.size()));
  const size_t begin = out.size();
  out.append(type).append(content);
  put_number(out, static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(out.data() + begin),
                                              static_cast<uInt>(out.size() - begin))));
}

constexpr size_t signature_bytes = 8;

/// The contents of all chunks of a type, joined.
std::string chunks_of(std::string_view png, std::string_view type) {
  std::string found;
  for (size_t at = signature_bytes; at < png.size();) {
    const uint32_t length = number_at(png, at);
    if (png.substr(at + 4, 4) == type) found += png.substr(at + 8, length);
    at += 12 + length;
  }
  return found;
}

std::string frame_control(uint32_t sequence, const Tensor& frame, double seconds) {
  std::string c;
  put_number(c, sequence);
  put_number(c, static_cast<uint32_t>(frame.size(1)));
  put_number(c, static_cast<uint32_t>(frame.size(0)));
  put_number(c, 0), put_number(c, 0);  // offsets
  put_number(c, static_cast<uint32_t>(std::lround(1000 * seconds)), 2), put_number(c, 1000, 2);
  c += '\0', c += '\0';  // the frame stays until the next one replaces it
  return c;
}

}  // namespace

void write_apng(const std::string& path, const std::vector<Tensor>& frames, double seconds) {
  LIMBECK_CHECK(!frames.empty(), path, ": an animation needs a frame");
  LIMBECK_CHECK(seconds > 0 && seconds <= 60, path,
                ": expected frames of more than 0 and at most 60 seconds, found ", seconds);
  std::string out;
  uint32_t sequence = 0;
  for (const Tensor& frame : frames) {
    LIMBECK_CHECK(frame.shape() == frames[0].shape(), path, ": expected frames ",
                  describe(frames[0]), ", found ", describe(frame));
    const std::string png = encode_png(frame, path);
    const bool first = out.empty();
    if (first) {
      out = png.substr(0, signature_bytes);
      put_chunk(out, "IHDR", chunks_of(png, "IHDR"));
      std::string control;
      put_number(control, static_cast<uint32_t>(frames.size())),
          put_number(control, 0);  // 0: for ever
      put_chunk(out, "acTL", control);
    }
    put_chunk(out, "fcTL", frame_control(sequence++, frame, seconds));
    std::string data;
    if (!first) put_number(data, sequence++);
    put_chunk(out, first ? "IDAT" : "fdAT", data + chunks_of(png, "IDAT"));
  }
  put_chunk(out, "IEND", "");
  write_file_atomically(path, out.data(), out.size());
}

}  // namespace limbeck::data
