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

void check_body(const Shape& shape, int64_t element, const char* type, std::string_view body,
                const std::string& name) {
  const auto expected =
      static_cast<unsigned __int128>(shape.numel()) * static_cast<unsigned __int128>(element);
  LIMBECK_CHECK(expected == body.size(), name, ": shape ", shape, " of ", type, " needs ",
                static_cast<uint64_t>(expected), " bytes, found ", body.size());
}

/// Integers that tensors do not have, read as i64.
template <class T>
Tensor widened(std::string_view body, const Shape& shape) {
  const Tensor t = Tensor::empty(shape, DType::i64);
  for (int64_t i = 0; i < t.numel(); ++i) {
    T value;
    std::memcpy(&value, body.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    t.data<int64_t>()[i] = static_cast<int64_t>(value);
  }
  return t;
}
struct NpySmallInteger {
  const char* descr;
  int64_t bytes;
  Tensor (*widen)(std::string_view body, const Shape& shape);
};
constexpr NpySmallInteger npy_small_integers[] = {{"|i1", 1, widened<int8_t>},
                                                  {"<i2", 2, widened<int16_t>},
                                                  {"<u2", 2, widened<uint16_t>},
                                                  {"<u4", 4, widened<uint32_t>}};

}  // namespace

Tensor parse_npy(std::string_view bytes, const std::string& name) {
  LIMBECK_CHECK(bytes.size() >= 10 && bytes.compare(0, 6, "\x93NUMPY") == 0, name,
                ": not an npy file");
  LIMBECK_CHECK(bytes[6] == 1, name, ": npy version ", static_cast<int>(bytes[6]), "; expected 1");
  uint16_t size = 0;
  std::memcpy(&size, bytes.data() + 8, 2);
  LIMBECK_CHECK(bytes.size() >= 10u + size, name, ": truncated npy header");
  const std::string_view header = bytes.substr(10, size), body = bytes.substr(10u + size);
  LIMBECK_CHECK(value_of(header, "'fortran_order'", name).starts_with("False"), name,
                ": Fortran order; expected C order");
  const std::string_view descr = value_of(header, "'descr'", name);
  const Shape shape = parse_shape(value_of(header, "'shape'", name), name);
  for (const auto& known : npy_types)
    if (descr.substr(1).starts_with(cat(known.descr, "'"))) {
      check_body(shape, size_of(known.dtype), known.descr, body, name);
      const Tensor t = Tensor::empty(shape, known.dtype);
      if (t.numel() > 0) std::memcpy(t.raw(), body.data(), body.size());
      return t;
    }
  for (const auto& small : npy_small_integers)
    if (descr.substr(1).starts_with(cat(small.descr, "'"))) {
      check_body(shape, small.bytes, small.descr, body, name);
      return small.widen(body, shape);
    }
  fail(name, ": npy type ", descr.substr(0, descr.find_first_of(",}")), " is not supported");
}

Tensor read_npy(const std::string& path) { return parse_npy(read_file(path), path); }

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
