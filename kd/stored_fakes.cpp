#include "kd/stored_fakes.h"

#include <algorithm>
#include <numeric>

#include "tensor/error.h"

namespace limbeck::kd {
namespace {

/// `rows` by their label, those with equal labels as they come.
void sort_by_label(const data::Dataset& d, std::vector<int64_t>& rows) {
  const Tensor& labels = labels_of(d);
  std::stable_sort(rows.begin(), rows.end(),
                   [&](int64_t a, int64_t b) { return labels.at(a) < labels.at(b); });
}

}  // namespace

const Tensor& labels_of(const data::Dataset& d) { return d.classes > 0 ? d.labels : d.targets; }

StoredFakes::StoredFakes(data::Dataset fakes, bool flip) : fakes_(std::move(fakes)), flip_(flip) {
  LIMBECK_CHECK(fakes_.size() > 0, "stored fakes: the set has no images");
  order_.resize(static_cast<size_t>(fakes_.size()));
  std::iota(order_.begin(), order_.end(), 0);
  sort_by_label(fakes_, order_);
  for (const int64_t row : order_) labels_.push_back(labels_of(fakes_).at(row));
}

std::pair<int64_t, int64_t> StoredFakes::range_of(double y) const {
  const auto [first, last] = std::equal_range(labels_.begin(), labels_.end(), y);
  const int64_t begin = first - labels_.begin(), end = last - labels_.begin();
  if (fakes_.classes > 0) {
    LIMBECK_CHECK(begin < end, "stored fakes: the set has no image of class ", y);
    return {begin, end};
  }
  // Replaced labels are all different: with the single nearest image a response would be a picture.
  constexpr int64_t beside = 5;
  const auto n = static_cast<int64_t>(labels_.size());
  return {std::clamp<int64_t>(begin - beside, 0, n - 1), std::clamp<int64_t>(end + beside, 1, n)};
}

Tensor StoredFakes::operator()(const Tensor& y, const Stream& stream) const {
  Stream pick = stream.fork("pick");
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < y.numel(); ++i) {
    const auto [begin, end] = range_of(y.at(i));
    rows.push_back(order_[static_cast<size_t>(begin + pick.below(end - begin))]);
  }
  return data::make_batch(fakes_.images, rows, {0, flip_}, data::halves(fakes_),
                          stream.fork("flip"));
}

std::pair<data::Dataset, data::Dataset> halves_by_label(const data::Dataset& set, Stream stream) {
  std::vector<int64_t> order = stream.permutation(set.size()), halves[2];
  sort_by_label(set, order);
  for (size_t i = 0; i < order.size(); ++i) halves[i % 2].push_back(order[i]);
  return {set.select(halves[0]), set.select(halves[1])};
}

}  // namespace limbeck::kd
