#include "gan/rejection.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "tensor/ranges.h"
#include "tensor/rows.h"
#include "tensor/transfer.h"

namespace limbeck::gan {
namespace {

/// The first n of the rows that are handed in.
class Rows {
 public:
  explicit Rows(int64_t n) : n_(n) {}
  bool full() const { return filled_ == n_; }
  int64_t filled() const { return filled_; }
  void take(const Tensor& from, std::vector<int64_t> index) {
    index.resize(std::min(index.size(), static_cast<size_t>(n_ - filled_)));
    filled_ += static_cast<int64_t>(index.size());
    parts_.push_back(take_rows(from, index));
  }
  Tensor tensor() const { return join_rows(parts_); }

 private:
  int64_t n_, filled_ = 0;
  std::vector<Tensor> parts_;
};

/// Bytes and back to [-1, 1]: what a stored image looks like to the ratio net.
Tensor quantised(const Tensor& images) {
  Tensor out = Tensor::empty_like(images);
  const Tensor bytes = data::to_bytes(images);
  const auto in = bytes.span<uint8_t>();
  const auto values = out.span<float>();
  for (size_t i = 0; i < in.size(); ++i)
    values[i] = (static_cast<float>(in[i]) / 255.0f - 0.5f) / 0.5f;
  return out;
}

/// Samples where the source made them, ratios where they were computed.
struct Proposal {
  Tensor samples, ratios;
};

std::string name_of(const Tensor& condition) {
  return condition.dtype() == DType::i64 ? cat("class ", condition.data<int64_t>()[0])
                                         : cat("response ", condition.item());
}

Proposal propose(const ImageSource& source, const RatioFunction& ratio, const Tensor& condition,
                 int64_t n, bool quantise, const Stream& stream) {
  const Tensor y = repeat(condition, n);
  const Tensor samples = source(y, stream);
  LIMBECK_CHECK(samples.rank() >= 1 && samples.size(0) == n,
                "rejection sampling: asked the generator for ", n, " samples, got ",
                describe(samples));
  const Tensor r = ratio(quantise ? quantised(samples.to(cpu)) : samples, y);
  LIMBECK_CHECK(r.numel() == n, "rejection sampling: expected ", n, " ratios, found ", describe(r));
  return {samples, r};
}

void check_ratios(std::span<const float> ratios, const Tensor& condition) {
  for (float v : ratios)
    LIMBECK_CHECK(std::isfinite(v) && v >= 0, "rejection sampling: a ratio of ", name_of(condition),
                  " is ", v, "; expected a number >= 0");
}

/// The samples of one condition that a batch's draws accept, the bound rising on the way.
class Acceptance {
 public:
  Acceptance(const ImageSource& source, const RatioFunction& ratio, const Tensor& condition,
             int64_t n, const RejectionSettings& settings, const Stream& stream, bool as_bytes)
      : source_(source),
        ratio_(ratio),
        condition_(condition),
        s_(settings),
        stream_(stream),
        as_bytes_(as_bytes),
        n_(n),
        rows_(n) {}

  Accepted operator()() {
    burn_in();
    for (int64_t k = 0; !rows_.full(); ++k) {
      if (k == s_.max_batches) give_up();
      propose_batch(k);
      // The batch just queued may be the last one that is needed: wait for its acceptances before
      // making another.
      if (rows_.filled() + s_.batch >= n_) reader_.finish();
    }
    result_.samples = rows_.tensor();
    return result_;
  }

 private:
  /// The ratios of the burn-in alone travel.
  void burn_in() {
    for (int64_t begin = 0, k = 0; begin < s_.burn_in; begin += s_.batch, ++k) {
      const int64_t count = std::min(s_.batch, s_.burn_in - begin);
      const Proposal p = propose(source_, ratio_, condition_, count, s_.quantise,
                                 stream_.fork("burn-in", static_cast<uint64_t>(k)));
      reader_.read({p.ratios},
                   [this](const Tensors& on_host) { raise_bound(on_host[0].span<float>()); });
    }
    reader_.finish();
    LIMBECK_CHECK(result_.bound > 0, "rejection sampling: the density ratio of all ", s_.burn_in,
                  " burn-in images of ", name_of(condition_),
                  " is zero; train the ratio net again with another seed or longer");
  }

  void raise_bound(std::span<const float> ratios) {
    check_ratios(ratios, condition_);
    for (float r : ratios) result_.bound = std::max<double>(result_.bound, r);
  }

  void propose_batch(int64_t k) {
    const Proposal p = propose(source_, ratio_, condition_, s_.batch, s_.quantise,
                               stream_.fork("batch", static_cast<uint64_t>(k)));
    if (p.samples.device() == p.ratios.device())
      reader_.read({p.ratios, p.samples}, [this, k](const Tensors& on_host) {
        accept(k, on_host[0].span<float>(), on_host[1]);
      });
    else  // one of the two functions runs on the CPU
      reader_.read({p.ratios}, [this, k, samples = p.samples.to(cpu)](const Tensors& on_host) {
        accept(k, on_host[0].span<float>(), samples);
      });
  }

  void accept(int64_t k, std::span<const float> ratios, const Tensor& samples) {
    raise_bound(ratios);
    Stream psi = stream_.fork("psi", static_cast<uint64_t>(k));
    std::vector<int64_t> accepted;
    for (size_t i = 0; i < ratios.size(); ++i)
      if (psi.uniform() <= ratios[i] / result_.bound) accepted.push_back(static_cast<int64_t>(i));
    result_.accepted += static_cast<int64_t>(accepted.size());
    rows_.take(as_bytes_ ? data::to_bytes(samples) : samples, std::move(accepted));
    result_.proposed += s_.batch;
  }

  [[noreturn]] void give_up() {
    reader_
        .finish();  // for the numbers; a batch that may be the last one has been waited for already
    fail("rejection sampling: only ", rows_.filled(), " of ", n_, " images of ",
         name_of(condition_), " accepted after ", result_.proposed,
         " proposals; the density ratio is concentrated on few images: train the gan or the ratio "
         "net longer, or raise max_batches");
  }

  const ImageSource& source_;
  const RatioFunction& ratio_;
  const Tensor condition_;
  const RejectionSettings& s_;
  const Stream stream_;
  const bool as_bytes_;
  const int64_t n_;
  Rows rows_;
  Accepted result_;
  LateReader reader_;
};

}  // namespace

void check(const RejectionSettings& s) {
  expect_count("fakes.sampling.burn_in", 1, s.burn_in);
  expect_count("fakes.sampling.batch", 1, s.batch);
  expect_count("fakes.sampling.max_batches", 1, s.max_batches);
}

Tensor repeat(const Tensor& condition, int64_t n) {
  LIMBECK_CHECK(condition.numel() == 1, "expected one condition, found ", describe(condition));
  if (condition.dtype() == DType::i64)
    return Tensor::of(std::vector<int64_t>(static_cast<size_t>(n), condition.data<int64_t>()[0]));
  return Tensor::of(
      std::vector<float>(static_cast<size_t>(n), static_cast<float>(condition.item())));
}

Accepted rejection_sample(const ImageSource& source, const RatioFunction& ratio,
                          const Tensor& condition, int64_t n, const RejectionSettings& settings,
                          const Stream& stream, bool as_bytes) {
  LIMBECK_CHECK(
      n > 0 && settings.batch > 0 && settings.burn_in > 0,
      "rejection sampling: expected positive numbers of images, batch and burn-in, found ", n, ", ",
      settings.batch, ", ", settings.burn_in);
  return Acceptance(source, ratio, condition, n, settings, stream, as_bytes)();
}

Tensor plain_sample(const ImageSource& source, const Tensor& condition, int64_t n, int64_t batch,
                    const Stream& stream, bool as_bytes) {
  LIMBECK_CHECK(n > 0 && batch > 0,
                "sampling: expected positive numbers of images and batch, found ", n, " and ",
                batch);
  Rows rows(n);
  LateReader reader;
  for (int64_t begin = 0, k = 0; begin < n; begin += batch, ++k) {
    const int64_t count = std::min(batch, n - begin);
    reader.read({source(repeat(condition, count), stream.fork("batch", static_cast<uint64_t>(k)))},
                [&rows, count, as_bytes](const Tensors& on_host) {
                  std::vector<int64_t> all(static_cast<size_t>(count));
                  std::iota(all.begin(), all.end(), 0);
                  rows.take(as_bytes ? data::to_bytes(on_host[0]) : on_host[0], std::move(all));
                });
  }
  reader.finish();
  return rows.tensor();
}

}  // namespace limbeck::gan
