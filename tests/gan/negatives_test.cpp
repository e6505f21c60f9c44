// Negative samples of Dual-NDA against brute force, and the quality that chooses the poor fakes.
#include "gan/negatives.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "gan/niqe.h"
#include "gan/vicinity_conditioning.h"

namespace limbeck::gan {
namespace {

using Labels = std::vector<float>;

std::map<std::string, Labels> label_sets() {
  std::map<std::string, Labels> sets{{"two", {0.2f, 0.9f}},
                                     {"ties", {0.5f, 0.25f, 0.5f, 0.75f, 0.25f, 0.5f, 0, 1, 1}},
                                     {"gap", {0.9f, 0.01f, 0.02f, 0.93f, 0.95f, 0.03f, 0.02f}},
                                     {"random", {}}};
  Stream stream(3);
  for (int i = 0; i < 60; ++i) sets["random"].push_back(static_cast<float>(stream.uniform()));
  return sets;
}

/// As numpy's quantile, and the images strictly beyond it; the farthest ones where none is.
std::set<int64_t> beyond_quantile(const Labels& labels, double y, double q) {
  std::vector<double> distances;
  for (const float v : labels) distances.push_back(std::abs(static_cast<double>(v) - y));
  std::vector<double> sorted = distances;
  std::sort(sorted.begin(), sorted.end());
  const double at = q * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(at);
  const double cutoff = std::lerp(sorted[below], sorted[std::min(below + 1, sorted.size() - 1)],
                                  at - static_cast<double>(below));
  std::set<int64_t> found, farthest;
  for (size_t i = 0; i < distances.size(); ++i) {
    if (distances[i] > cutoff) found.insert(static_cast<int64_t>(i));
    if (distances[i] == sorted.back()) farthest.insert(static_cast<int64_t>(i));
  }
  return found.empty() ? farthest : found;
}

TEST(Negatives, MismatchedOnesAreThoseBeyondTheQuantile) {
  Stream stream(7);
  for (const auto& [name, labels] : label_sets()) {
    const SortedResponses sorted(labels);
    for (const double q : {0.0, 0.3, 0.5, 0.9, 0.99})
      for (const double y : {-0.1, 0.02, 0.25, 0.5, 0.77, 1.0, 1.2}) {
        std::set<int64_t> drawn;
        for (int k = 0; k < 2000; ++k) drawn.insert(draw_mismatched(sorted, y, q, stream));
        EXPECT_EQ(drawn, beyond_quantile(labels, y, q)) << name << ", y " << y << ", q " << q;
      }
  }
}

TEST(Negatives, NearbyOnesAreWithinTheRadiusWhichGrowsUntilThereAreSome) {
  const Labels labels{0.1f, 0.12f, 0.5f, 0.52f, 0.9f};
  const SortedResponses sorted(labels);
  Stream stream(7);
  const auto all = [&](double y, double radius) {
    std::set<int64_t> drawn;
    for (int k = 0; k < 200; ++k) drawn.insert(draw_near(sorted, y, radius, stream));
    return drawn;
  };
  EXPECT_EQ(all(0.5, 0.05), (std::set<int64_t>{2, 3}));
  EXPECT_EQ(all(0.5, 0.45), (std::set<int64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(all(0.7, 0.001), (std::set<int64_t>{3})) << "0.18 away; 0.9 and 0.5 are 0.2";
  EXPECT_EQ(all(5, 0.1), (std::set<int64_t>{4}));
  EXPECT_EQ(all(0.7, 0), (std::set<int64_t>{3})) << "as of a hard vicinity with kappa 0";
}

TEST(Negatives, ErrorsNameTheKey) {
  const auto expect = [](NegativeSettings s, const std::string& part) {
    try {
      check(s, 100);
      FAIL() << "no error, expected " << part;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    }
  };
  expect({.mismatched = -0.1}, "gan.negatives.mismatched: expected 0 to below 1, found -0.1");
  expect({.mismatched = 0.6, .poor = 0.5, .start = 1}, "mismatched + poor below 1");
  expect({.mismatched = 0.1, .mismatched_quantile = 1}, "gan.negatives.mismatched_quantile");
  expect({.poor = 0.1, .start = 0},
         "gan.negatives.start: poor fakes come from a trained generator");
  expect({.poor = 0.1, .poor_from = 3, .start = 1}, "gan.negatives.poor_from");
  expect({.mismatched = 0.1, .start = 100}, "gan.negatives.start: expected 0 to below gan.steps");
  check({.start = 5000}, 100);  // none are asked for
}

// --- quality -------------------------------------------------------------------------------------

/// Smooth random textures.
Tensor textures(int64_t n, int64_t side, uint64_t seed) {
  const Tensor images = Tensor::empty({n, side, side, 1}, DType::u8);
  Stream stream(seed);
  uint8_t* p = images.data<uint8_t>();
  for (int64_t i = 0; i < n; ++i) {
    const double fx = stream.uniform(0.2, 0.9), fy = stream.uniform(0.2, 0.9);
    for (int64_t y = 0; y < side; ++y)
      for (int64_t x = 0; x < side; ++x)
        *p++ = static_cast<uint8_t>(std::clamp(
            128 +
                70 * std::sin(fx * static_cast<double>(x)) * std::cos(fy * static_cast<double>(y)) +
                8 * stream.normal(),
            0.0, 255.0));
  }
  return images;
}

Tensor noise(int64_t n, int64_t side, uint64_t seed) {
  const Tensor images = Tensor::empty({n, side, side, 1}, DType::u8);
  Stream stream(seed);
  for (uint8_t& v : images.span<uint8_t>()) v = static_cast<uint8_t>(stream.below(256));
  return images;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

TEST(Niqe, ImagesOfTheSameKindAreBetterThanNoiseAndBlankOnesWorst) {
  const NiqeModel model = niqe_model(textures(40, 32, 1));
  EXPECT_EQ(model.mean.size(), 36u);
  const double same = mean_of(niqe(model, textures(10, 32, 2))),
               other = mean_of(niqe(model, noise(10, 32, 3)));
  EXPECT_LT(1.5 * same, other);
  EXPECT_TRUE(std::isinf(niqe(model, Tensor::full({1, 32, 32, 1}, 7, DType::u8))[0]));
}

/// An image that every program can draw.
void draw_pattern(const Tensor& images, int64_t i, int64_t s) {
  const int64_t side = images.size(1), channels = images.size(3);
  uint8_t* p = images.rows(i, i + 1).data<uint8_t>();
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x)
      for (int64_t c = 0; c < channels; ++c)
        *p++ = static_cast<uint8_t>((x * 37 + y * 91 + x * y * 13 + s * 29 + (x * x * s) % 17 * 5) %
                                    251);
}

Tensor patterns(const std::vector<int64_t>& numbers, int64_t channels = 1) {
  const Tensor images =
      Tensor::empty({static_cast<int64_t>(numbers.size()), 32, 32, channels}, DType::u8);
  for (size_t i = 0; i < numbers.size(); ++i)
    draw_pattern(images, static_cast<int64_t>(i), numbers[i]);
  return images;
}

// Numbers of an independent computation in NumPy, which fits the shapes on a grid.
TEST(Niqe, IsThatOfNumpy) {
  const NiqeModel model = niqe_model(patterns({0, 1, 2, 3}));
  EXPECT_EQ(model.blocks, 64);
  const std::map<size_t, double> means{
      {0, 8.703793310672589},   {1, 1.5799867607254265},  {2, 2.0929595018205647},
      {3, -0.1490668918885728}, {4, 1.0845220663211959},  {5, 0.8388832690541655},
      {18, 6.394472103904852},  {19, 1.3951220837694156}, {35, 0.6253351312192762}};
  for (const auto& [i, expected] : means) EXPECT_NEAR(model.mean[i], expected, 1e-7) << i;
  EXPECT_NEAR(model.covariance[0], 6.040985186429258, 1e-6);
  EXPECT_NEAR(model.covariance[2 * 36 + 7], -0.018854130197134316, 1e-6);
  const std::vector<double> found = niqe(model, patterns({7, 9}));
  EXPECT_NEAR(found[0], 2.310854646021294, 1e-5);
  EXPECT_NEAR(found[1], 2.0669093126286207, 1e-5);
}

TEST(Niqe, AColourImageCountsByItsGrayValues) {
  const std::vector<double> gray = niqe(niqe_model(patterns({0, 1})), patterns({7}));
  const std::vector<double> colour = niqe(niqe_model(patterns({0, 1}, 3)), patterns({7}, 3));
  EXPECT_NEAR(colour[0], gray[0], 0.01) << "the three weights sum to 0.9999";
}

TEST(Niqe, RefusesWhatItCannotJudge) {
  EXPECT_THROW(niqe_model(Tensor::zeros({2, 8, 8, 1}, DType::u8)), Error);
  EXPECT_THROW(niqe_model(Tensor::zeros({2, 32, 32, 1})), Error);
  EXPECT_THROW(niqe_model(Tensor::zeros({2, 32, 32, 1}, DType::u8)), Error) << "blank";
}

TEST(Negatives, PoorFakesAreTheWorstOfThoseMade) {
  const auto g =
      create_generator({.arch = "sngan-nli", .ch = 2, .dim_z = 4, .resolution = 32, .channels = 1});
  g->initialise(Stream(1));
  g->eval();
  data::Dataset real;
  real.images = textures(20, 32, 1);
  real.targets = Tensor::empty({20});
  for (int64_t i = 0; i < 20; ++i) real.targets.data<float>()[i] = static_cast<float>(i / 4) / 4;
  const auto condition = [](const Tensor& y) {
    return Condition{{}, Variable(responses_as_they_are().embed(y))};
  };
  const NegativeSettings s{.poor = 0.2, .poor_quantile = 0.75, .poor_from = 40, .start = 1};
  const data::Dataset poor = poor_fakes(*g, condition, real, s, Stream(2));
  ASSERT_EQ(poor.images.shape(), Shape({10, 32, 32, 1}));
  NegativeSettings every = s;
  every.poor_quantile = 0;
  const data::Dataset all = poor_fakes(*g, condition, real, every, Stream(2));
  const std::vector<double> quality = niqe(niqe_model(real.images), all.images);
  const double worst = *std::max_element(quality.begin(), quality.end());
  EXPECT_TRUE(std::is_sorted(quality.rbegin(), quality.rend()));
  const std::vector<double> chosen = niqe(niqe_model(real.images), poor.images);
  EXPECT_EQ(chosen.front(), worst);
  EXPECT_EQ(chosen, std::vector<double>(quality.begin(), quality.begin() + 10));
  for (const float y : poor.targets.span<float>())
    EXPECT_EQ(std::fmod(y * 4, 1.0f), 0) << "a training response";
}

}  // namespace
}  // namespace limbeck::gan
