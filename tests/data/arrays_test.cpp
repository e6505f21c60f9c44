// Data sets in files of arrays: which arrays are taken, what labels are, round trips through the
// container and HDF5, damage of every kind.
#include "data/arrays.h"

#include <cmath>
#include <limits>

#include "data/hdf5.h"
#include "data/shapes.h"
#include "data/source.h"
#include "tests/data/npz_bytes.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;
using test::npy_bytes;
using test::npz_bytes;
using test::TemporaryFolder;

Tensor counted_images(int64_t n, int64_t channels = 3) {
  const Tensor t = Tensor::empty({n, channels, 4, 5}, DType::u8);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(i * 7);
  return t;
}

/// Arrays in memory.
class MemoryFile : public ArrayFile {
 public:
  explicit MemoryFile(TensorFile file) : file_(std::move(file)) {}
  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& entry : file_.tensors) names.push_back(entry.first);
    return names;
  }
  Tensor read(const std::string& name) const override { return file_.get(name); }
  std::map<std::string, std::string> metadata() const override { return file_.metadata; }

 private:
  std::string path_ = "memory.h5";
  TensorFile file_;
};

TensorFile file_of(std::vector<std::pair<std::string, Tensor>> tensors,
                   std::map<std::string, std::string> metadata = {}) {
  return {std::move(tensors), std::move(metadata)};
}
Split read(const TensorFile& file, const ArraySettings& settings = {}, bool responses = false) {
  return read_arrays(MemoryFile(file), settings, "data.some", responses);
}
Tensor reals(const std::vector<double>& values) { return Tensor::of(values); }
Tensor wholes(const std::vector<int64_t>& values) { return Tensor::of(values); }

TEST(Arrays, LayoutsAreFoundByTheirNames) {
  const Tensor three = counted_images(3), two = counted_images(2);
  const auto sizes = [&](const TensorFile& file, const ArraySettings& s = {}) {
    const Split split = read(file, s);
    return std::vector<int64_t>{split.train.size(), split.test.size()};
  };
  using Sizes = std::vector<int64_t>;
  const Tensor y3 = reals({1, 2, 3}), y2 = reals({1, 9});
  EXPECT_EQ(sizes(file_of({{"images_train", three},
                           {"labels_train", y3},
                           {"images_test", two},
                           {"labels_test", y2}})),
            (Sizes{3, 2}));
  EXPECT_EQ(sizes(file_of({{"images_train", three},
                           {"labels_train", y3},
                           {"images_valid", two},
                           {"labels_valid", y2}})),
            (Sizes{3, 2}));
  EXPECT_EQ(sizes(file_of({{"images_train", three}, {"labels_train", y3}})), (Sizes{3, 0}));
  EXPECT_EQ(sizes(file_of({{"x_train", three}, {"y_train", y3}, {"x_test", two}, {"y_test", y2}})),
            (Sizes{3, 2}));
  EXPECT_EQ(sizes(file_of({{"fake_images", two}, {"fake_labels", y2}})), (Sizes{2, 0}));
  EXPECT_EQ(sizes(file_of({{"a", two}, {"b", y2}, {"images", three}, {"labels", y3}}),
                  {.train_images = "a", .train_labels = "b"}),
            (Sizes{2, 0}));
}

TEST(Arrays, AnIndexSplitsAsThatOfRc49) {
  const TensorFile file = file_of({{"images", counted_images(5)},
                                   {"labels", reals({10, 20, 30, 40, 50})},
                                   {"types", wholes({0, 0, 1, 1, 2})},
                                   {"indx_train", wholes({3, 1})}});
  const Split s = read(file);
  EXPECT_EQ(s.train.targets.to_vector<float>(), (std::vector<float>{40, 20}));
  EXPECT_EQ(s.test.targets.to_vector<float>(), (std::vector<float>{10, 30, 50}));
  EXPECT_EQ(s.train.scale, (ResponseScale{20, 40, ""}));  // of those that train
  EXPECT_EQ(s.train.images.at(0), (3 * 60 * 7) % 256);
  const auto broken = [&](const Tensor& index, std::vector<std::string> parts) {
    TensorFile other = file;
    other.tensors[3].second = index;
    expect_error([&] { read(other); }, parts);
  };
  broken(wholes({1, 5}), {"memory.h5: array indx_train: row 1", "0..4", "found 5"});
  broken(wholes({1, -1}), {"indx_train", "found -1"});
  broken(wholes({2, 2}), {"indx_train: row 1", "a new number", "found 2"});
  broken(reals({1, 2}), {"indx_train", "row numbers", "f64"});
}

TEST(Arrays, ImagesInEitherOrder) {
  const Tensor nchw = counted_images(2);
  const Tensor y = reals({1, 2});
  const auto images = [&](const Tensor& t) {
    return read(file_of({{"images", t}, {"labels", y}})).train.images;
  };
  const auto expected = to_channels_last(nchw).to_vector<uint8_t>();
  EXPECT_EQ(images(nchw).to_vector<uint8_t>(), expected);
  EXPECT_EQ(images(to_channels_last(nchw)).to_vector<uint8_t>(), expected);
  const Tensor grey = counted_images(2, 1);
  EXPECT_EQ(images(grey.reshape({2, 4, 5})).shape(), (Shape{2, 4, 5, 1}));
  EXPECT_EQ(images(grey).shape(), (Shape{2, 4, 5, 1}));
  const auto refused = [&](const Tensor& t, std::vector<std::string> parts) {
    parts.push_back("memory.h5: array images: expected u8 images");
    expect_error([&] { images(t); }, parts);
  };
  refused(nchw.to(DType::f32), {"f32[2, 3, 4, 5]"});
  refused(counted_images(2, 2), {"u8[2, 2, 4, 5]"});
  refused(Tensor::zeros({2, 3, 8, 3}, DType::u8), {"either order"});
  refused(Tensor::zeros({0, 3, 4, 5}, DType::u8), {"[0, 3, 4, 5]"});
}

TEST(Arrays, IntegersAreClassesOrResponses) {
  const TensorFile file = file_of({{"images", counted_images(3)}, {"labels", wholes({0, 2, 1})}});
  const Split classes = read(file);
  EXPECT_EQ(classes.train.classes, 3);
  EXPECT_EQ(classes.train.labels.to_vector<int64_t>(), (std::vector<int64_t>{0, 2, 1}));
  EXPECT_FALSE(classes.train.targets.defined());
  EXPECT_EQ(classes.test.classes, 3);
  const Split ages = read(file, {}, true);
  EXPECT_EQ(ages.train.targets.to_vector<float>(), (std::vector<float>{0, 2, 1}));
  EXPECT_EQ(read(file, {.task = "regression"}).train.classes, 0);
  EXPECT_EQ(read(file, {.task = "classification"}, true).train.classes, 3);
  expect_error([&] { read(file, {.task = "ranking"}); }, {"data.some.task", "'ranking'"});
  // What the file says comes before the type.
  TensorFile described = file;
  described.metadata = {{"classes", "4"}, {"class_names", "a\nb\nc\nd\n"}};
  const Split four = read(described, {}, true);
  EXPECT_EQ(four.train.classes, 4);
  EXPECT_EQ(four.test.class_names, (std::vector<std::string>{"a", "b", "c", "d"}));
  described.metadata["class_names"] = "a\nb\n";
  expect_error([&] { read(described); }, {"memory.h5", "class_names", "expected 4", "found 2"});
}

TEST(Arrays, LabelsThatAreRefused) {
  const Tensor images = counted_images(3);
  const auto refused = [&](const Tensor& labels, std::vector<std::string> parts,
                           const ArraySettings& s = {}) {
    parts.push_back("memory.h5: array labels");
    expect_error([&] { read(file_of({{"images", images}, {"labels", labels}}), s); }, parts);
  };
  refused(reals({1, std::nan(""), 2}), {"row 1", "response nan", "finite"});
  refused(reals({1, 2, std::numeric_limits<double>::infinity()}), {"row 2", "response inf"});
  refused(reals({1, 2, 1e300}), {"row 2", "1e+300"});
  refused(reals({7, 7, 7}),
          {"different training responses", "found only 7", "data.some.response_"});
  refused(reals({1, 2, 90.5}), {"row 2", "response 90.5", "expected 0..90", "data.some.response_"},
          {.response = {.high = 90}});
  refused(reals({1, 2}), {"expected 3 labels", "found 2"});
  refused(Tensor::zeros({3, 2}), {"[N] or [N, 1]", "[3, 2]"});
  refused(wholes({0, -1, 1}), {"row 1", "label -1"});
  refused(wholes({0, 70000, 1}), {"row 1", "label 70000", "0..65535"});
  refused(reals({0, 0.5, 1}), {"row 1", "label 0.5"}, {.task = "classification"});
  const TensorFile beyond = file_of({{"images_train", images},
                                     {"labels_train", wholes({0, 1, 1})},
                                     {"images_test", images},
                                     {"labels_test", wholes({0, 1, 2})}});
  expect_error([&] { read(beyond); }, {"array labels_test: row 2", "label 2", "0..1"});
  // All the same is no harm where the scale is given.
  EXPECT_EQ(
      read(file_of({{"images", images}, {"labels", reals({7, 7, 7})}}), {.response = {.high = 90}})
          .train.scale.high,
      90);
}

TEST(Arrays, ResponsesOutsideOfACutAreLeftOut) {
  const TensorFile file = file_of({{"images", counted_images(5)},
                                   {"labels", reals({0, 61, 30, 60, 1})},
                                   {"indx_train", wholes({4, 1, 3})}});
  const Split s = read(file, {.response = {.truncate = true, .from = 1, .to = 60}});
  EXPECT_EQ(s.train.targets.to_vector<float>(), (std::vector<float>{1, 60}));
  EXPECT_EQ(s.test.targets.to_vector<float>(), std::vector<float>{30});
  EXPECT_EQ(s.train.images.to_vector<uint8_t>(),
            read(file).train.select({0, 2}).images.to_vector<uint8_t>());
  EXPECT_TRUE(s.train.scale.truncates);
  // Rows are named as the file has them, and what is left out is looked at too.
  expect_error(
      [&] {
        read(file_of({{"images", counted_images(3)}, {"labels", reals({1, 2, std::nan("")})}}),
             {.response = {.from = 1, .to = 60}});
      },
      {"array labels: row 2", "nan"});
  expect_error(
      [&] {
        read(file_of({{"images", counted_images(3)}, {"labels", wholes({0, 1, 1})}}),
             {.task = "classification", .response = {.from = 1, .to = 60}});
      },
      {"labels are classes", "data.some.response_from"});
}

TEST(Arrays, MissingArraysAreNamed) {
  const Tensor images = counted_images(2), y = reals({1, 2});
  const auto refused = [&](const TensorFile& file, std::vector<std::string> parts,
                           const ArraySettings& s = {}) {
    parts.push_back("memory.h5");
    expect_error([&] { read(file, s); }, parts);
  };
  refused(file_of({}), {"expected an array images_train", "found none"});
  refused(file_of({{"pictures", images}, {"labels", y}}), {"found pictures, labels"});
  refused(file_of({{"images_train", images}}), {"array labels_train is missing"});
  refused(file_of({{"images_train", images}, {"labels_train", y}, {"images_test", images}}),
          {"array labels_test is missing"});
  refused(file_of({{"images_train", images}, {"labels_train", y}, {"labels_test", y}}),
          {"array images_test is missing"});
  refused(file_of({{"images", images}, {"labels", y}}), {"array angles is missing"},
          {.train_images = "images", .train_labels = "angles"});
  const auto contradict = [&](const ArraySettings& s, const std::string& part) {
    expect_error([&] { check_array_settings(s, "data.npz"); }, {part});
  };
  contradict({.train_images = "a"}, "data.npz.train_images and train_labels");
  contradict({.test_images = "a"}, "data.npz.test_images and test_labels");
  contradict({.train_index = "a"}, "data.npz.train_images");
  contradict({.train_images = "a",
              .train_labels = "b",
              .test_images = "c",
              .test_labels = "d",
              .train_index = "e"},
             "data.npz.train_index");
  contradict({.response = {.wraps = true}}, "data.npz.response_wraps");
  const Tensor other = Tensor::zeros({2, 3, 5, 4}, DType::u8);
  refused(file_of({{"images_train", images},
                   {"labels_train", y},
                   {"images_test", other},
                   {"labels_test", y}}),
          {"array images_test", "[4, 5, 3]", "[5, 4, 3]"});
}

/// The same set, in every part.
void expect_same(const Split& a, const Split& b) {
  const auto same = [](const Dataset& x, const Dataset& y) {
    EXPECT_EQ(x.images.shape(), y.images.shape());
    EXPECT_EQ(x.images.to_vector<uint8_t>(), y.images.to_vector<uint8_t>());
    EXPECT_EQ(x.classes, y.classes);
    EXPECT_EQ(x.class_names, y.class_names);
    EXPECT_EQ(x.scale, y.scale);
    ASSERT_EQ(x.labels.defined(), y.labels.defined());
    if (x.labels.defined()) {
      EXPECT_EQ(x.labels.to_vector<int64_t>(), y.labels.to_vector<int64_t>());
    } else {
      EXPECT_EQ(x.targets.to_vector<float>(), y.targets.to_vector<float>());
    }
  };
  same(a.train, b.train);
  same(a.test, b.test);
}

Split regression_set(bool tested) {
  // A test response outside of the scale, as a scale of the training responses allows.
  Split s = read(file_of({{"images_train", counted_images(4)},
                          {"labels_train", reals({0.1, 33.3, -5.25, 89.9})},
                          {"images_test", counted_images(2)},
                          {"labels_test", reals({12, 95})}}));
  s.train.scale = s.test.scale = {-5.25, 89.9, "degrees", true, true};
  if (!tested) s.test = s.test.select({});
  return s;
}

/// Through the file of a source.
Split load_file(const std::string& kind, const std::string& path) {
  DataSettings s;
  s.kind = kind;
  s.path = path;
  return load_whole(s);
}

TEST(Container, RoundTrips) {
  const TemporaryFolder folder;
  const std::string path = folder.file("set.safetensors");
  const Split classes = load_shapes({.train = 23, .test = 11}, 8, 1);
  write_safetensors(path, tensors_of(classes));
  expect_same(load_file("container", path), classes);
  for (const bool tested : {true, false}) {
    write_safetensors(path, tensors_of(regression_set(tested)));
    expect_same(load_file("container", path), regression_set(tested));
  }
  write_safetensors(path, tensors_of(regression_set(false), true));
  EXPECT_EQ(read_safetensors(path).tensors[1].first, "fake_labels");
  expect_same(load_file("container", path), regression_set(false));
  expect_error([&] { tensors_of(regression_set(true), true); }, {"fake set", "2 images"});
  Split names = classes;
  names.train.class_names[0] = "two\nlines";
  expect_error([&] { tensors_of(names); }, {"line break"});
}

TEST(Container, Damage) {
  const TemporaryFolder folder;
  const std::string path = folder.file("set.safetensors");
  write_safetensors(path, tensors_of(regression_set(true)));
  const std::string bytes = read_file(path);
  folder.write("set.safetensors", bytes.substr(0, bytes.size() - 9));
  expect_error([&] { load_file("container", path); }, {path, "outside the file's"});
  folder.write("set.safetensors", "");
  expect_error([&] { load_file("container", path); }, {path, "not a safetensors file"});
  TensorFile file = tensors_of(regression_set(true));
  file.tensors.erase(file.tensors.begin() + 1);
  write_safetensors(path, file);
  DataSettings settings;
  settings.kind = "container";
  settings.path = path;
  expect_error([&] { check(settings); }, {path, "array labels_train is missing"});
  file = tensors_of(regression_set(true));
  file.metadata["response_high"] = "-6";
  write_safetensors(path, file);
  expect_error([&] { load_file("container", path); }, {path, "response_high", "-5.25"});
  file.metadata["response_high"] = "nan";
  write_safetensors(path, file);
  expect_error([&] { load_file("container", path); }, {path, "response_high"});
  file.metadata["response_high"] = "90";
  file.metadata["response_wraps"] = "perhaps";
  write_safetensors(path, file);
  expect_error([&] { load_file("container", path); }, {path, "response_wraps", "perhaps"});
  expect_error([&] { load_file("container", folder.path()); },
               {"data.path", "expected a file", "found a folder"});
  expect_error([&] { load_file("container", folder.file("none")); },
               {"data.path", "expected a file", "found none"});
}

std::vector<test::NpzArray> small_npz() {
  const auto images = counted_images(2).to_vector<uint8_t>();
  return {{"images", npy_bytes("|u1", "2, 3, 4, 5", images)},
          {"labels", npy_bytes<double>("<f8", "2,", {0.5, -1})}};
}

TEST(Npz, StoredAndDeflated) {
  const TemporaryFolder folder;
  for (const bool packed : {false, true}) {
    const Split s = load_file("npz", folder.write("set.npz", npz_bytes(small_npz(), packed)));
    EXPECT_EQ(s.train.targets.to_vector<float>(), (std::vector<float>{0.5f, -1}));
    EXPECT_EQ(s.train.images.to_vector<uint8_t>(),
              to_channels_last(counted_images(2)).to_vector<uint8_t>());
    EXPECT_EQ(s.test.size(), 0);
  }
  auto arrays = small_npz();
  arrays[1].npy = npy_bytes<int16_t>("<i2", "2,", {1, 0});
  EXPECT_EQ(load_file("npz", folder.write("set.npz", npz_bytes(arrays, true))).train.classes, 2);
}

TEST(Npz, IntegerTypesAreWidened) {
  const auto values = [](const std::string& npy) {
    return parse_npy(npy, "x").to_vector<int64_t>();
  };
  using Wide = std::vector<int64_t>;
  EXPECT_EQ(values(npy_bytes<int8_t>("|i1", "2,", {-128, 127})), (Wide{-128, 127}));
  EXPECT_EQ(values(npy_bytes<int16_t>("<i2", "2,", {-32768, 5})), (Wide{-32768, 5}));
  EXPECT_EQ(values(npy_bytes<uint16_t>("<u2", "1,", {65535})), (Wide{65535}));
  EXPECT_EQ(values(npy_bytes<uint32_t>("<u4", "1,", {4294967295U})), (Wide{4294967295}));
  expect_error([&] { values(npy_bytes<uint16_t>("<u2", "2,", {1})); },
               {"x: shape [2] of <u2 needs 4 bytes, found 2"});
  expect_error([&] { values(npy_bytes<uint64_t>("<u8", "1,", {1})); }, {"npy type '<u8'"});
}

TEST(Npz, Damage) {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& bytes, std::vector<std::string> parts) {
    parts.push_back(folder.write("set.npz", bytes));
    expect_error([&] { load_file("npz", folder.file("set.npz")); }, parts);
  };
  const std::string stored = npz_bytes(small_npz(), false), packed = npz_bytes(small_npz(), true);
  refused("", {"zip archive"});
  refused("PK, but not more", {"zip archive"});
  refused(stored.substr(0, stored.size() - 30), {"no directory at its end"});
  refused(stored.substr(100), {"zip archive damaged"});
  std::string flipped = stored;
  flipped[stored.find("NUMPY") + 130] ^= 1;  // a pixel of the first array
  refused(flipped, {"entry images.npy", "expected the checksum"});
  flipped = packed;
  flipped[packed.find("images.npy") + 40] ^= 0x55;
  refused(flipped, {"entry images.npy", "damaged"});
  // A size in the directory that no such entry can have: refused before the memory is asked for.
  const size_t entry = packed.find(std::string("PK\x01\x02", 4));
  flipped = packed;
  flipped[entry + 27] = 0x70;  // 1.9 GB
  refused(flipped, {"entry images.npy", "packed bytes cannot hold"});
  flipped = stored;
  flipped[stored.find(std::string("PK\x01\x02", 4)) + 23] = 0x70;
  refused(flipped, {"entry images.npy", "found a file of"});
  flipped = stored;
  flipped[stored.find(std::string("PK\x01\x02", 4)) + 10] = 12;
  refused(flipped, {"entry images.npy", "method 12"});
  auto arrays = small_npz();
  arrays[0].npy = npy_bytes<uint8_t>("|u1", "900000000, 3, 64, 64", {1});
  refused(npz_bytes(arrays, false), {"array images", "bytes, found 1"});
  arrays[0] = {"images", "text"};
  refused(npz_bytes(arrays, false), {"array images: not an npy file"});
  arrays = small_npz();
  arrays[1].name = "angles";
  refused(npz_bytes(arrays, false), {"array labels is missing", "images, angles"});
}

#define NEEDS_HDF5() \
  if (!hdf5_available()) GTEST_SKIP() << "this build has no HDF5"

TEST(Hdf5, RoundTrips) {
  NEEDS_HDF5();
  const TemporaryFolder folder;
  const std::string path = folder.file("set.h5");
  const Split classes = load_shapes({.train = 23, .test = 11}, 8, 1);
  write_hdf5(path, tensors_of(classes));
  expect_same(load_file("hdf5", path), classes);
  for (const bool tested : {true, false}) {
    write_hdf5(path, tensors_of(regression_set(tested)));
    expect_same(load_file("hdf5", path), regression_set(tested));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Hdf5, IntegersOfAPlainFileAreResponses) {
  NEEDS_HDF5();
  const TemporaryFolder folder;
  const std::string path = folder.file("ages.h5");
  write_hdf5(path,
             file_of({{"images_train", counted_images(3)}, {"labels_train", wholes({60, 1, 25})}}));
  const Split s = load_file("hdf5", path);
  EXPECT_EQ(s.train.targets.to_vector<float>(), (std::vector<float>{60, 1, 25}));
  EXPECT_EQ(open_hdf5(path)->read("labels_train").dtype(), DType::i64);
}

TEST(Hdf5, Damage) {
  NEEDS_HDF5();
  const TemporaryFolder folder;
  const std::string path = folder.file("set.h5");
  const auto refused = [&](std::vector<std::string> parts) {
    parts.push_back(path);
    expect_error([&] { load_file("hdf5", path); }, parts);
  };
  const auto write = [&](const TensorFile& file) { write_hdf5(path, file); };
  const Tensor images = counted_images(2), y = reals({1, 2}).to(DType::f32);
  write(file_of({{"images_train", images}, {"labels", y}}));
  refused({"array labels_train is missing", "images_train, labels"});
  write(file_of({{"pictures", images}}));
  refused({"expected an array images_train", "found pictures"});
  write(file_of({{"images_train", images.to(DType::f32)}, {"labels_train", y}}));
  refused({"array images_train", "u8 images", "f64"});
  write(file_of({{"images_train", images}, {"labels_train", Tensor::of<float>({1, NAN})}}));
  refused({"array labels_train: row 1", "nan"});
  write(file_of({{"images_train", images}, {"labels_train", y}}, {{"classes", "many"}}));
  refused({"'classes'", "many"});
  write(file_of({{"images_train", images}, {"labels_train", y}}));
  const std::string bytes = read_file(path);
  folder.write("set.h5", bytes.substr(0, bytes.size() - 7));
  refused({"expected an HDF5 file", "truncated"});
  folder.write("set.h5", bytes.substr(0, 300));
  refused({"expected an HDF5 file"});
  folder.write("set.h5", "no such thing");
  refused({"expected an HDF5 file", "signature"});
  folder.write("set.h5", "");
  refused({"expected an HDF5 file"});
  // A number of 183 bytes: type message of version 1, an integer without sign, size 1, 8 bits.
  std::string wide = bytes;
  const std::string byte_type("\x10\0\0\0\1\0\0\0\0\0\x08\0", 12);
  ASSERT_NE(wide.find(byte_type), std::string::npos);
  wide[wide.find(byte_type) + 4] = static_cast<char>(183);
  folder.write("set.h5", wide);
  refused({"array images_train", "1, 2, 4 or 8 bytes, found 183"});
  // More rows in the header than bytes in the file: refused before the memory is asked for.
  std::string huge = bytes;
  const std::string sizes("\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0", 24);
  int found = 0;
  for (size_t at = huge.find(sizes); at != std::string::npos; at = huge.find(sizes, at + 1))
    huge[at + 4] = 1, ++found;
  ASSERT_GT(found, 0);
  folder.write("set.h5", huge);
  refused({"array images_train", "stored"});
}

TEST(Hdf5, WithoutTheLibraryItIsRefusedByName) {
  if (hdf5_available()) GTEST_SKIP() << "this build has HDF5";
  const TemporaryFolder folder;
  DataSettings s;
  s.kind = "hdf5";
  s.path = folder.write("set.h5", "x");
  expect_error([&] { check(s); }, {"set.h5", "no HDF5 library", "libhdf5-dev", "data convert"});
}

}  // namespace
}  // namespace limbeck::data
