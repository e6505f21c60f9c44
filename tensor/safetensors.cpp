#include "tensor/safetensors.h"

#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

namespace limbeck {
namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors and npy files are little endian");
using Json = nlohmann::ordered_json;

struct FileType {
  const char* name;
  DType dtype;
};
constexpr FileType file_types[] = {{"F32", DType::f32}, {"F64", DType::f64},
                                   {"I64", DType::i64}, {"I32", DType::i32},
                                   {"U8", DType::u8},   {"BOOL", DType::boolean}};

float half_to_float(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000) << 16, exponent = (h >> 10) & 31,
                 fraction = h & 0x3ff;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent == 0)
    return std::bit_cast<float>(sign) +
           (sign ? -1.f : 1.f) * static_cast<float>(fraction) * 0x1p-24f;
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

Tensor widen_16bit(const char* bytes, const Shape& shape, bool bf16) {
  Tensor t = Tensor::empty(shape);
  float* d = t.data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) {
    uint16_t h;
    std::memcpy(&h, bytes + 2 * i, 2);
    d[i] = bf16 ? std::bit_cast<float>(static_cast<uint32_t>(h) << 16) : half_to_float(h);
  }
  return t;
}

Tensor read_entry(const std::string& path, const std::string& name, const Json& entry,
                  const char* data, size_t available) {
  const auto complain = [&](const auto&... parts) {
    fail(path, ": tensor '", name, "': ", parts...);
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() ||
      !entry.contains("shape") || !entry["shape"].is_array() || !entry.contains("data_offsets") ||
      !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2)
    complain("expected dtype, shape and data_offsets in the header");
  std::vector<int64_t> sizes;
  for (const auto& s : entry["shape"]) {
    if (!s.is_number_unsigned() || s.get<uint64_t>() > (uint64_t{1} << 40))
      complain("shape ", entry["shape"].dump(), " is not a list of sizes");
    sizes.push_back(s.get<int64_t>());
  }
  Shape shape;
  try {
    shape = Shape(sizes);
  } catch (const Error& e) {
    complain(e.what());
  }
  for (const auto& o : entry["data_offsets"])
    if (!o.is_number_unsigned())
      complain("data_offsets ", entry["data_offsets"].dump(), " are not two numbers");
  const uint64_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
  if (begin > end || end > available)
    complain("bytes ", begin, " to ", end, " are outside the file's ", available,
             " data bytes (truncated?)");
  const std::string type = entry["dtype"];
  const auto expect_bytes = [&](uint64_t element) {
    const uint64_t needed = element * static_cast<uint64_t>(shape.numel());
    if (end - begin != needed)
      complain("shape ", shape, " of ", type, " needs ", needed, " bytes, found ", end - begin);
  };
  if (type == "F16" || type == "BF16") {
    expect_bytes(2);
    return widen_16bit(data + begin, shape, type == "BF16");
  }
  for (const auto& known : file_types) {
    if (type != known.name) continue;
    expect_bytes(static_cast<uint64_t>(size_of(known.dtype)));
    Tensor t = Tensor::empty(shape, known.dtype);
    if (t.numel() > 0) std::memcpy(t.raw(), data + begin, end - begin);
    return t;
  }
  fail(path, ": tensor '", name, "': type ", type, " is not supported");
}

const char* file_type(const std::string& path, const std::string& name, DType dtype) {
  for (const auto& known : file_types)
    if (known.dtype == dtype) return known.name;
  fail(path, ": tensor '", name, "': type ", dtype, " cannot be written");
}

}  // namespace

const Tensor* TensorFile::find(const std::string& name) const {
  for (const auto& [n, t] : tensors)
    if (n == name) return &t;
  return nullptr;
}

const Tensor& TensorFile::get(const std::string& name) const {
  if (const Tensor* t = find(name)) return *t;
  std::vector<std::string> names;
  for (const auto& entry : tensors) names.push_back(entry.first);
  fail("no tensor '", name, "' among the ", names.size(), " of the file",
       did_you_mean(name, names));
}

void TensorFile::add_part(const std::string& prefix, const TensorFile& part) {
  for (const auto& [name, tensor] : part.tensors) add(prefix + name, tensor);
  for (const auto& [key, value] : part.metadata) metadata[prefix + key] = value;
}

TensorFile TensorFile::part(const std::string& prefix) const {
  TensorFile out;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(prefix)) out.add(name.substr(prefix.size()), tensor);
  for (const auto& [key, value] : metadata)
    if (key.starts_with(prefix)) out.metadata[key.substr(prefix.size())] = value;
  return out;
}

TensorFile read_safetensors(const std::string& path) {
  const std::string bytes = read_file(path);
  uint64_t header_size = 0;
  LIMBECK_CHECK(bytes.size() >= 8, path, ": not a safetensors file: ", bytes.size(),
                " bytes, expected at least 8");
  std::memcpy(&header_size, bytes.data(), 8);
  LIMBECK_CHECK(header_size <= bytes.size() - 8, path,
                ": not a safetensors file or truncated: header of ", header_size,
                " bytes in a file of ", bytes.size());
  const Json header = Json::parse(
      bytes.begin() + 8, bytes.begin() + 8 + static_cast<int64_t>(header_size), nullptr, false);
  LIMBECK_CHECK(header.is_object(), path,
                ": not a safetensors file: its header is not a JSON object");
  TensorFile file;
  const char* data = bytes.data() + 8 + header_size;
  const size_t available = bytes.size() - 8 - header_size;
  uint64_t covered = 0;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") {
      LIMBECK_CHECK(entry.is_object(), path, ": __metadata__ is not an object");
      for (const auto& [key, value] : entry.items()) {
        LIMBECK_CHECK(value.is_string(), path, ": metadata '", key, "' is not a string");
        file.metadata[key] = value.get<std::string>();
      }
      continue;
    }
    file.add(name, read_entry(path, name, entry, data, available));
    covered += entry["data_offsets"][1].get<uint64_t>() - entry["data_offsets"][0].get<uint64_t>();
  }
  LIMBECK_CHECK(covered == available, path, ": its tensors take ", covered,
                " bytes but the file holds ", available, " (overlap, gap or truncation)");
  return file;
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  uint64_t offset = 0;
  for (const auto& [name, t] : file.tensors) {
    LIMBECK_CHECK(t.defined(), path, ": tensor '", name, "' is undefined");
    LIMBECK_CHECK(!header.contains(name), path, ": tensor '", name, "' given twice");
    const uint64_t end = offset + static_cast<uint64_t>(t.bytes());
    header[name] = {{"dtype", file_type(path, name, t.dtype())},
                    {"shape", t.shape().vec()},
                    {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t header_size = text.size();
  std::string bytes(reinterpret_cast<const char*>(&header_size), 8);
  bytes.reserve(8 + text.size() + offset);
  bytes += text;
  for (const auto& entry : file.tensors)
    if (const Tensor t = entry.second.to(cpu); t.numel() > 0)
      bytes.append(static_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes()));
  write_file_atomically(path, bytes);
}

}  // namespace limbeck
