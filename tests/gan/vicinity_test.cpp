// Vicinal sampling against brute force over label sets with ties, gaps, ends and a single label;
// sigma and kappa against the original's numbers.
#include "gan/vicinity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

namespace limbeck::gan {
namespace {

using Labels = std::vector<float>;

/// Label sets that go wrong easily.
std::map<std::string, Labels> awkward() {
  std::map<std::string, Labels> sets{{"one", {0.4f}},
                                     {"one label thrice", {0.4f, 0.4f, 0.4f}},
                                     {"ends", {1, 0}},
                                     {"ties", {0.5f, 0.25f, 0.5f, 0.75f, 0.25f, 0.5f, 0, 1, 1}},
                                     {"gap", {0.9f, 0.01f, 0.02f, 0.93f, 0.95f, 0.03f, 0.02f}},
                                     {"steps", {}},
                                     {"random", {}}};
  for (int i = 60; i >= 1; --i)
    sets["steps"].insert(sets["steps"].end(), static_cast<size_t>(1 + i % 3),
                         static_cast<float>(i) / 60);
  Stream stream(3);
  for (int i = 0; i < 200; ++i) sets["random"].push_back(static_cast<float>(stream.uniform()));
  return sets;
}

/// Vicinities whose borders fall on labels, between them, hold all or (nearly) nothing.
std::vector<Vicinity> vicinities() {
  std::vector<Vicinity> all;
  for (const double radius : {1.0 / 60, 2.0 / 60, 0.25, 0.5, 1e-9, 2.0}) {
    all.push_back({.soft = false, .sigma = 0.1, .kappa = radius});
    all.push_back({.soft = true, .sigma = 0.1, .kappa = -std::log(1e-3) / (radius * radius)});
  }
  all.push_back({.soft = false, .sigma = 0, .kappa = 0});
  return all;
}

std::set<int64_t> by_brute_force(const Labels& labels, const Vicinity& v, double y) {
  std::set<int64_t> near;
  for (size_t i = 0; i < labels.size(); ++i) {
    const double d = static_cast<double>(labels[i]) - y;
    if (v.soft ? d * d * v.kappa <= -std::log(1e-3) : std::abs(d) <= v.kappa)
      near.insert(static_cast<int64_t>(i));
  }
  return near;
}

TEST(Vicinity, RangeIsThatOfBruteForce) {
  for (const auto& [name, labels] : awkward()) {
    const SortedResponses sorted(labels);
    std::vector<double> targets{-0.5, -0.1, 0, 0.5, 1, 1.05, 2};
    for (const float y : labels)
      for (const double shift : {0.0, 1.0 / 60, -2.0 / 60, 0.25, 1e-9, -1e-9})
        targets.push_back(static_cast<double>(y) + shift);
    for (const Vicinity& v : vicinities())
      for (const double y : targets) {
        const auto [begin, end] = v.range(sorted, y);
        ASSERT_LE(begin, end);
        std::set<int64_t> found;
        for (int64_t i = begin; i < end; ++i) found.insert(sorted.place(i));
        ASSERT_EQ(static_cast<int64_t>(found.size()), end - begin);
        EXPECT_EQ(found, by_brute_force(labels, v, y))
            << name << ", kappa " << v.kappa << (v.soft ? " soft, y " : " hard, y ") << y;
      }
  }
}

TEST(Vicinity, ResponsesAreSortedWithTheirPlaces) {
  for (const auto& [name, labels] : awkward()) {
    const SortedResponses sorted(labels);
    std::set<float> distinct(labels.begin(), labels.end());
    EXPECT_EQ(sorted.distinct(), std::vector<double>(distinct.begin(), distinct.end())) << name;
    std::set<int64_t> places;
    for (int64_t i = 0; i < sorted.size(); ++i) {
      EXPECT_EQ(sorted.value(i), static_cast<double>(labels[static_cast<size_t>(sorted.place(i))]));
      if (i > 0) {
        EXPECT_LE(sorted.value(i - 1), sorted.value(i));
      }
      places.insert(sorted.place(i));
    }
    EXPECT_EQ(places.size(), labels.size()) << name;
  }
  const SortedResponses four(Labels{0.5f, 0, 0.25f, 1});
  EXPECT_EQ(four.largest_gap(), 0.5);
  EXPECT_EQ(SortedResponses(Labels{0.5f, 0.5f}).largest_gap(), 0);
  EXPECT_EQ(four.quantile(0), 0);
  EXPECT_EQ(four.quantile(1), 1);
  EXPECT_DOUBLE_EQ(four.quantile(0.5), 0.375);
  EXPECT_DOUBLE_EQ(
      four.deviation(),
      std::sqrt((0.4375 * 0.4375 + 0.1875 * 0.1875 + 0.0625 * 0.0625 + 0.5625 * 0.5625) / 4));
}

TEST(Vicinity, SigmaAndKappaAreTheOriginals) {
  Labels rc49;  // 25 images at each of 0.1, 0.3, ..., 89.9 degrees
  for (int i = 0; i < 450; ++i)
    rc49.insert(rc49.end(), 25, static_cast<float>((0.1 + 0.2 * i) / 90));
  const Vicinity chairs =
      vicinity_of(SortedResponses(rc49), {.type = "soft", .sigma = -1, .kappa = -2});
  EXPECT_NEAR(chairs.sigma, 0.0473678495, 1e-8);
  EXPECT_NEAR(chairs.kappa, 50625, 5);  // f32 responses
  Labels ages;
  for (int i = 1; i <= 60; ++i) ages.push_back(static_cast<float>(i) / 60);
  const SortedResponses sorted(ages);
  const Vicinity faces = vicinity_of(sorted, {.type = "soft", .sigma = 0.03, .kappa = -2});
  EXPECT_EQ(faces.sigma, 0.03);
  EXPECT_NEAR(faces.kappa, 900, 0.01);
  EXPECT_NEAR(faces.radius(), 0.0876087, 1e-6);
  EXPECT_NEAR(faces.weight(0.5, 0.5 + faces.radius()), 1e-3, 1e-12);
  const Vicinity hard = vicinity_of(sorted, {.type = "hard", .sigma = 0, .kappa = -2});
  EXPECT_NEAR(hard.kappa, 2.0 / 60, 1e-6);
  EXPECT_EQ(hard.radius(), hard.kappa);
  EXPECT_EQ(vicinity_of(sorted, {.type = "hard", .sigma = 0, .kappa = 0}).kappa, 0);
}

// Every promise of a draw, over all sets: the image lies in the vicinity, the fake within the
// radius and [0, 1], weights are those of the formulas.
TEST(Vicinity, DrawsKeepTheirPromises) {
  for (const auto& [name, labels] : awkward())
    for (const Vicinity& v : vicinities()) {
      if (v.radius() < 1e-6 && v.sigma > 0) continue;  // no image is that near to a noisy target
      const SortedResponses sorted(labels);
      Stream stream(9);
      for (int k = 0; k < 50; ++k) {
        const VicinalDraw d = draw_vicinal(sorted, v, stream);
        const double real = static_cast<double>(labels[static_cast<size_t>(d.image)]);
        ASSERT_TRUE(by_brute_force(labels, v, d.target).contains(d.image)) << name;
        ASSERT_GE(d.fake_response, std::max(0.0, d.target - v.radius()));
        ASSERT_LE(d.fake_response, std::min(1.0, d.target + v.radius()));
        ASSERT_DOUBLE_EQ(d.real_weight,
                         v.soft ? std::exp(-v.kappa * (real - d.target) * (real - d.target)) : 1);
        ASSERT_DOUBLE_EQ(d.fake_weight, v.soft ? std::exp(-v.kappa * (d.fake_response - d.target) *
                                                          (d.fake_response - d.target))
                                               : 1);
      }
    }
}

// Targets come from the distinct responses alike, however many images each has; images are uniform
// within the vicinity.
TEST(Vicinity, DrawsFollowTheirDistributions) {
  Labels labels(9, 0.25f);
  labels.push_back(0.75f);
  const SortedResponses sorted(labels);
  std::map<double, int> targets;
  std::map<int64_t, int> images;
  Stream stream(5);
  constexpr int n = 4000;
  for (int k = 0; k < n; ++k) {
    const VicinalDraw d = draw_vicinal(sorted, {.soft = false, .sigma = 0, .kappa = 0.1}, stream);
    ++targets[d.target];
    if (d.target == 0.25) ++images[d.image];
  }
  EXPECT_NEAR(targets.at(0.25), n / 2, 150);
  EXPECT_NEAR(targets.at(0.75), n / 2, 150);
  ASSERT_EQ(images.size(), 9u);
  for (const auto& [image, count] : images) EXPECT_NEAR(count, n / 18, 75) << image;
  double sum = 0, square = 0;
  for (int k = 0; k < n; ++k) {
    const double y = draw_target(SortedResponses(Labels{0.9f}),
                                 {.soft = true, .sigma = 0.2, .kappa = 1}, stream) -
                     0.9;
    sum += y, square += y * y;
  }
  EXPECT_NEAR(sum / n, 0, 0.015);  // unclipped
  EXPECT_NEAR(std::sqrt(square / n), 0.2, 0.01);
}

// What a batch's mean estimates, for noise-free targets: the mean over distinct y of the mean over
// the images in its vicinity of w(y_i, y) times the loss of image and target. Hard: HVDL's sum over
// real images.
TEST(Vicinity, TheMeanOfDrawsIsTheVicinalLoss) {
  const auto loss = [](int64_t image, double y) {
    return std::sin(3.0 * static_cast<double>(image)) + 2 * y;
  };  // any
  for (const char* name : {"ties", "gap", "ends"}) {
    const Labels labels = awkward().at(name);
    const SortedResponses sorted(labels);
    for (const Vicinity& v : {Vicinity{.soft = false, .sigma = 0, .kappa = 0.26},
                              Vicinity{.soft = true, .sigma = 0, .kappa = 40}}) {
      double exact = 0, estimate = 0;
      for (const double y : sorted.distinct()) {
        const std::set<int64_t> near = by_brute_force(labels, v, y);
        for (const int64_t i : near)
          exact += v.weight(static_cast<double>(labels[static_cast<size_t>(i)]), y) * loss(i, y) /
                   static_cast<double>(near.size() * sorted.distinct().size());
      }
      Stream stream(8);
      constexpr int n = 20000;
      for (int k = 0; k < n; ++k) {
        const VicinalDraw d = draw_vicinal(sorted, v, stream);
        estimate += d.real_weight * loss(d.image, d.target) / n;
      }
      EXPECT_NEAR(estimate, exact, 0.05) << name << (v.soft ? " soft" : " hard");
    }
  }
}

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Vicinity, ErrorsNameTheKey) {
  const SortedResponses two(Labels{0.2f, 0.8f}), one(Labels{0.2f, 0.2f});
  const auto expect = [](const std::string& found, const std::string& part) {
    EXPECT_NE(found.find(part), std::string::npos) << found;
  };
  expect(error_of([&] { vicinity_of(two, {.type = "round"}); }),
         "gan.vicinity.type: expected hard or soft, found 'round'");
  expect(error_of([&] { vicinity_of(one, {}); }),
         "gan.vicinity.kappa: -5 asks for a multiple of the largest gap");
  expect(error_of([&] { vicinity_of(two, {.type = "hard", .sigma = 0.1, .kappa = 0}); }),
         "gan.vicinity.kappa: expected a number above 0");
  expect(error_of([&] { vicinity_of(two, {.type = "soft", .sigma = 0, .kappa = 0}); }),
         "gan.vicinity.kappa: expected a number above 0");
  expect(error_of([&] {
           SortedResponses(Labels{0.5f, 35});
         }),
         "expected responses normalised to [0, 1], found 35 for image 1");
  expect(error_of([&] { SortedResponses(Labels{}); }), "no responses");
  Stream stream(1);
  expect(error_of([&] { draw_vicinal(two, {.soft = false, .sigma = 1, .kappa = 1e-12}, stream); }),
         "lower sigma (1) or widen the vicinity (kappa 1e-12)");
}

}  // namespace
}  // namespace limbeck::gan
