// NumPy .npy files, version 1.0, C order.
#include <charconv>
#include <cstring>

#include "tensor/safetensors.h"

namespace limbeck {
namespace {

struct NpyType {
  const char* descr;
  DType dtype;
};
constexpr NpyType npy_types[] = {{"<f4", DType::f32}, {"<f8", DType::f64}, {"<i8", DType::i64},
                                 {"<i4", DType::i32}, {"|u1", DType::u8},  {"|b1", DType::boolean}};

/// The text behind `'key':` in the header dictionary.
std::string_view value_of(std::string_view header, std::string_view key, const std::string& path) {
  const size_t at = header.find(key);
  LIMBECK_CHECK(at != std::string_view::npos, path, ": npy header without ", key);
  const size_t colon = header.find(':', at);
  LIMBECK_CHECK(colon != std::string_view::npos, path, ": npy header broken at ", key);
  const size_t begin = header.find_first_not_of(' ', colon + 1);
  LIMBECK_CHECK(begin != std::string_view::npos, path, ": npy header broken at ", key);
  return header.substr(begin);
}

Shape parse_shape(std::string_view text, const std::string& path) {
  std::vector<int64_t> sizes;
  const size_t close = text.find(')');
  LIMBECK_CHECK(!text.empty() && text[0] == '(' && close != std::string_view::npos, path,
                ": npy header without a shape");
  for (const char *p = text.data() + 1, *end = text.data() + close; p < end;) {
    int64_t n = 0;
    const auto [next, error] = std::from_chars(p, end, n);
    LIMBECK_CHECK(error != std::errc::result_out_of_range, path, ": npy shape ",
                  text.substr(0, close + 1), " has a size that is too large");
    if (error == std::errc()) sizes.push_back(n);
    p = next == p ? p + 1 : next;
  }
  try {
    return Shape(sizes);
  } catch (const Error& e) {
    fail(path, ": npy ", e.what());
  }
}

}  // namespace

Tensor read_npy(const std::string& path) {
  const std::string bytes = read_file(path);
  LIMBECK_CHECK(bytes.size() >= 10 && bytes.compare(0, 6, "\x93NUMPY") == 0, path,
                ": not an npy file");
  LIMBECK_CHECK(bytes[6] == 1, path, ": npy version ", static_cast<int>(bytes[6]), "; expected 1");
  uint16_t size = 0;
  std::memcpy(&size, bytes.data() + 8, 2);
  LIMBECK_CHECK(bytes.size() >= 10u + size, path, ": truncated npy header");
  const std::string_view header(bytes.data() + 10, size);
  LIMBECK_CHECK(value_of(header, "'fortran_order'", path).starts_with("False"), path,
                ": Fortran order; expected C order");
  const std::string_view descr = value_of(header, "'descr'", path);
  const Shape shape = parse_shape(value_of(header, "'shape'", path), path);
  for (const auto& known : npy_types) {
    if (!descr.substr(1).starts_with(known.descr)) continue;
    const int64_t expected = shape.numel() * size_of(known.dtype),
                  found = static_cast<int64_t>(bytes.size()) - 10 - size;
    LIMBECK_CHECK(expected == found, path, ": shape ", shape, " of ", known.dtype, " needs ",
                  expected, " bytes, found ", found);
    Tensor t = Tensor::empty(shape, known.dtype);
    if (expected > 0) std::memcpy(t.raw(), bytes.data() + 10 + size, static_cast<size_t>(expected));
    return t;
  }
  fail(path, ": npy type ", descr.substr(0, 6), " is not supported");
}

void write_npy(const std::string& path, const Tensor& t) {
  const char* descr = nullptr;
  for (const auto& known : npy_types)
    if (known.dtype == t.dtype()) descr = known.descr;
  LIMBECK_CHECK(descr, path, ": type ", t.dtype(), " cannot be written as npy");
  std::string sizes;
  for (int64_t s : t.shape()) sizes += std::to_string(s) + ", ";
  std::string header =
      cat("{'descr': '", descr, "', 'fortran_order': False, 'shape': (", sizes, "), }");
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  const auto size = static_cast<uint16_t>(header.size());
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8) +
                      std::string(reinterpret_cast<const char*>(&size), 2) + header;
  if (const Tensor host = t.to(cpu); host.numel() > 0)
    bytes.append(static_cast<const char*>(host.raw()), static_cast<size_t>(host.bytes()));
  write_file_atomically(path, bytes);
}

}  // namespace limbeck
