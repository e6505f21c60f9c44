// Dataset: choosing rows, counting classes, joining sets, and the per-channel statistics.
#include "data/dataset.h"

#include <algorithm>
#include <cmath>

#include "tensor/rows.h"

namespace limbeck::data {
namespace {

template <class F>
Tensor each_element(const Tensor& t, F f) {
  const Tensor out = Tensor::empty_like(t);
  const auto in = t.span<float>();
  std::transform(in.begin(), in.end(), out.data<float>(),
                 [&](float v) { return static_cast<float>(f(static_cast<double>(v))); });
  return out;
}

}  // namespace

void ResponseScale::expect_line(const std::string& who) const {
  LIMBECK_CHECK(!wraps, who, ": the responses wrap (", high, unit.empty() ? "" : " ", unit, " is ",
                low,
                " again), expected an interval without wrapping: one output and its squared "
                "error know no circle; leave response_wraps out, with a "
                "part of the turn (response_from, response_to) or with a seam");
}

Tensor ResponseScale::to_unit(const Tensor& responses) const {
  expect_line("response scale");
  return each_element(responses, [this](double v) { return to_unit(v); });
}

Tensor ResponseScale::from_unit(const Tensor& values) const {
  expect_line("response scale");
  return each_element(values, [this](double v) { return from_unit(v); });
}

Standardisation halves(const Dataset& d) {
  const std::vector<double> half(d.images.defined() ? static_cast<size_t>(d.channels()) : 0, 0.5);
  return {half, half};
}

Dataset Dataset::select(const std::vector<int64_t>& index) const {
  Dataset out = *this;
  out.images = take_rows(images, index);
  out.labels = take_rows(labels, index);
  out.targets = take_rows(targets, index);
  return out;
}

std::vector<int64_t> Dataset::histogram() const {
  LIMBECK_CHECK(classes > 0 && labels.defined(),
                "dataset: a histogram of classes needs labels; this set has responses");
  std::vector<int64_t> count(static_cast<size_t>(classes), 0);
  for (const int64_t label : labels.span<int64_t>()) {
    LIMBECK_CHECK(label >= 0 && label < classes, "dataset: label ", label, " outside 0..",
                  classes - 1);
    ++count[static_cast<size_t>(label)];
  }
  return count;
}

Dataset concatenate(const Dataset& a, const Dataset& b) {
  LIMBECK_CHECK(a.images.defined() && b.images.defined(), "concatenate: a dataset without images");
  LIMBECK_CHECK(a.height() == b.height() && a.width() == b.width() && a.channels() == b.channels(),
                "concatenate: images of unequal size: ", describe(a.images), " and ",
                describe(b.images));
  LIMBECK_CHECK(a.classes == b.classes && a.labels.defined() == b.labels.defined() &&
                    a.targets.defined() == b.targets.defined(),
                "concatenate: sets of different tasks: ", a.classes, " classes and ", b.classes,
                " classes (0: responses)");
  LIMBECK_CHECK(a.scale == b.scale, "concatenate: responses of different scales: [", a.scale.low,
                ", ", a.scale.high, "] ", a.scale.unit, " and [", b.scale.low, ", ", b.scale.high,
                "] ", b.scale.unit);
  Dataset out = a;
  out.images = join_rows({a.images, b.images});
  out.labels = join_rows({a.labels, b.labels});
  out.targets = join_rows({a.targets, b.targets});
  if (out.class_names.empty()) out.class_names = b.class_names;
  return out;
}

Standardisation standardisation_of(const Dataset& d) {
  LIMBECK_CHECK(d.size() > 0, "standardisation: the dataset is empty");
  const int64_t channels = d.channels(), pixels = d.images.numel() / channels;
  // Bytes have 256 values: exact integer counts first, then f64 sums of 256 terms.
  std::vector<int64_t> count(static_cast<size_t>(channels) * 256, 0);
  const uint8_t* p = d.images.data<uint8_t>();
  for (int64_t i = 0; i < pixels; ++i)
    for (int64_t c = 0; c < channels; ++c) ++count[static_cast<size_t>(c * 256 + *p++)];

  Standardisation s;
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    const int64_t* n = &count[static_cast<size_t>(c) * 256];
    for (int v = 0; v < 256; ++v) sum += static_cast<double>(n[v]) * v;
    const double mean = sum / static_cast<double>(pixels);
    for (int v = 0; v < 256; ++v) squares += static_cast<double>(n[v]) * (v - mean) * (v - mean);
    s.mean.push_back(mean / 255);
    s.deviation.push_back(std::sqrt(squares / static_cast<double>(pixels)) / 255);
  }
  return s;
}

}  // namespace limbeck::data
