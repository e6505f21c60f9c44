// CIFAR and IDX files: values, counts from the files, and every kind of damage.
#include "data/readers.h"
#include "data/source.h"
#include "tests/data/bytes.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::big_endian;
using test::deflated;
using test::expect_error;
using test::TemporaryFolder;

uint8_t pixel(int64_t record, int64_t i) {
  return static_cast<uint8_t>(record * 31 + i * 7 + i / 256);
}

/// Records with the given labels; label_bytes 2 puts label % 20 before it.
std::string cifar(const std::vector<int>& labels, int label_bytes) {
  std::string out;
  for (size_t r = 0; r < labels.size(); ++r) {
    if (label_bytes == 2) out += static_cast<char>(labels[r] % 20);
    out += static_cast<char>(labels[r]);
    for (int64_t i = 0; i < 3072; ++i) out += static_cast<char>(pixel(static_cast<int64_t>(r), i));
  }
  return out;
}

std::string idx_images(uint32_t n, uint32_t h, uint32_t w) {
  std::string out = big_endian(2051) + big_endian(n) + big_endian(h) + big_endian(w);
  for (uint32_t i = 0; i < n * h * w; ++i) out += static_cast<char>(pixel(1, i));
  return out;
}
std::string idx_labels(const std::vector<int>& labels) {
  std::string out = big_endian(2049) + big_endian(static_cast<uint32_t>(labels.size()));
  for (const int l : labels) out += static_cast<char>(l);
  return out;
}
std::string gzip(const std::string& text) { return deflated(text, test::Packing::gzip); }

/// A correct IDX folder of 4 training and 2 test images of 5 x 6.
void write_idx(const TemporaryFolder& folder) {
  folder.write("train-images-idx3-ubyte.gz", gzip(idx_images(4, 5, 6)));
  folder.write("train-labels-idx1-ubyte", idx_labels({0, 2, 1, 2}));
  folder.write("t10k-images-idx3-ubyte", idx_images(2, 5, 6));
  folder.write("t10k-labels-idx1-ubyte.gz", gzip(idx_labels({1, 0})));
}

TEST(Cifar, TenClassesFromSeveralBatches) {
  const TemporaryFolder folder;
  folder.write("data_batch_1.bin", cifar({3, 9}, 1));
  folder.write("data_batch_10.bin", cifar({5}, 1));
  folder.write("data_batch_2.bin", cifar({0, 1, 2}, 1));
  folder.write("test_batch.bin", cifar({7}, 1));
  const Split s = read_cifar10(folder.path());
  EXPECT_EQ(s.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{3, 9, 0, 1, 2, 5}));
  EXPECT_EQ(s.test.labels.to_vector<int64_t>(), std::vector<int64_t>{7});
  EXPECT_EQ(s.train.classes, 10);
  EXPECT_EQ(s.train.images.shape(), (Shape{6, 32, 32, 3}));
  // Record 1 of the first batch, pixel (row 2, column 3): planes in the file, channels last in
  // memory.
  const uint8_t* p = s.train.images.data<uint8_t>() + ((1 * 32 + 2) * 32 + 3) * 3;
  for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(p[c], pixel(1, c * 1024 + 2 * 32 + 3));
}

TEST(Cifar, HundredClassesUseTheFineLabel) {
  const TemporaryFolder folder;
  folder.write("train.bin", cifar({99, 41}, 2));
  folder.write("test.bin", cifar({20}, 2));
  const Split s = read_cifar100(folder.path());
  EXPECT_EQ(s.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{99, 41}));
  EXPECT_EQ(s.train.classes, 100);
  EXPECT_EQ(s.train.images.data<uint8_t>()[0], pixel(0, 0));
}

TEST(Cifar, Damage) {
  const TemporaryFolder folder;
  const std::string good = cifar({1, 2}, 1);
  expect_error(
      [&] { read_cifar_file(folder.write("a.bin", good.substr(0, good.size() - 1)), 10, 1); },
      {"a.bin", "record 1", "expected 3073 bytes", "found 3072"});
  expect_error([&] { read_cifar_file(folder.write("b.bin", good + "xyz"), 10, 1); },
               {"b.bin", "record 2", "found 3", "trailing"});
  expect_error(
      [&] {
        read_cifar_file(folder.write("c.bin", cifar({1, 10}, 1)), 10, 1);
      },
      {"c.bin", "record 1", "label 10", "expected 0..9"});
  expect_error([&] { read_cifar_file(folder.write("d.bin", ""), 10, 1); }, {"d.bin", "empty"});
  expect_error([&] { read_cifar_file(folder.file("none.bin"), 10, 1); }, {"none.bin"});
  std::string coarse = cifar({5}, 2);
  coarse[0] = 20;
  expect_error([&] { read_cifar_file(folder.write("e.bin", coarse), 100, 2); },
               {"e.bin", "record 0", "coarse label 20", "0..19"});
  expect_error([&] { read_cifar_file(folder.write("f.bin", cifar({100}, 2)), 100, 2); },
               {"f.bin", "label 100", "0..99"});
  expect_error([&] { read_cifar10(folder.path()); }, {folder.path(), "data_batch_1.bin"});
  folder.write("data_batch_1.bin", good);
  expect_error([&] { read_cifar10(folder.path()); }, {"test_batch.bin"});
  expect_error([&] { read_cifar10(folder.file("nowhere")); }, {"nowhere"});
}

TEST(Idx, PlainAndGzip) {
  const TemporaryFolder folder;
  write_idx(folder);
  folder.write("class_names.txt", "a\nb\r\nc\n\n");
  const Split s = read_idx(folder.path());
  EXPECT_EQ(s.train.images.shape(), (Shape{4, 5, 6, 1}));
  EXPECT_EQ(s.test.size(), 2);
  EXPECT_EQ(s.train.classes, 3);
  EXPECT_EQ(s.train.class_names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(s.test.labels.to_vector<int64_t>(), (std::vector<int64_t>{1, 0}));
  for (int64_t i = 0; i < 120; ++i) ASSERT_EQ(s.train.images.data<uint8_t>()[i], pixel(1, i));
}

TEST(Idx, NamesWithDotsAndOfEmnist) {
  const TemporaryFolder folder;
  folder.write("train-images.idx3-ubyte", idx_images(4, 5, 6));
  folder.write("train-labels.idx1-ubyte", idx_labels({0, 2, 1, 2}));
  folder.write("t10k-images.idx3-ubyte.gz", gzip(idx_images(2, 5, 6)));
  folder.write("t10k-labels.idx1-ubyte", idx_labels({1, 0}));
  EXPECT_EQ(read_idx(folder.path()).test.labels.to_vector<int64_t>(), (std::vector<int64_t>{1, 0}));

  const TemporaryFolder emnist;
  const auto add = [&](const std::string& set, const std::vector<int>& labels) {
    const auto n = static_cast<uint32_t>(labels.size());
    for (const char* part : {"-train", "-test"}) {
      emnist.write(cat(set, part, "-images-idx3-ubyte.gz"), gzip(idx_images(n, 5, 6)));
      emnist.write(cat(set, part, "-labels-idx1-ubyte.gz"), gzip(idx_labels(labels)));
    }
  };
  add("emnist-letters", {1, 2, 3});
  EXPECT_EQ(read_idx(emnist.path()).train.size(), 3);
  DataSettings s;
  s.kind = "idx", s.path = emnist.path();
  expect_error([&] { load(s); }, {"class 0 of 0..3", "begin with 1", "compact_labels"});
  s.compact_labels = true;
  EXPECT_EQ(load(s).test.labels.to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2}));
  add("emnist-digits", {0, 1});
  expect_error([&] { check(s); }, {"emnist-digits, emnist-letters", "data.idx.set"});
  EXPECT_EQ(read_idx(emnist.path(), {.set = "emnist-digits"}).train.size(), 2);
  expect_error([&] { read_idx(emnist.path(), {.set = "letters"}); },
               {"expected one of emnist-digits, emnist-letters", "'letters'"});
}

TEST(Idx, Damage) {
  const TemporaryFolder folder;
  const auto broken = [&](const char* name, const std::string& bytes,
                          const std::vector<std::string>& parts) {
    write_idx(folder);
    folder.write(name, bytes);
    expect_error([&] { read_idx(folder.path()); }, parts);
  };
  const char *images = "t10k-images-idx3-ubyte", *labels = "train-labels-idx1-ubyte",
             *packed = "train-images-idx3-ubyte.gz";
  const std::string good = idx_images(2, 5, 6), gz = gzip(idx_images(4, 5, 6));
  broken(images, idx_labels({1, 2}), {images, "magic 2051", "found 2049"});
  broken(images, good.substr(0, 70), {images, "record 1", "2 x 5 x 6", "found 54", "truncated"});
  broken(images, good + "x", {images, "found at least 61", "trailing"});
  broken(images, good.substr(0, 9), {images, "header of 16 bytes", "found 9"});
  broken(images,
         big_endian(2051) + big_endian(0xffffffffU) + big_endian(0xffffffffU) +
             big_endian(0xffffffffU),
         {images, "4294967295 x", "truncated"});
  broken(images, idx_images(2, 6, 5), {"unequal size"});
  broken(labels, idx_labels({0, 1, 2}), {labels, "expected 4 labels", "found 3"});
  broken(labels, idx_labels({0, 0, 0, 0}), {"t10k-labels", "record 0", "label 1", "expected 0..0"});
  broken(labels, "", {labels, "found 0 bytes"});
  broken(packed, gz.substr(0, gz.size() / 2), {packed, "truncated"});
  broken(packed, gz.substr(0, gz.size() - 20) + std::string(20, 'x'), {packed, "damaged"});
  std::filesystem::remove(folder.file(labels));
  expect_error([&] { read_idx(folder.path()); }, {labels, "found neither"});
  write_idx(folder);
  folder.write("class_names.txt", "a\nb\n");
  expect_error([&] { read_idx(folder.path()); }, {"class_names.txt", "expected 3", "found 2"});
}

}  // namespace
}  // namespace limbeck::data
