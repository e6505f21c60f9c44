// Metadata of tensor files, read with types.
#include "tensor/metadata.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace limbeck {
namespace {

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TensorFile file_with(const std::string& value) {
  TensorFile file;
  file.metadata["key"] = value;
  return file;
}

TEST(Metadata, NumbersComeBackAsTheyWere) {
  const std::vector<double> values{1.0 / 3, -2.5e-300, 0, 1e17 + 2, std::nextafter(1.0, 2.0)};
  const TensorFile many = file_with(metadata_text(values)),
                   one = file_with(metadata_text(values[0]));
  EXPECT_EQ(MetadataReader(many, "f", "x").numbers("key", values.size()), values);
  EXPECT_EQ(MetadataReader(one, "f", "x").number("key"), values[0]);
}

TEST(Metadata, WordsAndIntegers) {
  const TensorFile file = file_with("12"), yes = file_with("true"), no = file_with("false");
  const MetadataReader reader(file, "f", "x");
  EXPECT_EQ(reader.text("key"), "12");
  EXPECT_EQ(reader.integer("key"), 12);
  EXPECT_TRUE(reader.has("key"));
  EXPECT_FALSE(reader.has("other"));
  EXPECT_TRUE(MetadataReader(yes, "f", "x").flag("key"));
  EXPECT_FALSE(MetadataReader(no, "f", "x").flag("key"));
}

TEST(Metadata, ErrorsNameFileKeyAndBothSides) {
  const TensorFile file = file_with("12");
  const MetadataReader reader(file, "net.safetensors", "a generator checkpoint");
  EXPECT_EQ(error_of([&] { reader.text("width"); }),
            "net.safetensors: no 'width' in the metadata; expected a generator checkpoint");
  EXPECT_EQ(error_of([&] { reader.flag("key"); }),
            "net.safetensors: metadata 'key': expected true or false, found '12'");
  EXPECT_EQ(error_of([&] { reader.integer("key", 13, 20); }),
            "net.safetensors: metadata 'key': expected an integer from 13 to 20, found '12'");
  EXPECT_EQ(error_of([&] { reader.numbers("key", 2); }),
            "net.safetensors: metadata 'key': expected 2 numbers, found '12'");
  for (const char* wrong : {"", " ", "twelve", "12x", "1 2", "nan", "inf", "0x", "1,2"}) {
    const TensorFile bad = file_with(wrong);
    EXPECT_EQ(error_of([&] { MetadataReader(bad, "f", "x").number("key"); }),
              cat("f: metadata 'key': expected 1 number, found '", wrong, "'"));
  }
  for (const char* wrong : {"0", "-1", "1.5", "1e30"}) {
    const TensorFile bad = file_with(wrong);
    EXPECT_NE(error_of([&] {
                MetadataReader(bad, "f", "x").integer("key");
              }).find("expected an integer from 1 to 1048576"),
              std::string::npos)
        << wrong;
  }
}

}  // namespace
}  // namespace limbeck
