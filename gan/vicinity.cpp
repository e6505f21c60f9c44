#include "gan/vicinity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace limbeck::gan {
namespace {

constexpr double smallest_weight = 1e-3;  // of a soft vicinity
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

double Vicinity::weight(double a, double b) const {
  if (!soft) return holds(a, b) ? 1 : 0;
  return std::exp(-kappa * (a - b) * (a - b));
}

bool Vicinity::holds(double a, double b) const {
  if (!soft) return std::abs(a - b) <= kappa;
  return (a - b) * (a - b) * kappa <= -std::log(smallest_weight);
}

double Vicinity::radius() const {
  return soft ? std::sqrt(-std::log(smallest_weight) / kappa) : kappa;
}

std::pair<int64_t, int64_t> Vicinity::range(const SortedResponses& r, double y) const {
  // The test itself, not y - radius and y + radius: it is monotone on each side of y and knows no
  // rounding of its own.
  const auto first = [&](auto&& before) {
    int64_t low = 0, high = r.size();
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (before(r.value(middle)))
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  };
  return {first([&](double v) { return v < y && !holds(v, y); }),
          first([&](double v) { return v < y || holds(v, y); })};
}

Vicinity vicinity_of(const SortedResponses& responses, const VicinitySettings& s) {
  LIMBECK_CHECK(s.type == "hard" || s.type == "soft",
                "gan.vicinity.type: expected hard or soft, found '", s.type, "'");
  LIMBECK_CHECK(std::isfinite(s.sigma) && std::isfinite(s.kappa),
                "gan.vicinity: expected finite sigma and kappa, found ", s.sigma, " and ", s.kappa);
  Vicinity v{.soft = s.type == "soft", .sigma = s.sigma >= 0 ? s.sigma : rule_of_thumb(responses)};
  v.kappa = kappa_of(responses, s.kappa, v.soft);
  LIMBECK_CHECK(v.kappa > 0 || (!v.soft && v.sigma == 0),
                "gan.vicinity.kappa: expected a number above 0 (0 only for a hard vicinity without "
                "noise), found ",
                s.kappa);
  return v;
}

double draw_target(const SortedResponses& responses, const Vicinity& vicinity, Stream& stream) {
  const double y = pick(responses.distinct(), stream);
  return y + vicinity.sigma * stream.normal();
}

VicinalDraw draw_vicinal(const SortedResponses& responses, const Vicinity& vicinity,
                         Stream& stream) {
  const double clean = pick(responses.distinct(), stream);
  double y = clean;
  std::pair<int64_t, int64_t> near;
  for (int64_t draws = 0;; ++draws) {
    LIMBECK_CHECK(draws < most_redraws, "gan.vicinity: no image within ", vicinity.radius(), " of ",
                  clean, " plus noise in ", draws, " draws; lower sigma (", vicinity.sigma,
                  ") or widen the vicinity (kappa ", vicinity.kappa, ")");
    y = clean + vicinity.sigma * stream.normal();
    near = vicinity.range(responses, y);
    if (near.first < near.second) break;
  }
  const int64_t i = near.first + stream.below(near.second - near.first);
  const double r = vicinity.radius();
  const double fake = stream.uniform(std::max(0.0, y - r), std::min(1.0, y + r));
  return {y, responses.place(i), fake, vicinity.weight(responses.value(i), y),
          vicinity.soft ? vicinity.weight(fake, y) : 1};
}

}  // namespace limbeck::gan
