// The data path to the device cuda: bytes and draws travel, the operator crop_flip_normalize makes
// the images that a loader of the CPU hands out.
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "nn/images.h"

namespace limbeck {
namespace {

const Device cuda{DeviceKind::cuda, 0};

data::Dataset random_set(int64_t n) {
  data::Dataset d;
  d.images = Tensor::empty({n, 8, 6, 3}, DType::u8);
  Stream draw(4);
  for (uint8_t& v : d.images.span<uint8_t>()) v = static_cast<uint8_t>(draw.below(256));
  d.labels = Tensor::empty({n}, DType::i64);
  draw.fill_integers(d.labels, 0, 10);
  d.classes = 10;
  return d;
}

TEST(CudaLoader, HandsOutTheBatchesOfTheCpu) {
  const data::Dataset set = random_set(21);
  data::Loader::Config config{.batch = 4,
                              .augmentation = {2, true},
                              .standardisation = {{0.4, 0.5, 0.6}, {0.2, 0.25, 0.3}}};
  data::Loader here(set, config, Stream(3));
  const nn::ImageStandardiser standardise(config.standardisation.mean,
                                          config.standardisation.deviation, cuda);
  config.device = cuda;
  for (const int64_t threads : {0, 2}) {
    config.threads = threads;
    data::Loader loader(set, config, Stream(3), threads ? 6 : 0);
    // over the end of an epoch, whose last batch has one more
    for (int step = 0; step < 6; ++step) {
      const data::Batch expected = here.next(), found = loader.next();
      EXPECT_EQ(found.index, expected.index);
      EXPECT_EQ(found.images.dtype(), DType::u8);
      EXPECT_EQ(found.images.device(), cuda);
      EXPECT_EQ(found.labels.to_vector<int64_t>(), expected.labels.to_vector<int64_t>());
      EXPECT_FALSE(found.targets.defined());
      EXPECT_EQ(standardise(found.images, found.draws).to_vector<float>(),
                expected.images.to_vector<float>());  // bit for bit
    }
  }
}

}  // namespace
}  // namespace limbeck
