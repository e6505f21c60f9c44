// IDX files of MNIST and Fashion-MNIST, plain or gzip: big-endian magic (0, 0, 8 = bytes, rank),
// one 32-bit size per dimension, bytes.
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "data/readers.h"
#include "data/source.h"

namespace limbeck::data {
namespace {

constexpr uint32_t images_magic = 2051, labels_magic = 2049;

uint32_t big_endian(const std::vector<uint8_t>& b, size_t at) {
  return uint32_t(b[at]) << 24 | uint32_t(b[at + 1]) << 16 | uint32_t(b[at + 2]) << 8 | b[at + 3];
}

/// Bytes of the whole file as its beginning claims them; no limit before there is a header.
size_t claimed_bytes(const std::vector<uint8_t>& b) {
  const size_t rank = b.size() < 4 ? 0 : b[3], body = 4 + 4 * rank;
  if (b.size() < 4 || b.size() < body) return SIZE_MAX;
  unsigned __int128 bytes = 1;
  for (size_t i = 0; i < rank && bytes < SIZE_MAX; ++i) bytes *= big_endian(b, 4 + 4 * i);
  return bytes >= SIZE_MAX - body ? SIZE_MAX : body + static_cast<size_t>(bytes);
}

/// The file, decompressed when it is gzip (zlib reads plain files as they are), as far as its
/// header claims and a little more: a small file can hold gigabytes of zeros.
std::vector<uint8_t> read_maybe_gzip(const std::string& file) {
  std::unique_ptr<gzFile_s, int (*)(gzFile)> in(gzopen(file.c_str(), "rb"), gzclose_r);
  LIMBECK_CHECK(in != nullptr, file, ": cannot open: ", std::strerror(errno));
  gzbuffer(in.get(), 1 << 17);
  std::vector<uint8_t> bytes, chunk(1 << 20);
  while (bytes.size() <= claimed_bytes(bytes)) {
    const int got = gzread(in.get(), chunk.data(), static_cast<unsigned>(chunk.size()));
    if (got > 0) bytes.insert(bytes.end(), chunk.begin(), chunk.begin() + got);
    int code = Z_OK;
    const char* message = gzerror(in.get(), &code);
    // A stream cut short ends with Z_BUF_ERROR and no negative count.
    LIMBECK_CHECK(got >= 0 && (code == Z_OK || code == Z_STREAM_END), file,
                  ": gzip stream damaged or truncated after ", bytes.size(), " bytes: ", message);
    if (got == 0) break;
  }
  return bytes;
}

/// Checks magic and length; returns the sizes of the dimensions. `body` is where the bytes begin.
std::vector<int64_t> check_header(const std::string& file, const std::vector<uint8_t>& b,
                                  uint32_t magic, size_t& body) {
  const size_t rank = magic & 0xff;
  body = 4 + 4 * rank;
  LIMBECK_CHECK(b.size() >= 4, file, ": expected an IDX header of ", body, " bytes, found ",
                b.size(), " bytes");
  LIMBECK_CHECK(big_endian(b, 0) == magic, file, ": expected IDX magic ", magic, ", found ",
                big_endian(b, 0));
  LIMBECK_CHECK(b.size() >= body, file, ": expected an IDX header of ", body, " bytes, found ",
                b.size(), " bytes");
  std::vector<int64_t> sizes;
  unsigned __int128 record = 1;
  for (size_t i = 0; i < rank; ++i) {
    sizes.push_back(big_endian(b, 4 + 4 * i));
    LIMBECK_CHECK(sizes.back() > 0, file, ": IDX header: dimension ", i, " is 0");
    if (i > 0) record *= static_cast<unsigned __int128>(sizes.back());
  }
  const unsigned __int128 found = b.size() - body,
                          expected = record * static_cast<unsigned __int128>(sizes[0]);
  if (found == expected) return sizes;
  // A header may claim sizes beyond 64 bits; the sizes themselves always print.
  std::string claim = cat(sizes[0]);
  for (size_t i = 1; i < rank; ++i) claim += cat(" x ", sizes[i]);
  fail(file, ": record ", std::min<int64_t>(static_cast<int64_t>(found / record), sizes[0]),
       ": expected ", claim, " bytes after the header, found ", found < expected ? "" : "at least ",
       b.size() - body, found < expected ? " (truncated)" : " (trailing bytes)");
}

/// "emnist-letters-train-images.idx3-ubyte.gz" is the set emnist-letters, part train, what images.
struct IdxName {
  std::string set, part, what;
};

std::optional<IdxName> parse_idx_name(std::string name) {
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  for (const char* part : {"train", "t10k", "test"})
    for (const auto& [what, idx] : {std::pair{"images", "idx3-ubyte"}, {"labels", "idx1-ubyte"}})
      for (const char dot : {'-', '.'}) {
        const std::string end = cat(part, "-", what, dot, idx);
        if (name == end) return IdxName{"", part, what};
        if (name.ends_with("-" + end))
          return IdxName{name.substr(0, name.size() - end.size() - 1), part, what};
      }
  return {};
}

/// The set whose files are read: the one that is asked for, MNIST's names, or the only one.
std::string set_in(const std::string& folder, const std::string& wanted) {
  std::set<std::string> sets;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (const auto name = parse_idx_name(entry.path().filename())) sets.insert(name->set);
  const std::string found = joined({sets.begin(), sets.end()});
  LIMBECK_CHECK(wanted.empty() || sets.count(wanted), folder, ": data.idx.set: expected one of ",
                found.empty() ? "none" : found, ", found '", wanted, "'");
  if (!wanted.empty() || sets.empty() || sets.count("")) return wanted;
  LIMBECK_CHECK(sets.size() == 1, folder, ": holds the sets ", found,
                "; choose one with data.idx.set");
  return *sets.begin();
}

/// The file of a part ("train", or "t10k", which EMNIST calls "test"); rather plain than packed.
std::string find_idx(const std::string& folder, const std::string& set, const std::string& part,
                     const std::string& what) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (const auto name = parse_idx_name(entry.path().filename());
        name && name->set == set && name->what == what &&
        (name->part == part || (part == "t10k" && name->part == "test")))
      files.push_back(folder + "/" + entry.path().filename().string());
  const std::string wanted = cat(set.empty() ? "" : set + "-", part, "-", what,
                                 what == "images" ? "-idx3-ubyte" : "-idx1-ubyte");
  LIMBECK_CHECK(!files.empty(), folder, ": expected ", wanted, " or ", wanted,
                ".gz, found neither");
  return *std::min_element(files.begin(), files.end(), [](const auto& a, const auto& b) {
    return std::pair(a.ends_with(".gz"), a) < std::pair(b.ends_with(".gz"), b);
  });
}

/// One part. classes 0: taken from the labels, else the limit that labels must respect.
Dataset read_part(const std::string& folder, const std::string& set, const std::string& part,
                  int64_t classes) {
  const std::string image_file = find_idx(folder, set, part, "images"),
                    label_file = find_idx(folder, set, part, "labels");
  const std::vector<uint8_t> images = read_maybe_gzip(image_file),
                             labels = read_maybe_gzip(label_file);
  size_t image_body = 0, label_body = 0;
  const auto sizes = check_header(image_file, images, images_magic, image_body);
  const auto count = check_header(label_file, labels, labels_magic, label_body);
  LIMBECK_CHECK(count[0] == sizes[0], label_file, ": expected ", sizes[0], " labels (images in ",
                image_file, "), found ", count[0]);
  Dataset d;
  d.images = Tensor::empty({sizes[0], sizes[1], sizes[2], 1}, DType::u8);
  std::copy(images.begin() + static_cast<std::ptrdiff_t>(image_body), images.end(),
            d.images.data<uint8_t>());
  d.labels = Tensor::empty({sizes[0]}, DType::i64);
  std::copy(labels.begin() + static_cast<std::ptrdiff_t>(label_body), labels.end(),
            d.labels.data<int64_t>());
  const auto label = d.labels.span<int64_t>();
  d.classes = classes > 0 ? classes : *std::max_element(label.begin(), label.end()) + 1;
  for (size_t i = 0; i < label.size(); ++i)
    LIMBECK_CHECK(label[i] < d.classes, label_file, ": record ", i, ": label ", label[i],
                  ", expected 0..", d.classes - 1);
  return d;
}

}  // namespace

Split read_idx(const std::string& folder, const IdxSettings& settings) {
  LIMBECK_CHECK(std::filesystem::is_directory(folder), folder,
                ": expected a folder with IDX files, found none");
  Split split;
  const std::string set = set_in(folder, settings.set);
  split.train = read_part(folder, set, "train", 0);
  split.test = read_part(folder, set, "t10k", split.train.classes);
  LIMBECK_CHECK(
      split.train.height() == split.test.height() && split.train.width() == split.test.width(),
      folder, ": training images ", describe(split.train.images), " and test images ",
      describe(split.test.images), " of unequal size");
  split.train.class_names = split.test.class_names = optional_lines(folder + "/class_names.txt");
  LIMBECK_CHECK(split.train.class_names.empty() ||
                    static_cast<int64_t>(split.train.class_names.size()) == split.train.classes,
                folder, "/class_names.txt: expected ", split.train.classes, " class names, found ",
                split.train.class_names.size());
  return split;
}

namespace {

void check_idx(const IdxSettings& s, const std::string& folder) {
  const std::string set = set_in(folder, s.set);
  for (const char* part : {"train", "t10k"})
    for (const char* what : {"images", "labels"}) check_readable(find_idx(folder, set, part, what));
}

const RegisterSource idx({.name = "idx",
                          .help = "IDX files of the MNIST family, plain or .gz",
                          .files = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-...",
                          .settings = IdxSettings{},
                          .check =
                              [](const AnySettings& own, const DataSettings& common) {
                                check_idx(own.as<IdxSettings>(), common.path);
                              },
                          .load =
                              [](const AnySettings& own, const DataSettings& common) {
                                return read_idx(common.path, own.as<IdxSettings>());
                              }});

}  // namespace

}  // namespace limbeck::data
