// ImageStandardiser: bytes and draws become the same bits as the host's conversion
// (data::make_batch).
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "nn/images.h"

namespace limbeck::nn {
namespace {

TEST(ImageStandardiser, GivesTheBitsOfTheHostsConversion) {
  for (const int64_t channels : {1, 3, 5}) {
    const Tensor images = Tensor::empty({6, 7, 9, channels}, DType::u8);
    Stream draw(2);
    for (uint8_t& v : images.span<uint8_t>()) v = static_cast<uint8_t>(draw.below(256));
    data::Standardisation s;
    for (int64_t c = 0; c < channels; ++c)
      s.mean.push_back(0.4 + 0.01 * static_cast<double>(c)), s.deviation.push_back(0.27);
    const std::vector<int64_t> index = {5, 0, 3, 3, 1, 2, 4, 0};
    const data::Augmentation augmentation{2, true};
    const data::ByteBatch bytes = data::make_byte_batch(images, index, augmentation, Stream(8));
    const ImageStandardiser standardise(s.mean, s.deviation, cpu);
    const Tensor expected = data::make_batch(images, index, augmentation, s, Stream(8));
    EXPECT_EQ(standardise(bytes.images, bytes.draws).to_vector<float>(),
              expected.to_vector<float>());
    EXPECT_EQ(standardise(images).to_vector<float>(),
              data::make_batch(images, {0, 1, 2, 3, 4, 5}, {}, s, Stream(0)).to_vector<float>());
    EXPECT_TRUE(standardise(expected).shares_storage_with(expected));
  }
  EXPECT_THROW(ImageStandardiser({0.5}, {0.0}, cpu), Error);
  EXPECT_THROW(ImageStandardiser({0.5, 0.5}, {0.5}, cpu), Error);
}

}  // namespace
}  // namespace limbeck::nn
