#include "tensor/protobuf.h"

#include <gtest/gtest.h>

#include "tests/tensor/protobuf_reader.h"

namespace limbeck {
namespace {

// The examples of protobuf's description of its encoding.
TEST(Protobuf, TheBytesOfItsDescription) {
  EXPECT_EQ(ProtobufMessage().integer(1, 150).bytes(), "\x08\x96\x01");
  EXPECT_EQ(ProtobufMessage().text(2, "testing").bytes(), "\x12\x07testing");
  EXPECT_EQ(ProtobufMessage().message(3, ProtobufMessage().integer(1, 150)).bytes(),
            "\x1a\x03\x08\x96\x01");
  EXPECT_EQ(ProtobufMessage().integer(1, -2).bytes(),
            "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  EXPECT_EQ(ProtobufMessage().f32(5, 1.5f).bytes(), std::string("\x2d\0\0\xc0\x3f", 5));
  EXPECT_EQ(ProtobufMessage().f64(20, -2).bytes(), std::string("\xa1\x01\0\0\0\0\0\0\0\xc0", 10));
}

TEST(Protobuf, IsReadBack) {
  ProtobufMessage m;
  m.integers(7, {0, -1, int64_t{1} << 40}).f32(2, -0.25f).f64(3, 1e300).text(4, "").integer(7, 9);
  const auto fields = read_protobuf(m.bytes());
  ASSERT_EQ(fields.size(), 7u);
  EXPECT_EQ(fields[1].integer, -1);
  EXPECT_EQ(fields[2].integer, int64_t{1} << 40);
  EXPECT_EQ(fields[3].real, -0.25);
  EXPECT_EQ(fields[4].real, 1e300);
  EXPECT_EQ(fields[5].bytes, "");
  EXPECT_EQ(fields_of(m.bytes(), 7).size(), 4u);
  EXPECT_THROW(read_protobuf(m.bytes().substr(0, m.bytes().size() - 1)), Error);
}

}  // namespace
}  // namespace limbeck
