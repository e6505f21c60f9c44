// Standardisation, make_batch against a plain definition, and the loader's order.
#include <algorithm>
#include <cmath>
#include <set>

#include "data/dataset.h"
#include "tensor/rows.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

using test::expect_error;

Dataset random_set(int64_t n, int64_t h, int64_t w, int64_t c, uint64_t seed = 1) {
  Stream stream(seed);
  Dataset d;
  d.images = Tensor::empty({n, h, w, c}, DType::u8);
  for (uint8_t& v : d.images.span<uint8_t>())
    v = static_cast<uint8_t>(stream.below(255) + 1);  // never black
  d.labels = Tensor::empty({n}, DType::i64);
  for (int64_t i = 0; i < n; ++i) d.labels.data<int64_t>()[i] = i % 3;
  d.classes = 3;
  return d;
}

TEST(Standardisation, PopulationStatisticsPerChannel) {
  Dataset d;
  d.images = Tensor::of(std::vector<uint8_t>{0, 10, 255, 10, 51, 20, 102, 40}, {2, 1, 2, 2});
  const Standardisation s = standardisation_of(d);
  ASSERT_EQ(s.mean.size(), 2u);
  EXPECT_NEAR(s.mean[0], (0 + 1 + 0.2 + 0.4) / 4, 1e-12);
  EXPECT_NEAR(s.mean[1], 20.0 / 255, 1e-12);
  EXPECT_NEAR(s.deviation[0], std::sqrt((0.16 + 0.36 + 0.04 + 0.0) / 4), 1e-12);
  EXPECT_NEAR(s.deviation[1], std::sqrt((100 + 100 + 0 + 400) / 4.0) / 255, 1e-12);
  d.images = Tensor::zeros({0, 2, 2, 3}, DType::u8);
  expect_error([&] { standardisation_of(d); }, {"empty"});
}

TEST(MakeBatch, PlainIsScaledAndStandardised) {
  for (const int64_t channels : {1, 3, 4}) {
    const Dataset d = random_set(5, 3, 4, channels);
    const Standardisation s = standardisation_of(d);
    const Tensor b = make_batch(d.images, {4, 0, 4}, {}, s, Stream(3));
    ASSERT_EQ(b.shape(), (Shape{3, 3, 4, channels}));
    const std::vector<int64_t> rows = {4, 0, 4};
    for (int64_t i = 0; i < b.numel(); ++i) {
      const int64_t per = 12 * channels, c = i % channels;
      const double byte = d.images.at(rows[static_cast<size_t>(i / per)] * per + i % per);
      ASSERT_NEAR(
          b.at(i),
          (byte / 255 - s.mean[static_cast<size_t>(c)]) / s.deviation[static_cast<size_t>(c)],
          1e-5);
    }
  }
}

/// Finds the crop and flip that make image `i` of a batch out of its source by trying all; black
/// stands outside. -1 when none fits.
int find_draw(const Tensor& image, const Tensor& batch, int64_t i, int64_t pad, double mean,
              double deviation) {
  const int64_t h = image.size(1), w = image.size(2), span = 2 * pad + 1;
  for (int64_t k = 0; k < span * span * 2; ++k) {
    const int64_t dy = k / 2 / span - pad, dx = k / 2 % span - pad;
    bool same = true;
    for (int64_t y = 0; y < h && same; ++y)
      for (int64_t x = 0; x < w && same; ++x) {
        const int64_t sy = y + dy, sx = (k % 2 ? w - 1 - x : x) + dx;
        const double byte = sy >= 0 && sy < h && sx >= 0 && sx < w ? image.at(sy * w + sx) : 0;
        same = std::fabs(batch.at((i * h + y) * w + x) - (byte / 255 - mean) / deviation) < 1e-4;
      }
    if (same) return static_cast<int>(k);
  }
  return -1;
}

TEST(MakeBatch, CropAndFlipCoverAllDrawsWithBlackBorders) {
  const Dataset d = random_set(1, 4, 3, 1);
  const Standardisation s{{0.4}, {0.3}};
  const std::vector<int64_t> index(600, 0);
  const Tensor b = make_batch(d.images, index, {2, true}, s, Stream(5));
  std::set<int> seen;
  int flipped = 0;
  for (int64_t i = 0; i < 600; ++i) {
    const int k = find_draw(d.images, b, i, 2, 0.4, 0.3);
    ASSERT_GE(k, 0) << "image " << i << " is no crop of its source";
    seen.insert(k);
    flipped += k % 2;
  }
  EXPECT_EQ(seen.size(), 50u);  // 5 x 5 corners, flipped or not
  EXPECT_NEAR(flipped, 300, 75);
}

TEST(MakeBatch, PaddingWiderThanTheImage) {
  const Dataset d = random_set(1, 2, 2, 1);
  const Tensor b =
      make_batch(d.images, std::vector<int64_t>(100, 0), {5, true}, {{0.0}, {1.0}}, Stream(2));
  for (int64_t i = 0; i < 100; ++i) EXPECT_GE(find_draw(d.images, b, i, 5, 0, 1), 0);
}

TEST(MakeBatch, DrawDependsOnStreamAndPosition) {
  const Dataset d = random_set(3, 6, 6, 3);
  const Standardisation s = standardisation_of(d);
  const Augmentation a{4, true};
  const Tensor whole = make_batch(d.images, {0, 1, 2, 0}, a, s, Stream(9));
  EXPECT_EQ(make_batch(d.images, {0, 1, 2, 0}, a, s, Stream(9)).to_vector<float>(),
            whole.to_vector<float>());
  EXPECT_EQ(make_batch(d.images, {0, 1}, a, s, Stream(9)).to_vector<float>(),
            whole.rows(0, 2).to_vector<float>());
  EXPECT_NE(make_batch(d.images, {0, 1, 2, 0}, a, s, Stream(10)).to_vector<float>(),
            whole.to_vector<float>());
}

TEST(MakeBatch, RefusedInput) {
  const Dataset d = random_set(2, 4, 4, 3);
  const Standardisation s = standardisation_of(d);
  expect_error([&] { make_batch(d.images, {2}, {}, s, Stream(0)); }, {"row 2", "2 images"});
  expect_error(
      [&] {
        make_batch(d.images, {0}, {}, {{0.5}, {0.5}}, Stream(0));
      },
      {"3 channels", "found 1"});
  expect_error(
      [&] {
        make_batch(d.images, {0}, {}, {{0, 0, 0}, {1, 0, 1}}, Stream(0));
      },
      {"channel 1", "above 0"});
  expect_error([&] { make_batch(d.images, {0}, {-1, false}, s, Stream(0)); }, {"crop padding -1"});
}

Loader::Config config_of(const Dataset& d, int64_t threads) {
  Loader::Config c;
  c.batch = 4;
  c.threads = threads;
  c.augmentation = {2, true};
  c.standardisation = standardisation_of(d);
  return c;
}

TEST(Loader, EveryEpochHoldsEveryImageOnceInANewOrder) {
  const Dataset d = random_set(10, 4, 4, 3);
  Loader loader(d, config_of(d, 2), Stream(1));
  EXPECT_EQ(loader.steps_per_epoch(), 3);
  std::vector<std::vector<int64_t>> epochs(3);
  for (auto& epoch : epochs) {
    for (int k = 0; k < 3; ++k) {
      const Batch b = loader.next();
      EXPECT_EQ(b.images.size(0), k < 2 ? 4 : 2);
      for (size_t i = 0; i < b.index.size(); ++i)
        EXPECT_EQ(b.labels.data<int64_t>()[i], b.index[i] % 3);
      EXPECT_FALSE(b.targets.defined());
      epoch.insert(epoch.end(), b.index.begin(), b.index.end());
    }
    EXPECT_EQ(std::set<int64_t>(epoch.begin(), epoch.end()).size(), 10u);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  EXPECT_EQ(epochs[0], Stream(1).fork("shuffle", 0).permutation(10));
}

TEST(Loader, SameBatchesForAnyThreadCountAndStart) {
  const Dataset d = random_set(10, 6, 6, 3);
  Loader plain(d, config_of(d, 0), Stream(4));
  std::vector<Batch> expected;
  for (int i = 0; i < 40; ++i) expected.push_back(plain.next());
  for (const int64_t threads : {1, 3}) {
    for (const int64_t start : {0, 7}) {
      Loader loader(d, config_of(d, threads), Stream(4), start);
      for (auto step = static_cast<size_t>(start); step < 40; ++step) {
        const Batch b = loader.next();
        ASSERT_EQ(b.index, expected[step].index) << threads << " threads, step " << step;
        ASSERT_EQ(b.images.to_vector<float>(), expected[step].images.to_vector<float>());
      }
    }
  }
}

TEST(Loader, DropLastOrderAndResponses) {
  Dataset d = random_set(10, 4, 4, 3);
  d.labels = {};
  d.classes = 0;
  d.targets = Tensor::empty({10});
  for (int64_t i = 0; i < 10; ++i) d.targets.data<float>()[i] = static_cast<float>(i) / 4;
  Loader::Config c = config_of(d, 1);
  c.drop_last = true;
  c.shuffle = false;
  Loader loader(d, c, Stream(0));
  EXPECT_EQ(loader.steps_per_epoch(), 2);
  loader.next();
  const Batch b = loader.next();
  EXPECT_EQ(b.index, (std::vector<int64_t>{4, 5, 6, 7}));
  EXPECT_EQ(b.targets.to_vector<float>(), (std::vector<float>{1, 1.25f, 1.5f, 1.75f}));
  EXPECT_FALSE(b.labels.defined());
  EXPECT_EQ(loader.next().index, (std::vector<int64_t>{0, 1, 2, 3}));
}

// Batch norm has no variance of one image.
TEST(Loader, ASingleImageAtTheEndJoinsTheBatchBefore) {
  const auto sizes = [](int64_t n, int64_t batch, bool drop_last, bool shuffle) {
    const Dataset d = random_set(n, 4, 4, 3);
    Loader::Config c = config_of(d, 2);
    c.batch = batch, c.drop_last = drop_last, c.shuffle = shuffle;
    Loader loader(d, c, Stream(5));
    std::vector<int64_t> all;
    std::set<int64_t> seen;
    for (int epoch = 0; epoch < 2; ++epoch)
      for (int64_t k = 0; k < loader.steps_per_epoch(); ++k) {
        const Batch b = loader.next();
        EXPECT_EQ(b.images.size(0), static_cast<int64_t>(b.index.size()));
        if (epoch == 1) continue;
        all.push_back(b.images.size(0));
        seen.insert(b.index.begin(), b.index.end());
      }
    if (!drop_last) {
      EXPECT_EQ(static_cast<int64_t>(seen.size()), n) << "an epoch has every image";
    }
    EXPECT_EQ(static_cast<int64_t>(all.size()), steps_per_epoch(n, batch, drop_last));
    EXPECT_LE(*std::max_element(all.begin(), all.end()), largest_batch(n, batch, drop_last));
    return all;
  };
  using Sizes = std::vector<int64_t>;
  for (const bool shuffle : {false, true}) {
    EXPECT_EQ(sizes(9, 4, false, shuffle), (Sizes{4, 5}));
    EXPECT_EQ(sizes(9, 4, true, shuffle), (Sizes{4, 4}));
    EXPECT_EQ(sizes(5, 4, false, shuffle), (Sizes{5}));
    EXPECT_EQ(sizes(10, 4, false, shuffle), (Sizes{4, 4, 2}));
    EXPECT_EQ(sizes(8, 4, false, shuffle), (Sizes{4, 4}));
    EXPECT_EQ(sizes(3, 4, false, shuffle), (Sizes{3}));
    EXPECT_EQ(sizes(3, 2, false, shuffle), (Sizes{3}));
    EXPECT_EQ(sizes(1, 4, false, shuffle), (Sizes{1})) << "there is none before";
    EXPECT_EQ(sizes(3, 1, false, shuffle), (Sizes{1, 1, 1}));
  }
  EXPECT_EQ(largest_batch(9, 4), 5);
  EXPECT_EQ(largest_batch(10, 4), 4);
  EXPECT_EQ(largest_batch(9, 4, true), 4);
}

TEST(Loader, PickChoosesTheRowsOfAStep) {
  const Dataset d = random_set(10, 4, 4, 3);
  for (const int64_t threads : {0, 3}) {
    Loader::Config c = config_of(d, threads);
    c.pick = [](int64_t step) { return std::vector<int64_t>{step % 10, 7, 7}; };
    Loader loader(d, c, Stream(0), 4);
    for (int64_t step = 4; step < 30; ++step) {
      const Batch b = loader.next();
      EXPECT_EQ(b.index, (std::vector<int64_t>{step % 10, 7, 7}));
      EXPECT_EQ(b.labels.to_vector<int64_t>(), take_rows(d.labels, b.index).to_vector<int64_t>());
      EXPECT_EQ(b.images.size(0), 3);
    }
  }
}

TEST(Loader, ErrorsReachTheCaller) {
  const Dataset d = random_set(10, 4, 4, 3);
  Loader::Config c = config_of(d, 2);
  c.standardisation = {{0.5}, {0.5}};
  Loader loader(d, c, Stream(0));
  expect_error([&] { loader.next(); }, {"3 channels"});
  c = config_of(d, 0);
  c.batch = 11;
  c.drop_last = true;
  expect_error([&] { Loader(d, c, Stream(0)); }, {"drop_last", "11", "10 images"});
  c = config_of(d, 0);
  c.batch = 0;
  expect_error([&] { Loader(d, c, Stream(0)); }, {"batch 0"});
  expect_error([&] { Loader(d.select({}), config_of(d, 0), Stream(0)); }, {"empty"});
}

}  // namespace
}  // namespace limbeck::data
