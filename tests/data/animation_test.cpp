// APNG files, read back chunk by chunk; each frame, as a PNG of its own, by stb_image.
#include "data/animation.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "data/dataset.h"
#include "tensor/safetensors.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error, test::TemporaryFolder;

uint32_t number(const std::string& bytes, size_t at, int count = 4) {
  uint32_t v = 0;
  for (int i = 0; i < count; ++i) v = v << 8 | static_cast<uint8_t>(bytes.at(at + i));
  return v;
}

struct Chunk {
  std::string type, content, whole;
};

/// Checks lengths and checksums.
std::vector<Chunk> chunks_of(const std::string& file) {
  std::vector<Chunk> all;
  EXPECT_EQ(file.substr(0, 8), "\x89PNG\r\n\x1a\n");
  for (size_t at = 8; at < file.size();) {
    const size_t length = number(file, at);
    const Chunk c{file.substr(at + 4, 4), file.substr(at + 8, length),
                  file.substr(at, 12 + length)};
    EXPECT_EQ(c.whole.size(), 12 + length);
    EXPECT_EQ(number(file, at + 8 + length),
              crc32(0, reinterpret_cast<const Bytef*>(file.data() + at + 4),
                    static_cast<uInt>(4 + length)))
        << c.type;
    all.push_back(c);
    at += c.whole.size();
  }
  return all;
}

std::string chunk(const std::string& type, const std::string& content) {
  std::string out;
  const auto put = [&](uint64_t v) {
    for (int i = 3; i >= 0; --i) out += static_cast<char>(v >> (8 * i));
  };
  put(content.size());
  out += type + content;
  put(crc32(0, reinterpret_cast<const Bytef*>(out.data() + 4), static_cast<uInt>(out.size() - 4)));
  return out;
}

Tensor frame(int64_t k, int64_t channels) {
  const Tensor t = Tensor::empty({5, 7, channels}, DType::u8);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<uint8_t>()[i] = static_cast<uint8_t>(31 * k + i * i);
  return t;
}

TEST(Animation, HoldsEveryFrameInOrder) {
  const TemporaryFolder folder;
  for (const int64_t channels : {1, 3}) {
    const std::vector<Tensor> frames{frame(0, channels), frame(1, channels), frame(2, channels)};
    const std::string path = folder.file("a.apng");
    write_apng(path, frames, 0.25);
    EXPECT_EQ(read_image(path).to_vector<uint8_t>(), frames[0].to_vector<uint8_t>())
        << "as a PNG it is its first frame";
    const std::string file = read_file(path);
    const std::vector<Chunk> chunks = chunks_of(file);
    ASSERT_EQ(chunks.size(), 9u);
    EXPECT_EQ(chunks[0].type, "IHDR");
    EXPECT_EQ(chunks[1].type, "acTL");
    EXPECT_EQ(number(chunks[1].content, 0), 3u);
    EXPECT_EQ(number(chunks[1].content, 4), 0u) << "for ever";
    EXPECT_EQ(chunks[8].type, "IEND");
    uint32_t sequence = 0;
    for (size_t k = 0; k < 3; ++k) {
      const Chunk &control = chunks[2 + 2 * k], &pixels = chunks[3 + 2 * k];
      ASSERT_EQ(control.type, "fcTL");
      ASSERT_EQ(control.content.size(), 26u);
      EXPECT_EQ(number(control.content, 0), sequence++);
      EXPECT_EQ(number(control.content, 4), 7u);
      EXPECT_EQ(number(control.content, 8), 5u);
      EXPECT_EQ(number(control.content, 20, 2) * 4, number(control.content, 22, 2)) << "0.25 s";
      ASSERT_EQ(pixels.type, k == 0 ? "IDAT" : "fdAT");
      if (k > 0) {
        EXPECT_EQ(number(pixels.content, 0), sequence++);
      }
      const std::string alone = folder.write(
          "frame.png", file.substr(0, 8) + chunks[0].whole +
                           chunk("IDAT", pixels.content.substr(k == 0 ? 0 : 4)) + chunks[8].whole);
      EXPECT_EQ(read_image(alone).to_vector<uint8_t>(), frames[k].to_vector<uint8_t>()) << k;
    }
  }
}

TEST(Animation, RefusesWhatCannotBeShown) {
  const TemporaryFolder folder;
  const std::string path = folder.file("a.apng");
  expect_error([&] { write_apng(path, {}, 1); }, {"a.apng", "needs a frame"});
  expect_error([&] { write_apng(path, {frame(0, 1)}, 0); }, {"a.apng", "seconds, found 0"});
  expect_error(
      [&] {
        write_apng(path, {frame(0, 1), frame(0, 3)}, 1);
      },
      {"[5, 7, 1]", "[5, 7, 3]"});
  EXPECT_THROW(read_file(path), Error);
}

}  // namespace
}  // namespace limbeck::data
