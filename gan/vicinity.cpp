#include "gan/vicinity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/ranges.h"

namespace limbeck::gan {
namespace {

constexpr double smallest_weight = 1e-3;  // of a soft vicinity
constexpr double smallest_base = 1e-5;    // of an adaptive one
constexpr int64_t most_redraws = 100'000;

double pick(const std::vector<double>& values, Stream& stream) {
  return values[static_cast<size_t>(stream.below(static_cast<int64_t>(values.size())))];
}

double rule_of_thumb(const SortedResponses& r) {
  return 1.06 * r.deviation() * std::pow(static_cast<double>(r.size()), -0.2);
}

double kappa_of(const SortedResponses& r, double setting, bool soft) {
  if (setting >= 0) return setting;
  const double base = -setting * r.largest_gap();
  LIMBECK_CHECK(base > 0, "gan.vicinity.kappa: ", setting,
                " asks for a multiple of the largest gap between responses, but all ", r.size(),
                " are ", r.value(0), "; give a number above 0");
  return soft ? 1 / (base * base) : base;
}

/// The first index for which `before` does not hold; it holds for none behind one for which it does
/// not.
template <class Before>
int64_t first_not(int64_t low, int64_t high, Before&& before) {
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (before(middle))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/// y' and y' + eps.
struct Target {
  double clean, y;
};

double noisy(double clean, const Vicinity& v, Stream& stream) {
  return clean + v.sigma * stream.normal();
}

Target new_target(const SortedResponses& r, const Vicinity& v, Stream& stream) {
  const double clean = pick(r.distinct(), stream);
  return {clean, noisy(clean, v, stream)};
}

bool outside(double y, const SortedResponses& r) {
  return y < r.distinct().front() || y > r.distinct().back();
}

void check_draws(int64_t draws, const SortedResponses& r, const Vicinity& v) {
  LIMBECK_CHECK(draws < most_redraws, "gan.vicinity.clip_targets: no noise of sigma ", v.sigma,
                " leaves a target within ", r.distinct().front(), "..", r.distinct().back(), " in ",
                draws, " draws; lower sigma");
}

std::vector<Target> new_targets(const SortedResponses& r, const Vicinity& v, int64_t n,
                                Stream& stream) {
  std::vector<Target> all;
  for (int64_t i = 0; i < n; ++i) all.push_back(new_target(r, v, stream));
  if (!v.clip_targets) return all;
  for (int64_t draws = 0;; ++draws) {
    check_draws(draws, r, v);
    const auto is_outlier = [&](const Target& t) { return outside(t.y, r); };
    if (std::count_if(all.begin(), all.end(), is_outlier) <= 1) return all;
    for (Target& t : all)
      if (is_outlier(t)) t.y = noisy(t.clean, v, stream);
  }
}

/// Other noise for a target without images.
double redrawn(double clean, const SortedResponses& r, const Vicinity& v, Stream& stream) {
  for (int64_t draws = 0;; ++draws) {
    check_draws(draws, r, v);
    const double y = noisy(clean, v, stream);
    if (!v.clip_targets || !outside(y, r)) return y;
  }
}

VicinalDraw draw_near(const SortedResponses& r, const Vicinity& rule, Target t, Stream& stream) {
  Vicinity v = rule.at(r, t.y);
  std::pair<int64_t, int64_t> near = v.range(r, t.y);
  for (int64_t draws = 1; near.first == near.second; ++draws) {
    LIMBECK_CHECK(draws < most_redraws, "gan.vicinity: no image within ", v.radius(), " of ",
                  t.clean, " plus noise in ", draws, " draws; lower sigma (", v.sigma,
                  ") or widen the vicinity (kappa ", v.kappa, ")");
    t.y = redrawn(t.clean, r, rule, stream);
    v = rule.at(r, t.y);
    near = v.range(r, t.y);
  }
  const int64_t i = near.first + stream.below(near.second - near.first);
  const double radius = v.radius();
  const double fake = stream.uniform(std::max(0.0, t.y - radius), std::min(1.0, t.y + radius));
  return {t.y,     r.place(i), fake, v.weight(r.value(i), t.y), v.soft ? v.weight(fake, t.y) : 1,
          v.base()};
}

}  // namespace

SortedResponses::SortedResponses(std::span<const float> responses) : places_(responses.size()) {
  LIMBECK_CHECK(!responses.empty(), "vicinity: there are no responses");
  for (size_t i = 0; i < responses.size(); ++i)
    LIMBECK_CHECK(responses[i] >= 0 && responses[i] <= 1,
                  "vicinity: expected responses normalised to [0, 1], found ", responses[i],
                  " for image ", i);
  std::iota(places_.begin(), places_.end(), 0);
  std::stable_sort(places_.begin(), places_.end(), [&](int64_t a, int64_t b) {
    return responses[static_cast<size_t>(a)] < responses[static_cast<size_t>(b)];
  });
  for (const int64_t i : places_)
    values_.push_back(static_cast<double>(responses[static_cast<size_t>(i)]));
  std::unique_copy(values_.begin(), values_.end(), std::back_inserter(distinct_));
}

double SortedResponses::largest_gap() const {
  double gap = 0;
  for (size_t i = 1; i < distinct_.size(); ++i)
    gap = std::max(gap, distinct_[i] - distinct_[i - 1]);
  return gap;
}

double SortedResponses::deviation() const {
  const double n = static_cast<double>(size()),
               mean = std::accumulate(values_.begin(), values_.end(), 0.0) / n;
  double square = 0;
  for (const double v : values_) square += (v - mean) * (v - mean);
  return std::sqrt(square / n);
}

double SortedResponses::quantile(double p) const {
  const double at = p * static_cast<double>(size() - 1);
  const int64_t below = static_cast<int64_t>(at);
  return std::lerp(value(below), value(std::min(below + 1, size() - 1)),
                   at - static_cast<double>(below));
}

double SortedResponses::distance_of_nearest(double y, int64_t k) const {
  // Of the windows of k neighbours the first whose left end is not farther away than what follows
  // its right end.
  const int64_t begin =
      first_not(0, size() - k, [&](int64_t i) { return y - value(i) > value(i + k) - y; });
  return std::max(std::abs(value(begin) - y), std::abs(value(begin + k - 1) - y));
}

std::pair<int64_t, int64_t> SortedResponses::within(double y, double distance) const {
  const auto near = [&](int64_t i) { return std::abs(value(i) - y) <= distance; };
  return {first_not(0, size(), [&](int64_t i) { return value(i) < y && !near(i); }),
          first_not(0, size(), [&](int64_t i) { return value(i) < y || near(i); })};
}

Vicinity Vicinity::at(const SortedResponses& responses, double y) const {
  if (min_images == 0) return *this;
  Vicinity v = *this;
  const double own = std::max(smallest_base, responses.distance_of_nearest(y, min_images));
  v.kappa = soft ? 1 / (own * own) : own;
  if (hybrid) v.reach = own;
  v.min_images = 0;
  return v;
}

double Vicinity::weight(double a, double b) const {
  if (!soft) return holds(a, b) ? 1 : 0;
  return std::exp(-kappa * (a - b) * (a - b));
}

bool Vicinity::holds(double a, double b) const {
  if (!soft) return std::abs(a - b) <= kappa;
  return (a - b) * (a - b) * kappa <= -std::log(smallest_weight) && std::abs(a - b) <= reach;
}

double Vicinity::radius() const {
  return soft ? std::min(reach, std::sqrt(-std::log(smallest_weight) / kappa)) : kappa;
}

std::pair<int64_t, int64_t> Vicinity::range(const SortedResponses& r, double y) const {
  // The test itself, not y - radius and y + radius: it is monotone on each side of y and knows no
  // rounding of its own.
  return {
      first_not(0, r.size(), [&](int64_t i) { return r.value(i) < y && !holds(r.value(i), y); }),
      first_not(0, r.size(), [&](int64_t i) { return r.value(i) < y || holds(r.value(i), y); })};
}

void check(const VicinitySettings& s) {
  LIMBECK_CHECK(s.type == "hard" || s.type == "soft" || s.type == "hybrid",
                "gan.vicinity.type: expected hard, soft or hybrid, found '", s.type, "'");
  LIMBECK_CHECK(std::isfinite(s.sigma) && std::isfinite(s.kappa),
                "gan.vicinity: expected finite sigma and kappa, found ", s.sigma, " and ", s.kappa);
  LIMBECK_CHECK(s.type != "hybrid" || s.min_images > 0,
                "gan.vicinity.type: hybrid is one of the adaptive vicinities; expected "
                "gan.vicinity.min_images above 0, found ",
                s.min_images);
  expect_count("gan.vicinity.min_images", 0, s.min_images);
}

Vicinity vicinity_of(const SortedResponses& responses, const VicinitySettings& s) {
  check(s);
  LIMBECK_CHECK(s.min_images <= responses.size(), "gan.vicinity.min_images: expected 0 to ",
                responses.size(), " (the number of training images), found ", s.min_images);
  Vicinity v{.soft = s.type != "hard",
             .sigma = s.sigma >= 0 ? s.sigma : rule_of_thumb(responses),
             .min_images = s.min_images,
             .hybrid = s.type == "hybrid",
             .clip_targets = s.clip_targets};
  if (v.min_images > 0) return v;
  v.kappa = kappa_of(responses, s.kappa, v.soft);
  LIMBECK_CHECK(v.kappa > 0 || (!v.soft && v.sigma == 0),
                "gan.vicinity.kappa: expected a number above 0 (0 only for a hard vicinity without "
                "noise), found ",
                s.kappa);
  return v;
}

double draw_target(const SortedResponses& responses, const Vicinity& vicinity, Stream& stream) {
  return new_target(responses, vicinity, stream).y;
}

VicinalDraw draw_vicinal(const SortedResponses& responses, const Vicinity& vicinity,
                         Stream& stream) {
  return draw_near(responses, vicinity, new_target(responses, vicinity, stream), stream);
}

std::vector<double> draw_targets(const SortedResponses& responses, const Vicinity& vicinity,
                                 int64_t n, Stream& stream) {
  std::vector<double> all;
  for (const Target& t : new_targets(responses, vicinity, n, stream)) all.push_back(t.y);
  return all;
}

std::vector<VicinalDraw> draw_vicinal_batch(const SortedResponses& responses,
                                            const Vicinity& vicinity, int64_t n, Stream& stream) {
  std::vector<VicinalDraw> all;
  if (!vicinity.clip_targets) {
    for (int64_t i = 0; i < n; ++i) all.push_back(draw_vicinal(responses, vicinity, stream));
    return all;
  }
  for (const Target& t : new_targets(responses, vicinity, n, stream))
    all.push_back(draw_near(responses, vicinity, t, stream));
  return all;
}

}  // namespace limbeck::gan
