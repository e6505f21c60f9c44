#include "tensor/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "tensor/checksum.h"

namespace limbeck {
namespace {

static_assert(std::endian::native == std::endian::little,
              "safetensors and npy files are little endian");
using Json = nlohmann::json;

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

/// A tensor as the header has it.
struct Entry {
  uint64_t begin = 0, end = 0;
  std::string name, type;
  Shape shape;
};

/// Bytes of an element; 0 for a type that is not read.
uint64_t element_bytes(const std::string& type) {
  if (type == "F16" || type == "BF16") return 2;
  for (const auto& known : file_types)
    if (type == known.name) return static_cast<uint64_t>(size_of(known.dtype));
  return 0;
}

Entry parse_entry(const std::string& path, const std::string& name, const Json& entry,
                  size_t available) {
  const auto complain = [&](const auto&... parts) {
    fail(path, ": tensor '", name, "': ", parts...);
  };
  if (!entry.is_object() || !entry.contains("dtype") || !entry["dtype"].is_string() ||
      !entry.contains("shape") || !entry["shape"].is_array() || !entry.contains("data_offsets") ||
      !entry["data_offsets"].is_array() || entry["data_offsets"].size() != 2)
    complain("expected dtype, shape and data_offsets in the header");
  Entry e{.name = name, .type = entry["dtype"]};
  std::vector<int64_t> sizes;
  for (const auto& s : entry["shape"]) {
    if (!s.is_number_unsigned() || s.get<uint64_t>() > (uint64_t{1} << 40))
      complain("shape ", entry["shape"].dump(), " is not a list of sizes");
    sizes.push_back(s.get<int64_t>());
  }
  try {
    e.shape = Shape(sizes);
  } catch (const Error& error) {
    complain(error.what());
  }
  for (const auto& o : entry["data_offsets"])
    if (!o.is_number_unsigned())
      complain("data_offsets ", entry["data_offsets"].dump(), " are not two numbers");
  e.begin = entry["data_offsets"][0], e.end = entry["data_offsets"][1];
  if (e.begin > e.end || e.end > available)
    complain("bytes ", e.begin, " to ", e.end, " are outside the file's ", available,
             " data bytes (truncated?)");
  if (element_bytes(e.type) == 0) complain("type ", e.type, " is not supported");
  const uint64_t needed = element_bytes(e.type) * static_cast<uint64_t>(e.shape.numel());
  if (e.end - e.begin != needed)
    complain("shape ", e.shape, " of ", e.type, " needs ", needed, " bytes, found ",
             e.end - e.begin);
  return e;
}

Tensor read_entry(const Entry& e, const char* data) {
  if (e.type == "F16" || e.type == "BF16")
    return widen_16bit(data + e.begin, e.shape, e.type == "BF16");
  const auto* known = std::find_if(std::begin(file_types), std::end(file_types),
                                   [&](const auto& t) { return e.type == t.name; });
  Tensor t = Tensor::empty(e.shape, known->dtype);
  if (t.numel() > 0) std::memcpy(t.raw(), data + e.begin, e.end - e.begin);
  return t;
}

/// Brings the entries into the order of the file, each byte of which belongs to one of them.
void expect_cover(const std::string& path, std::vector<Entry>& entries, size_t available) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t covered = 0;
  for (const Entry& e : entries) {
    LIMBECK_CHECK(e.begin == covered, path, ": tensor '", e.name, "' begins at byte ", e.begin,
                  " where ", covered, " is the next one (overlap or gap)");
    covered = e.end;
  }
  LIMBECK_CHECK(covered == available, path, ": its tensors take ", covered,
                " bytes but the file holds ", available, " (truncated, or bytes behind the last)");
}

/// Looks for keys that stand twice in one object: a parser would silently take the last of the two,
/// which is what a damaged or a forged file has. (A callback of Json::parse is quadratic.)
class RepeatedKeys : public nlohmann::json_sax<Json> {
 public:
  explicit RepeatedKeys(const std::string& path) : path_(path) {}
  bool start_object(size_t) override {
    open_.emplace_back();
    return true;
  }
  bool key(std::string& key) override {
    LIMBECK_CHECK(open_.back().insert(key).second, path_, ": key '", key,
                  "' stands twice in the header");
    return true;
  }
  bool end_object() override {
    open_.pop_back();
    return true;
  }
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(int64_t) override { return true; }
  bool number_unsigned(uint64_t) override { return true; }
  bool number_float(double, const std::string&) override { return true; }
  bool string(std::string&) override { return true; }
  bool binary(Json::binary_t&) override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  const std::string& path_;
  std::vector<std::unordered_set<std::string>> open_;  // of the objects around the place
};

Json parse_header(const std::string& path, std::string_view text) {
  RepeatedKeys repeated(path);
  // The parser takes a zero byte for the end of the text.
  const bool whole = text.find('\0') == text.npos && Json::sax_parse(text, &repeated);
  const Json header = whole ? Json::parse(text, nullptr, false) : Json();
  LIMBECK_CHECK(header.is_object(), path,
                ": not a safetensors file: its header is not a JSON object");
  return header;
}

/// Metadata of the header.
std::map<std::string, std::string> read_metadata(const std::string& path, const Json& entry) {
  std::map<std::string, std::string> all;
  LIMBECK_CHECK(entry.is_object(), path, ": __metadata__ is not an object");
  for (const auto& [key, value] : entry.items()) {
    LIMBECK_CHECK(value.is_string(), path, ": metadata '", key, "' is not a string");
    all[key] = value.get<std::string>();
  }
  return all;
}

constexpr const char* checksum_key = "limbeck.checksum";

std::string checksum_of(const TensorFile& file) {
  Checksum sum;
  for (const auto& [key, value] : file.metadata) sum.add(key).add(value);
  std::map<std::string, Tensor> tensors(file.tensors.begin(), file.tensors.end());
  for (const auto& [name, tensor] : tensors) sum.add(name).add(tensor.to(cpu));
  return sum.text();
}

/// Of a file that has one; takes it away.
void expect_checksum(const std::string& path, TensorFile& file) {
  const auto entry = file.metadata.extract(checksum_key);
  if (entry.empty()) return;
  const std::string found = checksum_of(file);
  LIMBECK_CHECK(found == entry.mapped(), path, ": damaged: its contents have the checksum ", found,
                ", expected ", entry.mapped(), " (metadata ", checksum_key, ")");
}

/// Of a file whose first eight bytes are no length of a header: PyTorch writes zip archives and,
/// before 1.6, pickles.
bool looks_like_pytorch(const std::string& bytes) {
  return bytes.starts_with("PK\x03\x04") || bytes.starts_with("\x80\x02");
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
  const bool fits = header_size <= bytes.size() - 8;
  LIMBECK_CHECK(fits || !looks_like_pytorch(bytes), path,
                ": a file of PyTorch, not a safetensors file; tools/pth.py turns one into the "
                "other");
  LIMBECK_CHECK(fits, path, ": not a safetensors file or truncated: header of ", header_size,
                " bytes in a file of ", bytes.size());
  const Json header = parse_header(path, std::string_view(bytes).substr(8, header_size));
  const char* data = bytes.data() + 8 + header_size;
  const size_t available = bytes.size() - 8 - header_size;
  TensorFile file;
  std::vector<Entry> entries;
  for (const auto& [name, entry] : header.items())
    if (name == "__metadata__")
      file.metadata = read_metadata(path, entry);
    else
      entries.push_back(parse_entry(path, name, entry, available));
  expect_cover(path, entries, available);
  for (const Entry& e : entries) file.add(e.name, read_entry(e, data));
  expect_checksum(path, file);
  return file;
}

TensorFile with_checksum(TensorFile file) {
  file.metadata.erase(checksum_key);
  file.metadata[checksum_key] = checksum_of(file);
  return file;
}

void write_safetensors(const std::string& path, const TensorFile& file) {
  std::string text = "{";
  if (!file.metadata.empty()) text += "\"__metadata__\":" + Json(file.metadata).dump();
  std::unordered_set<std::string> names;
  uint64_t offset = 0;
  for (const auto& [name, t] : file.tensors) {
    LIMBECK_CHECK(t.defined(), path, ": tensor '", name, "' is undefined");
    LIMBECK_CHECK(names.insert(name).second, path, ": tensor '", name, "' given twice");
    const uint64_t end = offset + static_cast<uint64_t>(t.bytes());
    const nlohmann::ordered_json entry = {{"dtype", file_type(path, name, t.dtype())},
                                          {"shape", t.shape().vec()},
                                          {"data_offsets", {offset, end}}};
    text += (text.size() > 1 ? "," : "") + Json(name).dump() + ":" + entry.dump();
    offset = end;
  }
  text += "}";
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
