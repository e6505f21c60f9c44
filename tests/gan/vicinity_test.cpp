// Vicinal sampling against brute force over label sets with ties, gaps, ends and a single label;
// sigma and kappa against the original's numbers.
#include "gan/vicinity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
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

// --- adaptive vicinities -------------------------------------------------------------------------

std::vector<double> targets_around(const Labels& labels) {
  std::vector<double> all{-0.5, -0.1, 0, 0.5, 1, 1.05, 2};
  for (const float y : labels)
    for (const double shift : {0.0, 1.0 / 60, -2.0 / 60, 0.25, 1e-9, -1e-9})
      all.push_back(static_cast<double>(y) + shift);
  return all;
}

std::vector<double> sorted_distances(const Labels& labels, double y) {
  std::vector<double> all;
  for (const float v : labels) all.push_back(std::abs(static_cast<double>(v) - y));
  std::sort(all.begin(), all.end());
  return all;
}

TEST(AdaptiveVicinity, DistancesAndNeighboursAreThoseOfBruteForce) {
  for (const auto& [name, labels] : awkward()) {
    const SortedResponses sorted(labels);
    for (const double y : targets_around(labels)) {
      const std::vector<double> distances = sorted_distances(labels, y);
      for (size_t k = 1; k <= labels.size(); k += 1 + labels.size() / 9) {
        const double found = sorted.distance_of_nearest(y, static_cast<int64_t>(k));
        ASSERT_DOUBLE_EQ(found, distances[k - 1]) << name << ", y " << y << ", k " << k;
        const auto [begin, end] = sorted.within(y, found);
        std::set<int64_t> near, expected;
        for (int64_t i = begin; i < end; ++i) near.insert(sorted.place(i));
        for (size_t i = 0; i < labels.size(); ++i)
          if (std::abs(static_cast<double>(labels[i]) - y) <= found)
            expected.insert(static_cast<int64_t>(i));
        ASSERT_EQ(near, expected) << name << ", y " << y << ", k " << k;
      }
    }
  }
}

/// Grows label by label from the target, the nearer side first, until `least` images are held.
double grown_radius(const Labels& labels, double y, int64_t least) {
  std::map<double, int64_t> at_distance;
  for (const float v : labels) ++at_distance[std::abs(static_cast<double>(v) - y)];
  int64_t held = 0;
  for (const auto& [distance, count] : at_distance)
    if ((held += count) >= least) return distance;
  return std::numeric_limits<double>::quiet_NaN();
}

TEST(AdaptiveVicinity, HoldsJustEnoughImages) {
  for (const auto& [name, labels] : awkward())
    for (const char* type : {"hard", "soft", "hybrid"})
      for (const int64_t least : {1, 2, 3, 50}) {
        if (least > static_cast<int64_t>(labels.size())) continue;
        const SortedResponses sorted(labels);
        const Vicinity rule =
            vicinity_of(sorted, {.type = type, .sigma = 0.1, .kappa = -5, .min_images = least});
        for (const double y : targets_around(labels)) {
          const double base = std::max(1e-5, grown_radius(labels, y, least));
          const Vicinity v = rule.at(sorted, y);
          const bool soft = std::string(type) != "hard";
          ASSERT_DOUBLE_EQ(v.base(), base) << name << ' ' << type << ", y " << y;
          ASSERT_EQ(v.soft, soft);
          if (soft) {
            ASSERT_NEAR(v.weight(y + base, y), std::exp(-1), 1e-9);
          }
          const double radius =
              std::string(type) == "soft" ? base * std::sqrt(-std::log(1e-3)) : base;
          ASSERT_DOUBLE_EQ(v.radius(), radius);
          const auto [begin, end] = v.range(sorted, y);
          ASSERT_GE(end - begin, least) << name << ' ' << type << ", y " << y;
          if (std::string(type) == "soft") continue;
          // Without the images at its border it would hold too few.
          int64_t inside = 0;
          for (const float l : labels)
            inside += std::abs(static_cast<double>(l) - y) < base * (1 - 1e-12) ? 1 : 0;
          ASSERT_TRUE(inside < least || base == 1e-5) << name << ' ' << type << ", y " << y;
        }
      }
}

TEST(AdaptiveVicinity, DrawsKeepTheirPromises) {
  for (const auto& [name, labels] : awkward())
    for (const char* type : {"hard", "soft", "hybrid"}) {
      const SortedResponses sorted(labels);
      const int64_t least = std::min<int64_t>(3, sorted.size());
      const Vicinity rule =
          vicinity_of(sorted, {.type = type, .sigma = 0.2, .kappa = -5, .min_images = least});
      Stream stream(9);
      for (const VicinalDraw& d : draw_vicinal_batch(sorted, rule, 50, stream)) {
        const Vicinity v = rule.at(sorted, d.target);
        const double real = static_cast<double>(labels[static_cast<size_t>(d.image)]);
        ASSERT_LE(std::abs(real - d.target), v.radius()) << name << ' ' << type;
        ASSERT_GE(d.fake_response, std::max(0.0, d.target - v.radius()));
        ASSERT_LE(d.fake_response, std::min(1.0, d.target + v.radius()));
        ASSERT_DOUBLE_EQ(d.real_weight, v.weight(real, d.target));
        ASSERT_DOUBLE_EQ(d.fake_weight, v.soft ? v.weight(d.fake_response, d.target) : 1);
        ASSERT_DOUBLE_EQ(d.base, v.base());
      }
    }
}

// A sparse response gets a wide vicinity and a frequent one a narrow one, where the fixed one takes
// the largest gap for all.
TEST(AdaptiveVicinity, FollowsTheDensity) {
  Labels labels;
  for (int i = 0; i < 50; ++i) labels.push_back(static_cast<float>(i) / 250);  // dense below 0.2
  labels.push_back(0.6f), labels.push_back(1.0f);
  const SortedResponses sorted(labels);
  const Vicinity fixed = vicinity_of(sorted, {.type = "hard", .sigma = 0, .kappa = -1});
  const Vicinity rule =
      vicinity_of(sorted, {.type = "hard", .sigma = 0, .kappa = -1, .min_images = 5});
  EXPECT_LT(rule.at(sorted, 0.1).radius(), 0.02);
  EXPECT_GT(rule.at(sorted, 0.8).radius(), 0.5);
  EXPECT_NEAR(fixed.at(sorted, 0.1).radius(), 0.404, 1e-5);
}

TEST(Vicinity, ClippedTargetsLeaveTheResponsesAtMostOncePerBatch) {
  const Labels labels{0.3f, 0.35f, 0.5f, 0.7f};
  const SortedResponses sorted(labels);
  Vicinity v{.soft = false, .sigma = 0.3, .kappa = 0.1};
  const auto outliers = [&](const std::vector<double>& targets) {
    return std::count_if(targets.begin(), targets.end(), [&](double y) {
      return y < sorted.distinct().front() || y > sorted.distinct().back();
    });
  };
  Stream free(4), clipped(4);
  EXPECT_GT(outliers(draw_targets(sorted, v, 200, free)), 50);
  v.clip_targets = true;
  int64_t sum = 0;
  for (int batch = 0; batch < 20; ++batch) {
    const int64_t found = outliers(draw_targets(sorted, v, 50, clipped));
    EXPECT_LE(found, 1);
    sum += found;
    std::vector<double> targets;
    for (const VicinalDraw& d : draw_vicinal_batch(sorted, v, 50, clipped)) {
      targets.push_back(d.target);
      EXPECT_TRUE(by_brute_force(labels, v, d.target).contains(d.image));
    }
    EXPECT_LE(outliers(targets), 1);
  }
  EXPECT_GT(sum, 0) << "the original stops at one, not at none";
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
         "gan.vicinity.type: expected hard, soft or hybrid, found 'round'");
  expect(error_of([&] { vicinity_of(two, {.type = "hybrid"}); }),
         "gan.vicinity.type: hybrid is one of the adaptive vicinities; expected "
         "gan.vicinity.min_images above 0, found 0");
  expect(error_of([&] { vicinity_of(two, {.type = "soft", .min_images = 3}); }),
         "gan.vicinity.min_images: expected 0 to 2 (the number of training images), found 3");
  expect(error_of([&] { vicinity_of(two, {.type = "soft", .min_images = -1}); }),
         "gan.vicinity.min_images: expected 0 or more, found -1");
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
