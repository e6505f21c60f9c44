// Bytes of files, for tests: numbers, what zlib packs, and fixtures in hexadecimal digits.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <sstream>
#include <string>

#include "tensor/safetensors.h"

namespace limbeck::test {

inline std::string big_endian(uint64_t value, int bytes = 4) {
  std::string text;
  for (int i = bytes; i-- > 0;) text += static_cast<char>(value >> (8 * i));
  return text;
}
inline std::string little_endian(uint64_t value, int bytes = 4) {
  const std::string text = big_endian(value, bytes);
  return {text.rbegin(), text.rend()};
}

/// What stands around the deflated bytes, as zlib's windowBits: nothing (zip), or headers and sums.
enum class Packing { raw = -MAX_WBITS, zlib = MAX_WBITS, gzip = MAX_WBITS + 16 };

inline std::string deflated(const std::string& text, Packing packing) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, static_cast<int>(packing), 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

/// A file of hexadecimal digits: no image lies in the project.
inline std::string from_hex(const std::string& file) {
  std::istringstream in(read_file(file));
  std::string bytes;
  for (std::string line; std::getline(in, line);)
    for (size_t i = 0; i + 1 < line.size(); i += 2)
      bytes += static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16));
  return bytes;
}

}  // namespace limbeck::test
