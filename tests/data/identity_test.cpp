// What data are, whatever their place is called.
#include "data/identity.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tensor/checksum.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

namespace fs = std::filesystem;

Split set_of(const std::vector<uint8_t>& bytes, const std::vector<int64_t>& labels) {
  Split split;
  const auto n = static_cast<int64_t>(labels.size());
  split.train.images = Tensor::of(bytes, {n, 2, 2, 1});
  split.train.labels = Tensor::of(labels);
  split.train.classes = 2;
  return split;
}

TEST(Identity, IsOfBytesLabelsAndScale) {
  const Split d = set_of({1, 2, 3, 4, 5, 6, 7, 8}, {0, 1});
  const std::string identity = identity_of(d);
  EXPECT_EQ(identity.rfind("2 + 0 images, ", 0), 0u) << identity;
  EXPECT_EQ(identity_of(set_of({1, 2, 3, 4, 5, 6, 7, 8}, {0, 1})), identity);
  EXPECT_NE(identity_of(set_of({1, 2, 3, 4, 5, 6, 7, 9}, {0, 1})), identity);
  EXPECT_NE(identity_of(set_of({1, 2, 3, 4, 5, 6, 7, 8}, {1, 0})), identity) << "swapped labels";
  EXPECT_NE(identity_of(set_of({5, 6, 7, 8, 1, 2, 3, 4}, {0, 1})), identity) << "another order";
  Split other = d;
  std::swap(other.train, other.test);
  EXPECT_NE(identity_of(other), identity) << "test images are no training images";
  other = d;
  other.train.class_names = {"cat", "dog"};
  EXPECT_NE(identity_of(other), identity);
  other = d;
  other.train.scale.high = 2;
  EXPECT_NE(identity_of(other), identity);
}

TEST(Identity, OfAFileIsOfItsBytes) {
  const test::TemporaryFolder folder;
  const std::string a = folder.write("a", "same bytes"), b = folder.write("b", "same bytes"),
                    c = folder.write("c", "same bytEs");
  EXPECT_EQ(identity_of_file(a), identity_of_file(b));
  EXPECT_NE(identity_of_file(a), identity_of_file(c));
  EXPECT_EQ(identity_of_file(a).rfind("10 bytes, ", 0), 0u);
  test::expect_error([&] { identity_of_file(folder.file("none")); }, {"none: cannot be read"});
}

TEST(FilesState, StaysWhileNothingIsWritten) {
  const test::TemporaryFolder folder;
  fs::create_directories(folder.file("in"));
  folder.write("in/x", "1");
  folder.write("y", "2");
  const FilesState state = state_of(folder.path());
  EXPECT_TRUE(state.fresh) << "written just now: a later change may bear the same time";
  EXPECT_EQ(state_of(folder.path() + "/").text, state.text);
  EXPECT_EQ(state_of(folder.path() + "/in/..").text, state.text) << "another spelling";
  const std::string link = folder.path() + "-link";
  fs::create_directory_symlink(folder.path(), link);
  EXPECT_EQ(state_of(link).text, state.text) << "a link to it";
  fs::remove(link);
  fs::last_write_time(folder.file("in/x"),
                      fs::last_write_time(folder.file("in/x")) - std::chrono::hours(1));
  EXPECT_NE(state_of(folder.path()).text, state.text);
  const std::string before = state_of(folder.path()).text;
  folder.write("in/x", "123");
  EXPECT_NE(state_of(folder.path()).text, before);
  folder.write("z", "");
  EXPECT_NE(state_of(folder.path()).text.find("/z 0 "), std::string::npos);
}

TEST(Checksum, TellsEveryByteAndLengthApart) {
  const auto sum = [](std::string_view bytes) { return Checksum().add(bytes).text(); };
  const std::string bytes(40, 'a');
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string other = bytes;
    other[i] = 'b';
    EXPECT_NE(sum(other), sum(bytes)) << i;
  }
  EXPECT_NE(sum(std::string(8, '\0')), sum(std::string(9, '\0')));
  EXPECT_NE(sum(""), sum(std::string(1, '\0')));
  EXPECT_NE(Checksum().add(Tensor()).text(), Checksum().add(Tensor::zeros({0})).text());
  EXPECT_NE(Checksum().add(Tensor::zeros({2, 3})).text(),
            Checksum().add(Tensor::zeros({3, 2})).text());
}

}  // namespace
}  // namespace limbeck::data
