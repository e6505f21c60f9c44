#include "gan/negatives.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "gan/niqe.h"
#include "gan/sampler.h"
#include "tensor/rows.h"

namespace limbeck::gan {
namespace {

constexpr double smallest_radius = 1e-6;  // from which one of 0, a hard vicinity's, can grow

void check_share(const char* key, double value) {
  LIMBECK_CHECK(value >= 0 && value < 1, "gan.negatives.", key, ": expected 0 to below 1, found ",
                value);
}

}  // namespace

void check(const NegativeSettings& s, int64_t steps) {
  check_share("mismatched", s.mismatched);
  check_share("poor", s.poor);
  check_share("mismatched_quantile", s.mismatched_quantile);
  check_share("poor_quantile", s.poor_quantile);
  LIMBECK_CHECK(
      s.mismatched + s.poor < 1,
      "gan.negatives: expected mismatched + poor below 1, the generator's images have the "
      "rest; found ",
      s.mismatched, " and ", s.poor);
  LIMBECK_CHECK(s.start >= 0 && (!s.used() || s.start < std::max<int64_t>(1, steps)),
                "gan.negatives.start: expected 0 to below gan.steps = ", steps, ", found ",
                s.start);
  LIMBECK_CHECK(s.poor == 0 || s.start > 0,
                "gan.negatives.start: poor fakes come from a trained generator; expected a step "
                "above 0, found 0");
  LIMBECK_CHECK(s.poor == 0 || s.poor_from >= 10,
                "gan.negatives.poor_from: expected at least 10 fakes, found ", s.poor_from);
}

int64_t draw_mismatched(const SortedResponses& r, double y, double quantile, Stream& stream) {
  const double at = quantile * static_cast<double>(r.size() - 1);
  const int64_t below = static_cast<int64_t>(at);  // the (below + 1)-th nearest
  const double cutoff = std::lerp(r.distance_of_nearest(y, below + 1),
                                  r.distance_of_nearest(y, std::min(below + 2, r.size())),
                                  at - static_cast<double>(below));
  auto [begin, end] = r.within(y, cutoff);
  if (begin == 0 && end == r.size()) {  // ties: the farthest ones
    const double farthest = r.distance_of_nearest(y, r.size());
    std::tie(begin, end) = r.within(y, std::nextafter(farthest, 0.0));
  }
  const int64_t i = stream.below(r.size() - (end - begin));
  return r.place(i < begin ? i : i + (end - begin));
}

int64_t draw_near(const SortedResponses& r, double y, double radius, Stream& stream) {
  auto [begin, end] = r.within(y, radius);
  while (begin == end) {
    radius = std::max(smallest_radius, 1.05 * radius);
    std::tie(begin, end) = r.within(y, radius);
  }
  return r.place(begin + stream.below(end - begin));
}

data::Dataset poor_fakes(Generator& generator,
                         const std::function<Condition(const Tensor& y)>& condition,
                         const data::Dataset& real, const NegativeSettings& s,
                         const Stream& stream) {
  const SortedResponses responses(real.targets.span<float>());
  const std::vector<double>& distinct = responses.distinct();
  Stream draws = stream.fork("responses");
  data::Dataset made;
  made.targets = Tensor::empty({s.poor_from});
  for (float& y : made.targets.span<float>())
    y = static_cast<float>(
        distinct[static_cast<size_t>(draws.below(static_cast<int64_t>(distinct.size())))]);
  made.images = data::to_bytes(sample(generator, condition(made.targets), stream.fork("images")));
  const std::vector<double> quality = niqe(niqe_model(real.images), made.images);
  std::vector<int64_t> order(quality.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return quality[static_cast<size_t>(a)] > quality[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(std::max<int64_t>(
      1, std::llround((1 - s.poor_quantile) * static_cast<double>(s.poor_from)))));
  data::Dataset poor;
  poor.images = take_rows(made.images, order);
  poor.targets = take_rows(made.targets, order);
  return poor;
}

}  // namespace limbeck::gan
