#include "tensor/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tensor/checksum.h"

namespace limbeck {
namespace {

class Files : public testing::Test {
 protected:
  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("limbeck_files_" + std::to_string(::getpid()));
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  std::string path(const std::string& name) const { return (folder / name).string(); }

  std::string error_of(const std::string& file) {
    try {
      read_safetensors(file);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
  void write(const std::string& file, const std::string& header, size_t data) {
    const uint64_t n = header.size();
    std::ofstream out(file, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&n), 8);
    out << header << std::string(data, '\0');
  }
};

TEST_F(Files, SafetensorsRoundTrip) {
  TensorFile file;
  file.add("a.weight", Tensor::of<float>({1, 2, 3, 4, 5, 6}, {2, 3}));
  file.add("count", Tensor::full({}, 7, DType::i64));
  file.add("none", Tensor::zeros({0, 3}, DType::f64));
  file.metadata["format"] = "pt";
  write_safetensors(path("x"), file);
  const TensorFile read = read_safetensors(path("x"));
  ASSERT_EQ(read.tensors.size(), 3u);
  EXPECT_EQ(read.tensors[0].first, "a.weight");
  EXPECT_EQ(read.get("a.weight").to_vector<float>(), file.get("a.weight").to_vector<float>());
  EXPECT_EQ(read.get("count").item(), 7);
  EXPECT_EQ(read.get("none").shape(), (Shape{0, 3}));
  EXPECT_EQ(read.metadata.at("format"), "pt");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1)
      << "no temporary file is left";
  EXPECT_THROW(read.get("a.weigth"), Error);
}

TEST_F(Files, UndefinedAndRepeatedTensorsAreNotWritten) {
  TensorFile undefined, twice;
  undefined.add("x", Tensor());
  twice.add("x", Tensor::zeros({1}));
  twice.add("x", Tensor::zeros({1}));
  EXPECT_THROW(write_safetensors(path("x"), undefined), Error);
  EXPECT_THROW(write_safetensors(path("x"), twice), Error);
  EXPECT_FALSE(std::filesystem::exists(path("x")));
}

TEST_F(Files, DamagedSafetensorsAreNamed) {
  TensorFile file;
  file.add("w", Tensor::zeros({100}));
  write_safetensors(path("x"), file);
  std::filesystem::resize_file(path("x"), std::filesystem::file_size(path("x")) - 1);
  EXPECT_NE(error_of(path("x")).find("tensor 'w'"), std::string::npos);
  std::filesystem::resize_file(path("x"), 5);
  EXPECT_NE(error_of(path("x")).find("not a safetensors file"), std::string::npos);
  EXPECT_NE(error_of(path("missing")).find("cannot open"), std::string::npos);
  EXPECT_NE(error_of(folder.string()).find("is a folder"), std::string::npos);
  write(path("y"), R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8);
  EXPECT_NE(error_of(path("y")).find("needs 12 bytes, found 8"), std::string::npos);
  write(path("y"), R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9);
  EXPECT_NE(error_of(path("y")).find("truncated, or bytes behind the last"), std::string::npos);
  write(path("y"),
        R"({"w":{"dtype":"F32","shape":[99999999999,99999999999],"data_offsets":[0,8]}})", 8);
  EXPECT_NE(error_of(path("y")).find("too large"), std::string::npos);
  write(path("y"), R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}})", 8);
  EXPECT_NE(error_of(path("y")).find("not a list of sizes"), std::string::npos);
  write(path("y"), R"({"w":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}})", 8);
  EXPECT_NE(error_of(path("y")).find("C64"), std::string::npos);
}

TEST_F(Files, AChecksumNoticesEveryFlippedBit) {
  TensorFile file;
  file.add("w", Tensor::of<float>({1, 2, 3}));
  file.add("empty", Tensor::empty({0, 3}));
  file.add("also empty", Tensor::empty({0}));
  file.metadata["names"] = "a b";
  write_safetensors(path("x"), with_checksum(with_checksum(file)));
  EXPECT_EQ(read_safetensors(path("x")).metadata, file.metadata);
  const std::string whole = read_file(path("x")), key = "limbeck.checksum";
  const size_t key_at = whole.find(key);
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    if (bit / 8 - key_at < key.size()) continue;  // another key: a file without a checksum
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    std::ofstream(path("y"), std::ios::binary) << damaged;
    EXPECT_NE(error_of(path("y")).find(path("y")), std::string::npos) << "bit " << bit;
  }
  write_safetensors(path("y"), with_checksum(file));
  std::string values = read_file(path("y"));
  values.back() ^= 1;
  std::ofstream(path("y"), std::ios::binary) << values;
  EXPECT_NE(error_of(path("y")).find("damaged: its contents have the checksum"), std::string::npos);
}

TEST_F(Files, NoByteOfASafetensorsFileBelongsToTwoTensorsOrNone) {
  const auto header = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"F32","shape":[2],"data_offsets":)" + a +
           R"(},"b":{"dtype":"F32","shape":[2],"data_offsets":)" + b + "}}";
  };
  write(path("x"), header("[8,16]", "[0,8]"), 16);
  EXPECT_EQ(read_safetensors(path("x")).tensors[0].first, "b") << "in the order of the file";
  write(path("x"), header("[0,8]", "[4,12]"), 16);  // as many bytes as there are, but not these
  EXPECT_NE(error_of(path("x")).find("tensor 'b' begins at byte 4 where 8"), std::string::npos);
  write(path("x"), header("[0,8]", "[12,20]"), 20);
  EXPECT_NE(error_of(path("x")).find("overlap or gap"), std::string::npos);
}

TEST_F(Files, AKeyThatStandsTwiceIsRefused) {
  const std::string w = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  write(path("x"), "{" + w + "," + w + "}", 4);
  EXPECT_NE(error_of(path("x")).find("key 'w' stands twice"), std::string::npos);
  write(path("x"), R"({"__metadata__":{"a":"1","a":"2"},)" + w + "}", 4);
  EXPECT_NE(error_of(path("x")).find("key 'a' stands twice"), std::string::npos);
  write(path("x"), R"({"w":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4);
  EXPECT_NE(error_of(path("x")).find("key 'shape' stands twice"), std::string::npos);
}

TEST_F(Files, FilesOfPyTorchAreNamedAsSuch) {
  for (const std::string& begin :
       {std::string("PK\x03\x04........"), std::string("\x80\x02......")}) {
    std::ofstream(path("x"), std::ios::binary) << begin;
    EXPECT_NE(error_of(path("x")).find("tools/pth.py"), std::string::npos);
  }
}

TEST_F(Files, AHeaderAsLongAsAPickleBeginsIsNoPickle) {
  TensorFile file;
  file.add("w", Tensor::of<float>({1, 2}));
  constexpr uint64_t length = 0x280;  // little endian: the bytes 80 02
  for (size_t blanks = 1; blanks < length; ++blanks) {
    file.metadata["note"] = std::string(blanks, '.');
    write_safetensors(path("x"), file);
    uint64_t found = 0;
    std::ifstream(path("x"), std::ios::binary).read(reinterpret_cast<char*>(&found), 8);
    if (found == length) break;
    ASSERT_LT(found, length);
  }
  EXPECT_EQ(read_safetensors(path("x")).get("w").at(1), 2);
}

TEST_F(Files, AHeaderOfManyTensorsIsReadAndWrittenInTime) {
  TensorFile file;
  for (int i = 0; i < 50000; ++i) file.add("t" + std::to_string(i), Tensor());
  for (auto& [name, tensor] : file.tensors) tensor = Tensor::zeros({0});
  const auto begin = std::chrono::steady_clock::now();
  write_safetensors(path("x"), file);
  EXPECT_EQ(read_safetensors(path("x")).tensors.size(), 50000u);
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(passed.count(), 30) << "half a second; six minutes when quadratic in the header";
}

TEST_F(Files, HalfTypesAreWidened) {
  const std::string header =
      R"({"b":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},"h":{"dtype":"F16","shape":[3],"data_offsets":[2,8]}})";
  write(path("x"), header, 0);
  const uint16_t values[] = {0xC040, 0x3C00, 0x0001, 0xFBFF};
  std::ofstream(path("x"), std::ios::binary | std::ios::app)
      .write(reinterpret_cast<const char*>(values), sizeof values);
  const TensorFile f = read_safetensors(path("x"));
  EXPECT_EQ(f.get("b").at(0), -3);
  EXPECT_EQ(f.get("h").at(0), 1);
  EXPECT_EQ(f.get("h").at(1), 0x1p-24);
  EXPECT_EQ(f.get("h").at(2), -65504);
}

TEST_F(Files, NpyRoundTrip) {
  const Tensor t = Tensor::of<double>({1, 2, 3, 4, 5, 6}, {2, 1, 3});
  write_npy(path("t.npy"), t);
  const Tensor back = read_npy(path("t.npy"));
  EXPECT_EQ(back.shape(), t.shape());
  EXPECT_EQ(back.to_vector<double>(), t.to_vector<double>());
  write_npy(path("s.npy"), Tensor::full({}, 3, DType::u8));
  EXPECT_EQ(read_npy(path("s.npy")).item(), 3);
  std::filesystem::resize_file(path("t.npy"), std::filesystem::file_size(path("t.npy")) - 8);
  EXPECT_THROW(read_npy(path("t.npy")), Error);
}

TEST_F(Files, NpyWithAWrappingSizeIsRefused) {
  const auto error_of_shape = [&](const std::string& shape) {
    std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + shape + "), }";
    header.resize(118, ' ');
    std::ofstream(path("t.npy"), std::ios::binary)
        << std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + std::string(3072, '\x80');
    try {
      read_npy(path("t.npy"));
      return std::string("no error");
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  EXPECT_EQ(error_of_shape("1, 3, 32, 32"), "no error");
  // The product is 3072 modulo 2^64.
  EXPECT_NE(error_of_shape("2305843009213693953, 3, 32, 32")
                .find("t.npy: npy shape [2305843009213693953, 3, 32, 32] is too large"),
            std::string::npos);
  EXPECT_NE(error_of_shape("0, 4611686018427387904, 4611686018427387904").find("is too large"),
            std::string::npos)
      << "beside a zero";
  EXPECT_NE(error_of_shape("99999999999999999999, 3072").find("size that is too large"),
            std::string::npos);
  EXPECT_NE(error_of_shape("-1, 3072").find("t.npy: npy shape with negative size"),
            std::string::npos);
}

TEST_F(Files, AWriteDoesNotFollowALinkInTheTemporaryFilesPlace) {
  write_file_atomically(path("victim"), "keep");
  for (const std::string& name : {cat("x.", getpid(), "-0.tmp"), std::string("x.tmp")})
    std::filesystem::create_symlink(path("victim"), path(name));
  write_file_atomically(path("x"), "text");
  EXPECT_EQ(read_file(path("x")), "text");
  EXPECT_EQ(read_file(path("victim")), "keep");
}

TEST_F(Files, WritersOfOneFileDoNotMeet) {
  std::vector<std::thread> threads;
  std::atomic<int> failed = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) try {
          write_file_atomically(path("x"), std::string(10000, static_cast<char>('a' + i)));
        } catch (const Error&) {
          ++failed;
        }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(failed, 0);
  const std::string text = read_file(path("x"));
  EXPECT_EQ(text, std::string(10000, text[0]));
}

TEST_F(Files, DevicesAndPipesStayWhatTheyAre) {
  write_file_atomically("/dev/null", "text");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  std::string found;
  std::thread reader([&] { found = read_file(path("pipe")); });
  write_file_atomically(path("pipe"), "through the pipe");
  reader.join();
  EXPECT_EQ(found, "through the pipe");
  EXPECT_TRUE(std::filesystem::is_fifo(path("pipe")));
}

TEST_F(Files, FailedWriteLeavesNothing) {
  EXPECT_THROW(write_file_atomically(path("no/such/folder/x"), "text"), Error);
  std::filesystem::create_directory(path("taken"));
  EXPECT_THROW(write_file_atomically(path("taken"), "text"), Error);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1)
      << "only the folder is there";
}

}  // namespace
}  // namespace limbeck
