// The procedural set: distances of the figures, determinism, balance, and that colour says nothing
// about the class.
#include "data/shapes.h"

#include <omp.h>

#include <array>
#include <cmath>

#include "data/figures.h"
#include "data/source.h"
#include "tests/data/temporary.h"

namespace limbeck::data {
namespace {

TEST(Figures, DistancesAreSignedAndNearlyExactAtTheOutline) {
  for (int figure = 0; figure < shape_classes; ++figure) {
    int inside = 0, near = 0, unit = 0;
    for (int i = 0; i < 100; ++i)
      for (int j = 0; j < 100; ++j) {
        const Point p{-2 + 0.04f * static_cast<float>(i) + 0.013f,
                      -2 + 0.04f * static_cast<float>(j) + 0.007f};
        const float d = figure_distance(figure, p), h = 1e-3f;
        inside += d < 0;
        if (p.x * p.x + p.y * p.y > 1.5f * 1.5f) {
          EXPECT_GT(d, 0) << figure_names()[static_cast<size_t>(figure)];
        }
        if (std::fabs(d) > 0.1f) continue;
        ++near;
        const float gx =
            (figure_distance(figure, {p.x + h, p.y}) - figure_distance(figure, {p.x - h, p.y})) /
            (2 * h);
        const float gy =
            (figure_distance(figure, {p.x, p.y + h}) - figure_distance(figure, {p.x, p.y - h})) /
            (2 * h);
        unit += std::fabs(std::hypot(gx, gy) - 1) < 0.05f;
      }
    const double area = inside * 0.04 * 0.04;
    EXPECT_GT(area, 0.8) << figure_names()[static_cast<size_t>(figure)];
    EXPECT_LT(area, 2.7) << figure_names()[static_cast<size_t>(figure)];
    EXPECT_GT(unit, 0.9 * near) << figure_names()[static_cast<size_t>(figure)];
  }
}

TEST(Shapes, SameBitsForAnyThreadCount) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const auto one = shapes(60, 32, 7).images.to_vector<uint8_t>();
  omp_set_num_threads(3);
  const auto three = shapes(60, 32, 7).images.to_vector<uint8_t>();
  omp_set_num_threads(before);
  EXPECT_EQ(one, three);
}

TEST(Shapes, ImageDependsOnSeedAndNumberOnly) {
  const Dataset all = shapes(40, 16, 3), tail = shapes(7, 16, 3, 33);
  EXPECT_EQ(tail.images.to_vector<uint8_t>(), all.images.rows(33, 40).to_vector<uint8_t>());
  EXPECT_EQ(tail.labels.to_vector<int64_t>(), (std::vector<int64_t>{3, 4, 5, 6, 7, 8, 9}));
  EXPECT_NE(shapes(40, 16, 4).images.to_vector<uint8_t>(), all.images.to_vector<uint8_t>());
  EXPECT_EQ(all.histogram(), std::vector<int64_t>(10, 4));
  EXPECT_EQ(all.class_names.size(), 10u);
}

TEST(Shapes, OtherSizes) {
  for (const int64_t size : {8, 33, 64})
    EXPECT_EQ(shapes(3, size, 1).images.shape(), (Shape{3, size, size, 3}));
  EXPECT_EQ(shapes(0, 32, 1).size(), 0);
  test::expect_error([] { shapes(1, 7, 1); }, {"image size 7"});
  test::expect_error([] { shapes(-1, 32, 1); }, {"shapes"});
}

/// Mean colour and deviation of each image: all that a classifier without any notion of form could
/// use.
std::vector<std::array<double, 6>> colour_statistics(const Dataset& d) {
  std::vector<std::array<double, 6>> out;
  const int64_t pixels = d.height() * d.width();
  for (int64_t i = 0; i < d.size(); ++i) {
    std::array<double, 6> s{};
    const uint8_t* p = d.images.data<uint8_t>() + i * pixels * 3;
    for (int64_t k = 0; k < pixels * 3; ++k) {
      s[static_cast<size_t>(k % 3)] += p[k];
      s[static_cast<size_t>(3 + k % 3)] += p[k] * p[k];
    }
    for (size_t c = 0; c < 3; ++c) {
      s[c] /= static_cast<double>(pixels);
      s[c + 3] = std::sqrt(s[c + 3] / static_cast<double>(pixels) - s[c] * s[c]);
    }
    out.push_back(s);
  }
  return out;
}

TEST(Shapes, WrongLabelsOfTheTrainingPart) {
  const ShapesSettings right{.train = 1000, .test = 50},
      wrong{.train = 1000, .test = 50, .wrong_labels = 0.4};
  const Split a = load_shapes(right, 16, 1), b = load_shapes(wrong, 16, 1);
  EXPECT_EQ(a.train.images.to_vector<uint8_t>(), b.train.images.to_vector<uint8_t>());
  EXPECT_EQ(a.test.labels.to_vector<int64_t>(), b.test.labels.to_vector<int64_t>());
  int differ = 0;
  std::array<int, 10> by{};
  const auto x = a.train.labels.to_vector<int64_t>(), y = b.train.labels.to_vector<int64_t>();
  for (size_t i = 0; i < x.size(); ++i) {
    differ += x[i] != y[i];
    ++by.at(static_cast<size_t>((y[i] - x[i] + 10) % 10));
  }
  EXPECT_NEAR(differ, 400, 62) << "four deviations";
  for (size_t k = 1; k < 10; ++k) EXPECT_NEAR(by[k], 400 / 9.0, 26) << "by " << k;
  DataSettings s;
  s.kind = "shapes", s.image_size = 16;
  s.sources.at("shapes").as<ShapesSettings>().wrong_labels = 1.5;
  test::expect_error([&] { check(s); }, {"data.shapes.wrong_labels", "0..1", "found 1.5"});
}

TEST(Shapes, ColourAndContrastDoNotTellTheClass) {
  const Dataset train = shapes(1000, 16, 1), test = shapes(1000, 16, 2);
  const auto a = colour_statistics(train), b = colour_statistics(test);
  int right = 0;
  for (size_t i = 0; i < b.size(); ++i) {  // nearest neighbour
    size_t best = 0;
    double nearest = 1e30;
    for (size_t j = 0; j < a.size(); ++j) {
      double d = 0;
      for (size_t k = 0; k < 6; ++k) d += (a[j][k] - b[i][k]) * (a[j][k] - b[i][k]);
      if (d < nearest) nearest = d, best = j;
    }
    right += train.labels.data<int64_t>()[best] == test.labels.data<int64_t>()[i];
  }
  EXPECT_LT(right, 145);  // chance is 100 with deviation 9.5
}

}  // namespace
}  // namespace limbeck::data
