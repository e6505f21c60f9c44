// Which images a sheet shows, and where it stays black.
#include "data/sheet.h"

#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

/// One-pixel images; image i has the value i + 1.
Dataset pixels(int64_t n) {
  Dataset d;
  d.images = Tensor::empty({n, 1, 1, 1}, DType::u8);
  for (int64_t i = 0; i < n; ++i) d.images.data<uint8_t>()[i] = static_cast<uint8_t>(i + 1);
  return d;
}

TEST(Sheet, ARowForEachClassBlackWhereImagesAreMissing) {
  Dataset d = pixels(6);
  d.labels = Tensor::of(std::vector<int64_t>{2, 0, 0, 2, 0, 0});
  d.classes = 3;
  EXPECT_EQ(class_sheet(d, 3).to_vector<uint8_t>(),
            (std::vector<uint8_t>{2, 3, 5, 0, 0, 0, 1, 4, 0}));
  EXPECT_EQ(class_sheet(d, 1).to_vector<uint8_t>(), (std::vector<uint8_t>{2, 0, 1}));
  EXPECT_EQ(class_sheet(d, 2, 2).to_vector<uint8_t>(), (std::vector<uint8_t>{2, 3, 0, 0}));
  EXPECT_EQ(class_sheet(d, 1, 20).size(0), 3);
  test::expect_error([&] { class_sheet(pixels(2), 1); }, {"expected classes"});
}

TEST(Sheet, ResponsesRise) {
  Dataset d = pixels(5);
  d.targets = Tensor::of(std::vector<float>{0.5f, -1, 3, 0, 2});
  EXPECT_EQ(response_sheet(d, 2).to_vector<uint8_t>(), (std::vector<uint8_t>{2, 4, 1, 5, 3}));
  EXPECT_EQ(response_sheet(d, 1, 2).to_vector<uint8_t>(), (std::vector<uint8_t>{2, 1}));
  test::expect_error([&] { response_sheet(pixels(2), 1); }, {"expected responses"});
}

}  // namespace
}  // namespace limbeck::data
