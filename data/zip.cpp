// Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 (records) and 4.5.3 (64-bit sizes).
#include "data/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck::data {
namespace {

constexpr uint32_t local_magic = 0x04034b50, entry_magic = 0x02014b50, end_magic = 0x06054b50,
                   end64_magic = 0x06064b50, locator64_magic = 0x07064b50;
constexpr uint32_t in_extra = 0xffffffff;  ///< a 32-bit field whose value is in the extra field
constexpr uint64_t largest_ratio = 1032;   ///< of deflate

/// Little-endian numbers of a text; nothing is read beyond its end.
class Fields {
 public:
  Fields(const std::string& bytes, const std::string& path) : bytes_(bytes), path_(path) {}
  template <class T>
  T get(uint64_t at) const {
    LIMBECK_CHECK(at <= bytes_.size() && bytes_.size() - at >= sizeof(T), path_,
                  ": zip archive damaged: expected a record at byte ", at, ", found the end of ",
                  bytes_.size(), " bytes");
    T value;
    std::memcpy(&value, bytes_.data() + at, sizeof(T));
    return value;
  }
  std::string text(uint64_t at, uint64_t length) const {
    LIMBECK_CHECK(at <= bytes_.size() && bytes_.size() - at >= length, path_,
                  ": zip archive damaged: a name reaches beyond the end");
    return bytes_.substr(at, length);
  }

 private:
  const std::string& bytes_;
  const std::string& path_;
};

/// Where the record at the end of the archive is; a comment may follow it.
uint64_t find_end(const std::string& bytes, const std::string& path) {
  const std::string magic(reinterpret_cast<const char*>(&end_magic), 4);
  const size_t at = bytes.rfind(magic);
  LIMBECK_CHECK(at != std::string::npos, path,
                ": expected a zip archive (.npz), found no directory at its end (truncated?)");
  return at;
}

/// Replaces fields that did not fit by those of the 64-bit extra field, which stand in this order.
void take_extra(ZipEntry& e, const Fields& f, uint64_t at, uint64_t length) {
  for (uint64_t end = at + length; at + 4 <= end; at += 4 + f.get<uint16_t>(at + 2)) {
    if (f.get<uint16_t>(at) != 1) continue;
    uint64_t next = at + 4;
    for (uint64_t* field : {&e.size, &e.packed, &e.header})
      if (*field == in_extra) *field = f.get<uint64_t>(next), next += 8;
    return;
  }
}

std::string inflate_raw(const char* data, uint64_t packed, uint64_t size, const std::string& what) {
  std::string out(size, '\0');
  z_stream z{};
  LIMBECK_CHECK(inflateInit2(&z, -MAX_WBITS) == Z_OK, what, ": zlib cannot start");
  const auto chunk = [](uint64_t n) { return static_cast<uInt>(std::min<uint64_t>(n, 1 << 30)); };
  uint64_t taken = 0, made = 0;
  int code = Z_OK;
  while (code == Z_OK) {
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data + taken));
    z.avail_in = chunk(packed - taken);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + made);
    z.avail_out = chunk(size - made);
    const uInt in = z.avail_in, room = z.avail_out;
    code = inflate(&z, Z_NO_FLUSH);
    taken += in - z.avail_in;
    made += room - z.avail_out;
    if (in == z.avail_in && room == z.avail_out && code == Z_OK) break;
  }
  inflateEnd(&z);
  LIMBECK_CHECK(code == Z_STREAM_END && made == size, what, ": deflated bytes damaged: expected ",
                size, " bytes, got ", made);
  return out;
}

}  // namespace

ZipArchive::ZipArchive(const std::string& path) : path_(path), bytes_(read_file(path)) {
  read_directory();
}

void ZipArchive::read_directory() {
  const Fields f(bytes_, path_);
  const uint64_t end = find_end(bytes_, path_);
  uint64_t count = f.get<uint16_t>(end + 10), at = f.get<uint32_t>(end + 16);
  if (end >= 20 && f.get<uint32_t>(end - 20) == locator64_magic) {
    const auto end64 = f.get<uint64_t>(end - 12);
    LIMBECK_CHECK(f.get<uint32_t>(end64) == end64_magic, path_,
                  ": zip archive damaged: no 64-bit directory at byte ", end64);
    count = f.get<uint64_t>(end64 + 32);
    at = f.get<uint64_t>(end64 + 48);
  }
  for (uint64_t i = 0; i < count; ++i) {
    LIMBECK_CHECK(f.get<uint32_t>(at) == entry_magic, path_, ": zip archive damaged: entry ", i,
                  " of ", count, " is not in the directory");
    const uint64_t name = f.get<uint16_t>(at + 28), extra = f.get<uint16_t>(at + 30),
                   comment = f.get<uint16_t>(at + 32);
    ZipEntry e{.name = f.text(at + 46, name),
               .method = f.get<uint16_t>(at + 10),
               .checksum = f.get<uint32_t>(at + 16),
               .packed = f.get<uint32_t>(at + 20),
               .size = f.get<uint32_t>(at + 24),
               .header = f.get<uint32_t>(at + 42)};
    LIMBECK_CHECK((f.get<uint16_t>(at + 8) & 1) == 0, path_, ": entry ", e.name, " is encrypted");
    take_extra(e, f, at + 46 + name, extra);
    entries_.push_back(std::move(e));
    at += 46 + name + extra + comment;
  }
}

std::string ZipArchive::read(const ZipEntry& e) const {
  const std::string what = path_ + ": entry " + e.name;
  const Fields f(bytes_, path_);
  LIMBECK_CHECK(f.get<uint32_t>(e.header) == local_magic, what,
                ": zip archive damaged: no such entry at byte ", e.header);
  const uint64_t begin =
      e.header + 30 + f.get<uint16_t>(e.header + 26) + f.get<uint16_t>(e.header + 28);
  LIMBECK_CHECK(begin <= bytes_.size() && bytes_.size() - begin >= e.packed, what, ": expected ",
                e.packed, " bytes from byte ", begin, ", found a file of ", bytes_.size());
  LIMBECK_CHECK(e.method == 0 || e.method == 8, what, ": packed with method ", e.method,
                ", expected stored or deflated");
  LIMBECK_CHECK(e.method == 0 ? e.size == e.packed : e.size / largest_ratio <= e.packed, what, ": ",
                e.packed, " packed bytes cannot hold ", e.size);
  std::string out = e.method == 0 ? bytes_.substr(begin, e.size)
                                  : inflate_raw(bytes_.data() + begin, e.packed, e.size, what);
  const auto found = crc32_z(0, reinterpret_cast<const Bytef*>(out.data()), out.size());
  LIMBECK_CHECK(found == e.checksum, what, ": damaged: expected the checksum ", e.checksum,
                ", found ", found);
  return out;
}

}  // namespace limbeck::data
