// Dataset: choosing rows, counting classes, joining sets, and the per-channel statistics.
#include "data/dataset.h"

#include <cmath>
#include <cstring>

namespace limbeck::data {
namespace {

/// Rows of a tensor's leading dimension in the order of an index list.
Tensor take_rows(const Tensor& t, const std::vector<int64_t>& index) {
  Shape shape = t.shape();
  const int64_t rows = shape[0];
  shape.set(0, static_cast<int64_t>(index.size()));
  Tensor out = Tensor::empty(shape, t.dtype());
  const int64_t row_bytes = rows > 0 ? t.bytes() / rows : 0;
  for (size_t i = 0; i < index.size(); ++i) {
    LIMBECK_CHECK(index[i] >= 0 && index[i] < rows, "dataset: row ", index[i], " asked from ", rows, " rows");
    std::memcpy(static_cast<char*>(out.raw()) + static_cast<int64_t>(i) * row_bytes,
                static_cast<const char*>(t.raw()) + index[i] * row_bytes, static_cast<size_t>(row_bytes));
  }
  return out;
}

Tensor join_rows(const Tensor& a, const Tensor& b) {
  Shape shape = a.shape();
  shape.set(0, a.size(0) + b.size(0));
  Tensor out = Tensor::empty(shape, a.dtype());
  if (a.bytes() > 0) std::memcpy(out.raw(), a.raw(), static_cast<size_t>(a.bytes()));
  if (b.bytes() > 0) std::memcpy(static_cast<char*>(out.raw()) + a.bytes(), b.raw(), static_cast<size_t>(b.bytes()));
  return out;
}

}  // namespace

Standardisation halves(const Dataset& d) {
  const std::vector<double> half(d.images.defined() ? static_cast<size_t>(d.channels()) : 0, 0.5);
  return {half, half};
}

Tensor take(const Tensor& all, const std::vector<int64_t>& index) { return all.defined() ? take_rows(all, index) : all; }

Dataset Dataset::select(const std::vector<int64_t>& index) const {
  Dataset out;
  out.images = take_rows(images, index);
  if (labels.defined()) out.labels = take_rows(labels, index);
  if (targets.defined()) out.targets = take_rows(targets, index);
  out.classes = classes;
  out.class_names = class_names;
  return out;
}

std::vector<int64_t> Dataset::histogram() const {
  LIMBECK_CHECK(classes > 0 && labels.defined(), "dataset: a histogram of classes needs labels; this set has responses");
  std::vector<int64_t> count(static_cast<size_t>(classes), 0);
  for (const int64_t label : labels.span<int64_t>()) {
    LIMBECK_CHECK(label >= 0 && label < classes, "dataset: label ", label, " outside 0..", classes - 1);
    ++count[static_cast<size_t>(label)];
  }
  return count;
}

Dataset concatenate(const Dataset& a, const Dataset& b) {
  LIMBECK_CHECK(a.images.defined() && b.images.defined(), "concatenate: a dataset without images");
  LIMBECK_CHECK(a.height() == b.height() && a.width() == b.width() && a.channels() == b.channels(),
                "concatenate: images of unequal size: ", describe(a.images), " and ", describe(b.images));
  LIMBECK_CHECK(a.classes == b.classes && a.labels.defined() == b.labels.defined() && a.targets.defined() == b.targets.defined(),
                "concatenate: sets of different tasks: ", a.classes, " classes and ", b.classes, " classes (0: responses)");
  Dataset out;
  out.images = join_rows(a.images, b.images);
  if (a.labels.defined()) out.labels = join_rows(a.labels, b.labels);
  if (a.targets.defined()) out.targets = join_rows(a.targets, b.targets);
  out.classes = a.classes;
  out.class_names = a.class_names.empty() ? b.class_names : a.class_names;
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
