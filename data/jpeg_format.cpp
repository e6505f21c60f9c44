// JPEG: the markers, and the ends of the scans between them.
#include <algorithm>
#include <array>

#include "data/image_format.h"
#include "tensor/error.h"

namespace limbeck::data {
namespace {

using namespace std::string_view_literals;

enum Marker : int {
  progressive_frame = 0xC2,
  dht = 0xC4,
  jpg = 0xC8,
  dac = 0xCC,
  soi = 0xD8,
  eoi = 0xD9,
  sos = 0xDA,
  dqt = 0xDB,
  dri = 0xDD,
  app1 = 0xE1,
  tem = 0x01
};

bool is_restart(int marker) { return marker >= 0xD0 && marker <= 0xD7; }
bool is_frame(int marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != dht && marker != jpg && marker != dac;
}

int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

class JpegWalk {
 public:
  JpegWalk(std::string_view bytes, const std::string& name) : b_(bytes), name_(name) {}

  ImageHeader header() {
    h_.format = ImageFormat::jpeg;
    for (;;) {
      const int marker = next_marker();
      if (marker == eoi) break;
      if (marker == soi || marker == tem || is_restart(marker)) continue;
      const std::string_view segment = next_segment();
      if (is_frame(marker)) take_frame(segment), progressive_ = marker == progressive_frame;
      if (marker == dht) take_codes(segment);
      if (marker == dqt) take_quantisation(segment);
      if (marker == dri && segment.size() >= 2) interval_ = big_endian_at(segment, 0, 2);
      if (marker == app1 && segment.starts_with("Exif\0\0"sv) && !exif_)
        h_.orientation = exif_orientation(segment.substr(6)), exif_ = true;
      if (marker == sos) skip_scan(segment);
    }
    damaged(h_.width > 0 && h_.height > 0, "no frame");
    damaged(!h_.scan_ends.empty(), "no scan");
    for (const Component& c : components_)
      damaged(
          std::all_of(c.bits_missing.begin(), c.bits_missing.end(), [](int n) { return n == 0; }),
          "not all scans of component ", int(c.id));
    return h_;
  }

 private:
  static constexpr int unseen = 16;
  static std::array<int, 64> filled(int value) {
    std::array<int, 64> all;
    all.fill(value);
    return all;
  }
  struct Component {
    char id;
    int across, down, divisors;
    std::array<int, 64> bits_missing = filled(unseen);  ///< of each coefficient
  };

  template <class... Parts>
  void damaged(bool whole, const Parts&... parts) const {
    LIMBECK_CHECK(whole, name_, ": corrupt image: JPEG: ", parts...);
  }

  int next_marker() {
    damaged(at_ < b_.size(), "cut after ", b_.size(), " bytes (no end marker)");
    damaged(byte(at_) == 0xFF, "expected a marker at byte ", at_);
    while (at_ < b_.size() && byte(at_) == 0xFF) ++at_;
    damaged(at_ < b_.size(), "cut after ", b_.size(), " bytes (no end marker)");
    return byte(at_++);
  }

  std::string_view next_segment() {
    const size_t left = b_.size() - at_;
    const size_t length = left >= 2 ? big_endian_at(b_, at_, 2) : 0;
    damaged(length >= 2 && length <= left, "cut after ", b_.size(),
            " bytes, in the segment at byte ", at_);
    const std::string_view segment = b_.substr(at_ + 2, length - 2);
    at_ += length;
    return segment;
  }

  /// Tables of codes: for each length from 1 to 16 how many; they have 256 values at most.
  void take_codes(std::string_view s) {
    while (!s.empty()) {
      const int table = static_cast<uint8_t>(s[0]);
      damaged(table >> 4 < 2 && (table & 15) < 4, "a table of codes called ", table);
      codes_[static_cast<size_t>(table >> 4)][static_cast<size_t>(table & 15)] = true;
      size_t count = 0;
      for (size_t i = 1; i < 17 && i < s.size(); ++i) count += static_cast<uint8_t>(s[i]);
      damaged(count <= 256 && s.size() >= 17 + count, "a table of ", count, " codes in ", s.size(),
              " bytes");
      s.remove_prefix(17 + count);
    }
  }

  /// 64 divisors of one byte or of two.
  void take_quantisation(std::string_view s) {
    while (!s.empty()) {
      const int table = static_cast<uint8_t>(s[0]);
      const size_t bytes = table >> 4 ? 129 : 65;
      damaged(table >> 4 < 2 && (table & 15) < 4 && s.size() >= bytes,
              "a table of divisors called ", table, " in ", s.size(), " bytes");
      divisors_[static_cast<size_t>(table & 15)] = true;
      s.remove_prefix(bytes);
    }
  }

  void take_frame(std::string_view s) {
    damaged(h_.width == 0, "two frames");
    damaged(s.size() >= 6 && s.size() >= 6 + 3 * size_t{static_cast<uint8_t>(s[5])}, "frame cut");
    h_.height = big_endian_at(s, 1, 2), h_.width = big_endian_at(s, 3, 2);
    const auto components = static_cast<size_t>(static_cast<uint8_t>(s[5]));
    h_.channels = components < 3 ? 1 : 3;
    for (size_t i = 0; i < components; ++i) {
      const int factors = static_cast<uint8_t>(s[6 + 3 * i + 1]);
      const int divisors = static_cast<uint8_t>(s[6 + 3 * i + 2]);
      damaged(divisors < 4, "a component whose table of divisors is called ", divisors);
      components_.push_back({s[6 + 3 * i], factors >> 4, factors & 15, divisors});
      damaged(factors >> 4 && factors & 15, "sampling factors of 0");
      most_across_ = std::max(most_across_, int64_t{factors >> 4});
      most_down_ = std::max(most_down_, int64_t{factors & 15});
    }
  }

  /// The header of a scan. One that is not progressive brings all bits of all coefficients.
  struct Scan {
    std::string_view components;  ///< two bytes each: which, and by which tables of codes
    int first = 0, last = 63, missing = 0;
    bool refines = false;
    size_t size() const { return components.size() / 2; }
    char id(size_t i) const { return components[2 * i]; }
    size_t tables(size_t i) const { return static_cast<uint8_t>(components[2 * i + 1]); }
    bool has_means() const { return first == 0; }
    bool has_others() const { return last > 0; }
  };
  Scan scan_of(std::string_view s) const {
    const size_t count = s.empty() ? 0 : static_cast<uint8_t>(s[0]), tail = 1 + 2 * count;
    damaged(count > 0 && s.size() == tail + 3, "scan header of ", s.size(), " bytes");
    Scan scan{s.substr(1, 2 * count)};
    if (progressive_) {
      const auto value = [&](size_t at) -> int { return static_cast<uint8_t>(s[tail + at]); };
      scan.first = value(0), scan.last = value(1);
      scan.missing = value(2) & 15, scan.refines = value(2) >> 4 > 0;
    }
    damaged(scan.first <= scan.last && scan.last < 64, "scan of the coefficients ", scan.first,
            " to ", scan.last);
    return scan;
  }
  /// That of the frame which the i-th of a scan names.
  Component& component(const Scan& scan, size_t i) {
    const auto at = std::find_if(components_.begin(), components_.end(),
                                 [&](const Component& c) { return c.id == scan.id(i); });
    damaged(at != components_.end(), "a scan of a component that the frame has not");
    return *at;
  }

  /// A scan codes units of blocks; restarts stand between units.
  struct ScanSize {
    int64_t units = 0, blocks_per_unit = 0;
  };
  ScanSize size_of(const Scan& scan) {
    const int64_t across = 8 * most_across_, down = 8 * most_down_;
    if (scan.size() == 1) {  // its own blocks only, without those that fill the last units
      const Component& c = component(scan, 0);
      return {quotient_up(quotient_up(h_.width * c.across, most_across_), 8) *
                  quotient_up(quotient_up(h_.height * c.down, most_down_), 8),
              1};
    }
    ScanSize size{quotient_up(h_.width, across) * quotient_up(h_.height, down)};
    for (size_t i = 0; i < scan.size(); ++i)
      size.blocks_per_unit += component(scan, i).across * component(scan, i).down;
    return size;
  }

  /// Which bits of which coefficients of which components a scan brings.
  void take_coefficients(const Scan& scan) {
    for (size_t i = 0; i < scan.size(); ++i) {
      Component& c = component(scan, i);
      const auto begin = c.bits_missing.begin() + scan.first,
                 end = c.bits_missing.begin() + scan.last + 1;
      // A decoder clears its memory with the first scan of the means.
      damaged(scan.has_means() || c.bits_missing[0] != unseen, "a scan of component ", int(c.id),
              " before that of its means");
      damaged(!scan.refines || std::find(begin, end, unseen) == end, "a scan refines coefficients ",
              scan.first, " to ", scan.last, " of component ", int(c.id),
              ", which no scan has brought");
      std::fill(begin, end, scan.missing);
    }
  }

  /// The tables that a scan reads must be there: a decoder would take what is in its memory.
  void check_tables(const Scan& scan) {
    for (size_t i = 0; i < scan.size(); ++i) {
      const Component& c = component(scan, i);
      const size_t of_means = scan.tables(i) >> 4, of_others = scan.tables(i) & 15;
      const bool reads_means = scan.has_means() && !scan.refines;  // one bit each refines them
      damaged(!reads_means || (of_means < 4 && codes_[0][of_means]), "a scan by table ", of_means,
              " of the means' codes, which is not there");
      damaged(!scan.has_others() || (of_others < 4 && codes_[1][of_others]), "a scan by table ",
              of_others, " of the other codes, which is not there");
      damaged(divisors_[static_cast<size_t>(c.divisors)], "component ", int(c.id), " by table ",
              c.divisors, " of divisors, which is not there");
    }
  }

  void skip_scan(std::string_view s) {
    damaged(h_.width > 0, "a scan before the frame");
    const Scan scan = scan_of(s);
    take_coefficients(scan);
    check_tables(scan);
    const ScanSize size = size_of(scan);
    const int64_t restarts = interval_ == 0 ? 0 : (size.units - 1) / interval_;
    const size_t begin = at_;
    int64_t found = 0;
    size_t end = at_;
    for (;; end = at_) {
      at_ = std::min(b_.find('\xFF', at_), b_.size());
      end = at_;
      while (at_ < b_.size() && byte(at_) == 0xFF) ++at_;
      damaged(at_ < b_.size(), "cut after ", b_.size(), " bytes (no end marker)");
      if (byte(at_) != 0 && !is_restart(byte(at_))) break;
      found += byte(at_++) != 0;
    }
    damaged(found >= restarts, "a scan is cut: expected ", restarts, " restarts, found ", found);
    // At least a bit for each block's mean, so that a small file cannot ask for a large image; the
    // other coefficients of a progressive file can end many blocks with one code.
    const int64_t blocks = size.units * size.blocks_per_unit;
    damaged(!scan.has_means() || blocks <= 8 * static_cast<int64_t>(end - begin), "a scan of ",
            blocks, " blocks in ", end - begin, " bytes");
    h_.scan_ends.push_back(end);
    at_ = end;
  }

  int byte(size_t at) const { return static_cast<uint8_t>(b_[at]); }

  std::string_view b_;
  const std::string& name_;
  size_t at_ = 0;
  ImageHeader h_;
  std::vector<Component> components_;
  std::array<std::array<bool, 4>, 2> codes_{};  ///< of the blocks' means, of what is beside them
  std::array<bool, 4> divisors_{};
  int64_t most_across_ = 1, most_down_ = 1, interval_ = 0;
  bool exif_ = false, progressive_ = false;
};

}  // namespace

ImageHeader jpeg_header(std::string_view bytes, const std::string& name) {
  return JpegWalk(bytes, name).header();
}

}  // namespace limbeck::data
