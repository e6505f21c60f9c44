// Image files: whole ones in every form, damaged and foreign ones refused, orientation, deep
// samples, and limits.
#include "data/image_file.h"

#include <cmath>

#include "data/image_format.h"
#include "data/readers.h"
#include "tests/data/bytes.h"
#include "tests/data/temporary.h"

extern "C" int stbi_write_jpg_to_func(void (*write)(void* to, void* data, int size), void* to,
                                      int x, int y, int channels, const void* data, int quality);

namespace limbeck::data {
namespace {

using namespace std::string_literals;
using test::big_endian;
using test::deflated;
using test::expect_error;
using test::from_hex;
using test::little_endian;
using test::TemporaryFolder;
using Bytes = std::vector<uint8_t>;

std::string chunk(const std::string& type, const std::string& data) {
  const std::string covered = type + data;
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(covered.data()), covered.size());
  return big_endian(static_cast<uint32_t>(data.size()), 4) + covered +
         big_endian(static_cast<uint32_t>(crc), 4);
}
std::string png(uint32_t width, uint32_t height, int depth, int type, const std::string& rows,
                const std::string& before = {}) {
  return "\x89PNG\r\n\x1A\n" +
         chunk("IHDR", big_endian(width, 4) + big_endian(height, 4) +
                           big_endian(static_cast<uint32_t>(depth), 1) +
                           big_endian(static_cast<uint32_t>(type), 1) + "\0\0\0"s) +
         before + chunk("IDAT", deflated(rows, test::Packing::zlib)) + chunk("IEND", "");
}
/// One row of grey samples of 16 bits.
std::string deep_png(const std::vector<uint32_t>& samples) {
  std::string row(1, '\0');
  for (const uint32_t v : samples) row += big_endian(v, 2);
  return png(static_cast<uint32_t>(samples.size()), 1, 16, 0, row);
}

Tensor pattern(int64_t height, int64_t width, int64_t channels) {
  Tensor t = Tensor::empty({height, width, channels}, DType::u8);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(i * 29 + 5);
  return t;
}
std::string jpeg(const Tensor& image) {
  std::string bytes;
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<char*>(data), static_cast<size_t>(size));
  };
  stbi_write_jpg_to_func(append, &bytes, static_cast<int>(image.size(1)),
                         static_cast<int>(image.size(0)), static_cast<int>(image.size(2)),
                         image.raw(), 95);
  return bytes;
}

Bytes read(const std::string& bytes, const ImageReading& reading = {}) {
  const TemporaryFolder folder;
  return read_image_file(folder.write("x.img", bytes), reading).pixels.to_vector<uint8_t>();
}
void refused(const std::string& bytes, std::vector<std::string> parts,
             const ImageReading& reading = {}) {
  parts.push_back("x.img");
  expect_error([&] { read(bytes, reading); }, parts);
}

TEST(ImageFile, EveryFlippedBitOfAPngIsNoticed) {
  const std::string good = encode_png(pattern(6, 5, 3), "x");
  ASSERT_EQ(read(good), pattern(6, 5, 3).to_vector<uint8_t>());
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    refused(bad, {});
  }
  for (size_t n = 0; n < good.size(); ++n) refused(good.substr(0, n), {});
}

TEST(ImageFile, PngRowsHaveToBeAsManyAsTheHeaderSays) {
  const std::string rows = "\0abcd\0efgh"s;
  EXPECT_EQ(read(png(4, 2, 8, 0, rows)), (Bytes{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}));
  refused(png(4, 3, 8, 0, rows), {"corrupt", "expected 15 bytes, found 10"});
  refused(png(4, 2, 8, 0, rows + std::string(1 << 20, 'x')), {"corrupt", "more than 10 bytes"});
  refused(png(1 << 13, 1 << 13, 8, 0, rows), {"corrupt", "found 10"});
  refused(png(0, 2, 8, 0, rows), {"corrupt", "2 x 0"});
  refused(png(4, 2, 8, 5, rows), {"corrupt", "colour type 5"});
  std::string text_mode = png(4, 2, 8, 0, rows);
  text_mode.erase(4, 1);  // \r\n became \n
  refused(text_mode, {"signature"});
}

TEST(ImageFile, SamplesOf16BitsByTheirFullRange) {
  EXPECT_EQ(read(deep_png({0, 128, 129, 257, 32768, 65407, 65535})),
            (Bytes{0, 0, 1, 1, 128, 255, 255}))
      << "v / 65535, to the nearest";
  EXPECT_EQ(read(deep_png({0, 8, 9, 2048, 4095}), {.bits = 12}), (Bytes{0, 0, 1, 128, 255}));
  refused(deep_png({0, 4096}), {"sample 4096", "4095", "data.folder.bits"}, {.bits = 12});
}

TEST(ImageFile, AFolderOfDarkDeepImagesAsksForTheirBits) {
  const TemporaryFolder folder;
  folder.write("a.png", deep_png({0, 4095}));
  folder.write("labels.csv", "file,class\na.png,0\n");
  expect_error([&] { read_folder(folder.path()); },
               {"no sample above 4095", "data.folder.bits = 12"});
  EXPECT_EQ(read_folder(folder.path(), {.bits = 12}).train.images.at(1), 255);
  EXPECT_EQ(read_folder(folder.path(), {.bits = 16}).train.images.at(1), 16);
  folder.write("b.png", deep_png({0, 4096}));
  folder.write("labels.csv", "file,class\na.png,0\nb.png,0\n");
  EXPECT_EQ(read_folder(folder.path()).train.images.at(1), 16) << "all images tell";
}

TEST(ImageFile, PnmByItsMaxval) {
  EXPECT_EQ(read("P5 3 1 255\n\x00\x80\xFF"s), (Bytes{0, 128, 255}));
  EXPECT_EQ(read("P5\n# a comment\n3 1\n15\n\x00\x07\x0F"s), (Bytes{0, 119, 255}));
  EXPECT_EQ(read("P5 2 1 4095\n\x00\x00\x0F\xFF"s), (Bytes{0, 255}));
  EXPECT_EQ(read("P6 1 1 255\nabc"), (Bytes{'a', 'b', 'c'}));
  refused("P5 3 1 15\n\x00\x10\x0F"s, {"sample 16", "at most 15"});
  refused("P5 3 2 255\nabcde", {"corrupt", "truncated"});
  refused("P6 1 1 255\nab", {"corrupt", "found 2"});
  refused("P5 3 x 255\nabc", {"corrupt", "PNM header"});
  refused("P5 3 1 70000\nabc", {"corrupt", "maxval"});
  refused("P5 99999999999 9 255\n", {"corrupt"});
  refused("P2 1 1 255\n7", {"PNM of text (P2)"});
}

std::string bmp(int32_t width, int32_t height, const std::string& rows) {
  return "BM" + little_endian(54, 4) + little_endian(0, 4) + little_endian(54, 4) +
         little_endian(40, 4) + little_endian(static_cast<uint32_t>(width), 4) +
         little_endian(static_cast<uint32_t>(height), 4) + little_endian(1, 2) +
         little_endian(24, 2) + little_endian(0, 4) + std::string(20, '\0') + rows;
}

TEST(ImageFile, Bmp) {
  const std::string rows = "abc\0defX"s;  // one pixel a row, from bottom to top, rows of 4 bytes
  EXPECT_EQ(read(bmp(1, 2, rows)), (Bytes{'f', 'e', 'd', 'c', 'b', 'a'}));
  EXPECT_EQ(read(bmp(1, -2, rows)), (Bytes{'c', 'b', 'a', 'f', 'e', 'd'}));
  refused(bmp(1, 3, rows), {"corrupt", "3 rows of 4 bytes, found 8", "truncated"});
  refused(bmp(1 << 15, 1 << 10, rows), {"corrupt", "truncated"});
  refused(bmp(0, 2, rows), {"corrupt"});
  refused("BM", {"corrupt", "header"});
  std::string packed = bmp(1, 2, rows);
  packed[30] = 1;
  refused(packed, {"compressed"});
}

TEST(ImageFile, JpegsThatAreCutAreRefused) {
  const std::string good = jpeg(pattern(24, 40, 3));
  EXPECT_EQ(read(good).size(), 24u * 40 * 3);
  const std::string fixtures = "tests/data/fixtures/images/";
  for (const std::string& whole : {good, from_hex(fixtures + "progressive.jpg.hex"),
                                   from_hex(fixtures + "restarts.jpg.hex")}) {
    EXPECT_NO_THROW(read(whole));
    for (size_t n = 0; n < whole.size(); n += 11) {
      refused(whole.substr(0, n), {});
      // As some programs repair them: the end marker follows. Progressive ones lack scans then; the
      // last bytes may be padding.
      if (n + 8 < whole.size()) refused(whole.substr(0, n) + "\xFF\xD9", {});
    }
  }
  EXPECT_EQ(read(good + "trailer of a camera"), read(good));
  std::string no_scan = good.substr(0, good.find("\xFF\xDA"));
  refused(no_scan + "\xFF\xD9", {"corrupt", "no scan"});
  std::string large = good;
  large.replace(good.find("\xFF\xC0") + 5, 4, big_endian(8192, 2) + big_endian(8192, 2));
  refused(large, {"corrupt", "blocks in"});
  std::string codes = good;
  codes[good.find("\xFF\xC4") + 6] = '\xFF';  // more codes than bytes have values
  refused(codes, {"corrupt", "codes"});
  std::string filled = good;
  filled.insert(filled.size() - 2, "\xFF\xFF");
  EXPECT_EQ(read(filled), read(good)) << "fill bytes in front of a marker";
}

/// Without its first segment of a marker.
std::string without(const std::string& jpeg, const std::string& marker) {
  const size_t at = jpeg.find(marker);
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(jpeg[i])); };
  return jpeg.substr(0, at) + jpeg.substr(at + 2 + byte(at + 2) * 256 + byte(at + 3));
}

TEST(ImageFile, JpegsWhoseTablesAreNotThereAreRefused) {
  const std::string codes = "\xFF\xC4", divisors = "\xFF\xDB";
  const std::string fixtures = "tests/data/fixtures/images/";
  for (const std::string& whole :
       {jpeg(pattern(24, 40, 3)), from_hex(fixtures + "progressive.jpg.hex")}) {
    refused(without(whole, codes), {"corrupt", "codes, which is not there"});
    refused(without(whole, divisors), {"corrupt", "divisors, which is not there"});
  }
  std::string other = jpeg(pattern(24, 40, 3));
  const size_t scan = other.find("\xFF\xDA") + 2;
  other[scan + 4] = 0x20;  // of the first component: means by table 2, the rest by table 0
  refused(other, {"corrupt", "table 2 of the means' codes"});
  other[scan + 4] = 0x03;
  refused(other, {"corrupt", "table 3 of the other codes"});
  std::string called = jpeg(pattern(24, 40, 3));
  called[called.find(divisors) + 4] = 0x07;
  refused(called, {"corrupt", "divisors called 7"});
}

TEST(ImageFile, ProgressiveScansThatRefineNothingAreRefused) {
  const std::string good = from_hex("tests/data/fixtures/images/progressive.jpg.hex");
  std::string refines = good;
  const size_t scan = good.find("\xFF\xDA");
  refines[scan + 13] = 0x10;  // Ah of the first scan, of all means
  refused(refines, {"corrupt", "refines coefficients 0 to 0", "no scan has brought"});
  const size_t second = good.find("\xFF\xDA", scan + 2);
  refused(good.substr(0, scan) + good.substr(second), {"corrupt", "before that of its means"});
}

std::string exif(int orientation, bool little) {
  const auto n = [&](uint32_t v, int bytes) {
    return little ? little_endian(v, bytes) : big_endian(v, bytes);
  };
  return (little ? "II" : "MM") + n(42, 2) + n(8, 4) + n(1, 2) + n(0x0112, 2) + n(3, 2) + n(1, 4) +
         n(static_cast<uint32_t>(orientation), 2) + "\0\0"s + n(0, 4);
}
std::string tagged(const std::string& jpeg, int orientation, bool little) {
  const std::string block = "Exif\0\0"s + exif(orientation, little);
  return jpeg.substr(0, 2) + "\xFF\xE1" + big_endian(static_cast<uint32_t>(block.size()) + 2, 2) +
         block + jpeg.substr(2);
}

/// abc / def as it is seen under each orientation, rows one after the other.
const std::vector<std::string> seen = {"abcdef", "cbafed", "fedcba", "defabc",
                                       "adbecf", "daebfc", "fcebda", "cfbead"};

TEST(ImageFile, ExifOrientationOfPng) {
  for (int o = 1; o <= 8; ++o)
    for (const bool order : {true, false}) {
      const TemporaryFolder folder;
      const Tensor image =
          read_image_file(
              folder.write("x.png", png(3, 2, 8, 0, "\0abc\0def"s, chunk("eXIf", exif(o, order)))))
              .pixels;
      EXPECT_EQ(image.shape(), o < 5 ? (Shape{2, 3, 1}) : (Shape{3, 2, 1}));
      const Bytes pixels = image.to_vector<uint8_t>();
      EXPECT_EQ(std::string(pixels.begin(), pixels.end()), seen[static_cast<size_t>(o - 1)]) << o;
    }
}

TEST(ImageFile, ExifOrientationOfJpeg) {
  // Six fields of 8 x 8 with their own grey, as blocks of a JPEG are: the middle of each is exact
  // but for a step or two.
  Tensor fields = Tensor::empty({16, 24, 1}, DType::u8);
  const auto grey = [](char field) { return 30 + 35 * (field - 'a'); };
  for (int64_t y = 0; y < 16; ++y)
    for (int64_t x = 0; x < 24; ++x)
      fields.data<uint8_t>()[y * 24 + x] =
          static_cast<uint8_t>(grey(static_cast<char>('a' + y / 8 * 3 + x / 8)));
  const std::string plain = jpeg(fields);
  for (int o = 1; o <= 8; ++o)
    for (const bool order : {true, false}) {
      const Bytes pixels = read(tagged(plain, o, order), {.channels = 1});
      const int64_t across = o < 5 ? 3 : 2, down = 5 - across;
      for (int64_t i = 0; i < 6; ++i) {
        const int64_t y = i / across * 8 + 4, x = i % across * 8 + 4;
        EXPECT_NEAR(pixels[static_cast<size_t>(y * across * 8 + x)],
                    grey(seen[static_cast<size_t>(o - 1)][static_cast<size_t>(i)]), 3)
            << "orientation " << o << ", field " << i << " of " << down << " rows";
      }
    }
}

TEST(ImageFile, ExifThatSaysNothingIsIgnored) {
  for (const int o : {0, 9, 300}) EXPECT_EQ(exif_orientation(exif(o, true)), 1) << o;
  const std::string good = exif(6, false);
  EXPECT_EQ(exif_orientation(good), 6);
  EXPECT_EQ(exif_orientation(exif(6, true)), 6);
  for (size_t n = 0; n < 20; ++n) EXPECT_EQ(exif_orientation(good.substr(0, n)), 1) << n;
  EXPECT_EQ(exif_orientation("II*\0\xFF\xFF\xFF\xFF"s), 1);
}

TEST(ImageFile, ForeignFormatsAreNamed) {
  const std::vector<std::pair<std::string, std::string>> foreign = {
      {"II*\0rest"s, "TIFF"},
      {"MM\0*rest"s, "TIFF"},
      {"RIFF\1\2\3\4WEBPVP8 ", "WebP"},
      {"GIF89a", "GIF"},
      {"\0\0\0\x18"
       "ftypheic"s,
       "HEIC"},
      {"\0\0\0\x18"
       "ftypavif"s,
       "AVIF"},
      {"8BPS\0\1"s, "PSD"},
      {"#?RADIANCE\n", "HDR"},
      {"<!DOCTYPE html>", "HTML"},
      {"version https://git-lfs.github.com/spec/v1", "Git LFS"},
      {"\n<svg xmlns=", "SVG"},
      {"hello", "another kind"}};
  for (const auto& [bytes, name] : foreign)
    refused(bytes, {"expected an image (PNG, JPEG, BMP, PNM), found", name});
  EXPECT_TRUE(is_image_name("A.JPeG") && is_image_name("x/b.ppm") && !is_image_name("b.txt"));
  EXPECT_TRUE(is_foreign_image_name("A.TIFF") && !is_foreign_image_name("a.png"));
}

TEST(ImageFile, LimitsHoldBeforeAnythingIsDecoded) {
  const std::string frame = "\xFF\xC0" + big_endian(11, 2) + "\x08" + big_endian(65500, 2) +
                            big_endian(32700, 2) + "\x01\x01\x11\0"s;
  const std::string scan = "\xFF\xDA" + big_endian(8, 2) + "\x01\x01\0\0\x3F\0"s;
  const std::string divisors = "\xFF\xDB" + big_endian(67, 2) + "\0"s + std::string(64, 1),
                    codes = "\xFF\xC4" + big_endian(36, 2) + "\0"s + std::string(16, 0) + "\x10" +
                            std::string(16, 0);
  refused("\xFF\xD8" + divisors + codes + frame + scan + std::string(5 << 20, 'x') + "\xFF\xD9",
          {"65500 x 32700 pixels", "data.max_pixels"});
  refused(png(4, 2, 8, 0, "\0abcd\0efgh"s), {"2 x 4 pixels", "at most 7"}, {.max_pixels = 7});
}

TEST(ImageFile, ChannelsAreAsAskedFor) {
  EXPECT_EQ(read(png(1, 1, 8, 2, "\0\xFF\0\0"s), {.channels = 1}), Bytes{76});
  EXPECT_EQ(read(png(1, 1, 8, 0, "\0x"s), {.channels = 3}), (Bytes{'x', 'x', 'x'}));
  EXPECT_EQ(read(png(1, 1, 8, 6, "\0abc\x10"s)), (Bytes{'a', 'b', 'c'})) << "transparency";
  EXPECT_EQ(read(png(1, 1, 8, 4, "\0a\x10"s)), Bytes{'a'});
  const TemporaryFolder folder;
  write_png(folder.file("a.png"), pattern(4, 4, 3));
  write_png(folder.file("b.png"), pattern(4, 4, 1));
  folder.write("labels.csv", "file,class\na.png,0\nb.png,0\n");
  expect_error([&] { read_folder(folder.path()); }, {"b.png", "data.folder.channels"});
  EXPECT_EQ(read_folder(folder.path(), {.channels = 3}).train.images.shape(), (Shape{2, 4, 4, 3}));
}

}  // namespace
}  // namespace limbeck::data
