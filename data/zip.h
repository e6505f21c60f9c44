// Zip archives, as far as NumPy's .npz files go: stored and deflated entries, 64-bit sizes, no
// encryption.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace limbeck::data {

struct ZipEntry {
  std::string name;
  uint16_t method = 0;  ///< 0: stored, 8: deflated
  uint32_t checksum = 0;
  uint64_t packed = 0, size = 0, header = 0;  ///< bytes in the file and unpacked; where it begins
};

/// A whole archive in memory.
class ZipArchive {
 public:
  /// Reads the directory; throws naming the file when it is no zip archive, or a damaged one.
  explicit ZipArchive(const std::string& path);
  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// The bytes of an entry. Throws naming file and entry when they are cut, packed in another way,
  /// or do not have the checksum; the size is checked against the packed one before it is asked of
  /// the memory.
  std::string read(const ZipEntry& entry) const;

 private:
  void read_directory();

  std::string path_, bytes_;
  std::vector<ZipEntry> entries_;
};

}  // namespace limbeck::data
