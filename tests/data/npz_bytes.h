// Bytes of small .npz archives, for tests.
#pragma once
#include <string>
#include <vector>

#include "tests/data/bytes.h"

namespace limbeck::test {

struct NpzArray {
  std::string name, npy;
};

/// The bytes of an .npy file; `header` as in "{'descr': '<f8', 'fortran_order': False, 'shape':
/// (2,), }".
inline std::string npy_bytes(std::string header, const std::string& body) {
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  const auto size = static_cast<uint16_t>(header.size());
  return std::string("\x93NUMPY\x01\x00", 8) +
         std::string(reinterpret_cast<const char*>(&size), 2) + header + body;
}
template <class T>
std::string npy_bytes(const std::string& descr, const std::string& shape,
                      const std::vector<T>& values) {
  return npy_bytes("{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }",
                   {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

/// A zip archive as numpy.savez (or savez_compressed) writes it.
inline std::string npz_bytes(const std::vector<NpzArray>& arrays, bool packed) {
  const auto number = little_endian;
  std::string out, directory;
  for (const NpzArray& a : arrays) {
    const std::string name = a.name + ".npy", body = packed ? deflated(a.npy, Packing::raw) : a.npy;
    const auto sum =
        crc32(0, reinterpret_cast<const Bytef*>(a.npy.data()), static_cast<uInt>(a.npy.size()));
    const std::string common = number(0, 2) + number(packed ? 8 : 0, 2) + number(0, 4) +
                               number(sum, 4) + number(body.size(), 4) + number(a.npy.size(), 4) +
                               number(name.size(), 2) + number(0, 2);
    directory += number(0x02014b50, 4) + number(20, 2) + number(20, 2) + common + number(0, 2) +
                 number(0, 2) + number(0, 2) + number(0, 4) + number(out.size(), 4) + name;
    out += number(0x04034b50, 4) + number(20, 2) + common + name + body;
  }
  const size_t at = out.size(), count = arrays.size();
  return out + directory + number(0x06054b50, 4) + number(0, 4) + number(count, 2) +
         number(count, 2) + number(directory.size(), 4) + number(at, 4) + number(0, 2);
}

}  // namespace limbeck::test
