// A finished set of fakes as a source of images.
#include "kd/stored_fakes.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/data/temporary.h"

namespace limbeck::kd {
namespace {

/// 1 x 1 images whose pixel is their row.
data::Dataset set_of(const std::vector<int64_t>& labels) {
  data::Dataset d;
  const auto n = static_cast<int64_t>(labels.size());
  d.images = Tensor::empty({n, 1, 1, 1}, DType::u8);
  for (int64_t i = 0; i < n; ++i) d.images.data<uint8_t>()[i] = static_cast<uint8_t>(i);
  d.labels = Tensor::of(labels), d.classes = 4;
  return d;
}

/// Responses 0, 1/n, 2/n, ...
data::Dataset responses(int64_t n) {
  data::Dataset d = set_of(std::vector<int64_t>(static_cast<size_t>(n), 0));
  std::vector<float> y;
  for (int64_t i = 0; i < n; ++i) y.push_back(static_cast<float>(i) / static_cast<float>(n));
  d.labels = {}, d.classes = 0, d.targets = Tensor::of(y);
  return d;
}

std::set<int> rows_for(const StoredFakes& fakes, const Tensor& y) {
  std::set<int> rows;
  const Tensor images = fakes(y, Stream(1));
  for (const float x : images.span<float>())
    rows.insert(static_cast<int>(std::lround((x + 1) / 2 * 255)));
  return rows;
}

TEST(StoredFakes, AClassGetsAllOfItsImages) {
  const StoredFakes fakes(set_of({2, 0, 2, 1, 2, 0}), true);
  EXPECT_EQ(rows_for(fakes, Tensor::full({64}, 2, DType::i64)), (std::set<int>{0, 2, 4}));
  EXPECT_EQ(rows_for(fakes, Tensor::full({64}, 1, DType::i64)), (std::set<int>{3}));
  test::expect_error(
      [&] {
        fakes(Tensor::of<int64_t>({0, 3}), Stream(1));
      },
      {"no image of class 3"});
  test::expect_error([] { StoredFakes(data::Dataset{}, true); }, {"no images"});
}

TEST(StoredFakes, AResponseGetsThoseBesideIt) {
  const StoredFakes fakes(responses(100), false);
  const std::set<int> middle = rows_for(fakes, Tensor::full({300}, 0.5));
  EXPECT_EQ(middle.size(), 11u);
  EXPECT_EQ(*middle.begin(), 45);
  EXPECT_EQ(*rows_for(fakes, Tensor::full({300}, -1)).rbegin(), 4);
  EXPECT_EQ(*rows_for(fakes, Tensor::full({300}, 2)).begin(), 95);
}

TEST(StoredFakes, HalvesHaveTheSameLabels) {
  const auto [a, b] = halves_by_label(set_of({2, 0, 2, 0, 1, 2, 1, 0, 2, 0}), Stream(7));
  EXPECT_EQ(a.histogram(), (std::vector<int64_t>{2, 1, 2, 0}));
  EXPECT_EQ(b.histogram(), (std::vector<int64_t>{2, 1, 2, 0}));
  std::set<int> pixels;
  for (const auto* half : {&a, &b})
    for (const uint8_t x : half->images.to_vector<uint8_t>()) pixels.insert(x);
  EXPECT_EQ(pixels.size(), 10u) << "no image is in both";
  const auto [c, d] = halves_by_label(responses(7), Stream(7));
  EXPECT_EQ(c.size(), 4);
  EXPECT_EQ(d.targets.at(0), c.targets.at(0) + 1.0f / 7);
}

}  // namespace
}  // namespace limbeck::kd
