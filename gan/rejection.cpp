#include "gan/rejection.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace limbeck::gan {
namespace {

/// Rows collected one by one into a tensor of n rows, made when the first row shows the shape.
class Rows {
 public:
  explicit Rows(int64_t n) : n_(n) {}
  bool full() const { return filled_ == n_; }
  int64_t filled() const { return filled_; }
  void take(const Tensor& from, int64_t row) {
    if (full()) return;
    if (!rows_.defined()) {
      Shape shape = from.shape();
      shape.set(0, n_);
      rows_ = Tensor::empty(shape, from.dtype());
    }
    const size_t bytes = static_cast<size_t>(from.bytes() / from.size(0));
    std::memcpy(static_cast<char*>(rows_.raw()) + static_cast<size_t>(filled_++) * bytes,
                static_cast<const char*>(from.raw()) + static_cast<size_t>(row) * bytes, bytes);
  }
  Tensor tensor() const { return rows_; }

 private:
  int64_t n_, filled_ = 0;
  Tensor rows_;
};

/// Bytes and back to [-1, 1]: what a stored image looks like to the ratio net.
Tensor quantised(const Tensor& images) {
  Tensor out = Tensor::empty_like(images);
  const Tensor bytes = data::to_bytes(images);
  const auto in = bytes.span<uint8_t>();
  const auto values = out.span<float>();
  for (size_t i = 0; i < in.size(); ++i) values[i] = (static_cast<float>(in[i]) / 255.0f - 0.5f) / 0.5f;
  return out;
}

struct Proposal {
  Tensor samples;
  std::vector<float> ratios;
};

std::string name_of(const Tensor& condition) {
  return condition.dtype() == DType::i64 ? cat("class ", condition.data<int64_t>()[0]) : cat("response ", condition.item());
}

Proposal propose(const ImageSource& source, const RatioFunction& ratio, const Tensor& condition, int64_t n, bool quantise, const Stream& stream) {
  const Tensor y = repeat(condition, n);
  const Tensor samples = source(y, stream);
  LIMBECK_CHECK(samples.rank() >= 1 && samples.size(0) == n, "rejection sampling: asked the generator for ", n, " samples, got ", describe(samples));
  const Tensor r = ratio(quantise ? quantised(samples) : samples, y);
  LIMBECK_CHECK(r.numel() == n, "rejection sampling: expected ", n, " ratios, found ", describe(r));
  Proposal p{samples, r.to_vector<float>()};
  for (float v : p.ratios)
    LIMBECK_CHECK(std::isfinite(v) && v >= 0, "rejection sampling: a ratio of ", name_of(condition), " is ", v, "; expected a number >= 0");
  return p;
}

}  // namespace

Tensor repeat(const Tensor& condition, int64_t n) {
  LIMBECK_CHECK(condition.numel() == 1, "expected one condition, found ", describe(condition));
  if (condition.dtype() == DType::i64) return Tensor::of(std::vector<int64_t>(static_cast<size_t>(n), condition.data<int64_t>()[0]));
  return Tensor::of(std::vector<float>(static_cast<size_t>(n), static_cast<float>(condition.item())));
}

Accepted rejection_sample(const ImageSource& source, const RatioFunction& ratio, const Tensor& condition, int64_t n,
                          const RejectionSettings& settings, const Stream& stream, bool as_bytes) {
  LIMBECK_CHECK(n > 0 && settings.batch > 0 && settings.burn_in > 0, "rejection sampling: expected positive numbers of images, batch and burn-in, found ",
                n, ", ", settings.batch, ", ", settings.burn_in);
  Accepted result;
  for (int64_t begin = 0, k = 0; begin < settings.burn_in; begin += settings.batch, ++k) {
    const int64_t count = std::min(settings.batch, settings.burn_in - begin);
    const Proposal p = propose(source, ratio, condition, count, settings.quantise, stream.fork("burn-in", static_cast<uint64_t>(k)));
    for (float r : p.ratios) result.bound = std::max<double>(result.bound, r);
  }
  LIMBECK_CHECK(result.bound > 0, "rejection sampling: the density ratio of all ", settings.burn_in, " burn-in images of ", name_of(condition),
                " is zero; train the ratio net again with another seed or longer");
  Rows rows(n);
  for (int64_t k = 0; !rows.full(); ++k) {
    LIMBECK_CHECK(k < settings.max_batches, "rejection sampling: only ", rows.filled(), " of ", n, " images of ", name_of(condition), " accepted after ",
                  result.proposed, " proposals; the density ratio is concentrated on few images: train the gan or the ratio net longer, or raise max_batches");
    const Proposal p = propose(source, ratio, condition, settings.batch, settings.quantise, stream.fork("batch", static_cast<uint64_t>(k)));
    for (float r : p.ratios) result.bound = std::max<double>(result.bound, r);
    Stream psi = stream.fork("psi", static_cast<uint64_t>(k));
    const Tensor kept = as_bytes ? data::to_bytes(p.samples) : p.samples;
    for (int64_t i = 0; i < settings.batch; ++i) {
      if (psi.uniform() > p.ratios[static_cast<size_t>(i)] / result.bound) continue;
      ++result.accepted;
      rows.take(kept, i);
    }
    result.proposed += settings.batch;
  }
  result.samples = rows.tensor();
  return result;
}

Tensor plain_sample(const ImageSource& source, const Tensor& condition, int64_t n, int64_t batch, const Stream& stream, bool as_bytes) {
  LIMBECK_CHECK(n > 0 && batch > 0, "sampling: expected positive numbers of images and batch, found ", n, " and ", batch);
  Rows rows(n);
  for (int64_t k = 0; !rows.full(); ++k) {
    const int64_t count = std::min(batch, n - rows.filled());
    const Tensor samples = source(repeat(condition, count), stream.fork("batch", static_cast<uint64_t>(k)));
    const Tensor kept = as_bytes ? data::to_bytes(samples) : samples;
    for (int64_t i = 0; i < count; ++i) rows.take(kept, i);
  }
  return rows.tensor();
}

}  // namespace limbeck::gan
