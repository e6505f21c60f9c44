#include "tensor/random.h"

#include <numeric>

namespace limbeck {
namespace {

/// Runs fill(host tensor) for a tensor of any device: weights and the like, drawn once. What a step
/// draws comes from operators (ops/random.h).
template <class F>
void on_host(const Tensor& t, F&& fill) {
  const Tensor host = Tensor::empty(t.shape(), t.dtype());
  fill(host);
  t.copy_from(host);
}

}  // namespace

uint64_t fnv1a(std::string_view text) {
  uint64_t h = 0xcbf29ce484222325;
  for (unsigned char c : text) h = (h ^ c) * 0x100000001b3;
  return h;
}

Stream Stream::fork(std::string_view purpose) const {
  const PhiloxBlock b = philox(key_, fnv1a(purpose),
                               0x666f726b);  // high word "fork": apart from the drawing counters
  return Stream(static_cast<uint64_t>(b[0]) << 32 | b[1]);
}

Stream Stream::fork(std::string_view purpose, uint64_t index) const {
  const PhiloxBlock b = philox(fork(purpose).key_, index, 0x666f726b);
  return Stream(static_cast<uint64_t>(b[0]) << 32 | b[1]);
}

uint32_t Stream::bits() { return philox(key_, offset_++)[0]; }

double Stream::uniform() {
  const PhiloxBlock b = philox(key_, offset_++);
  return uniform53(b[0], b[1]);
}

double Stream::normal() { return normal_pair(philox(key_, offset_++)).first; }

int64_t Stream::below(int64_t n) {
  LIMBECK_CHECK(n >= 1, "Stream::below(", n, "): expected at least 1");
  return static_cast<int64_t>(integer_below(key_, offset_++, static_cast<uint64_t>(n)));
}

void Stream::fill_uniform(const Tensor& t, double low, double high) {
  if (t.device() != cpu)
    return on_host(t, [&](const Tensor& host) { fill_uniform(host, low, high); });
  dispatch_floating(t.dtype(), "fill_uniform", [&](auto v) {
    using T = decltype(v);
    T* d = t.data<T>();
    const int64_t n = t.numel();
#pragma omp parallel for if (n > 1 << 14)
    for (int64_t i = 0; i < (n + 1) / 2; ++i) {
      const PhiloxBlock b = philox(key_, offset_ + static_cast<uint64_t>(i));
      d[2 * i] = static_cast<T>(low + (high - low) * uniform53(b[0], b[1]));
      if (2 * i + 1 < n) d[2 * i + 1] = static_cast<T>(low + (high - low) * uniform53(b[2], b[3]));
    }
    offset_ += static_cast<uint64_t>((n + 1) / 2);
  });
  t.bump_version();
}

void Stream::fill_normal(const Tensor& t, double mean, double deviation) {
  if (t.device() != cpu)
    return on_host(t, [&](const Tensor& host) { fill_normal(host, mean, deviation); });
  dispatch_floating(t.dtype(), "fill_normal", [&](auto v) {
    using T = decltype(v);
    T* d = t.data<T>();
    const int64_t n = t.numel();
#pragma omp parallel for if (n > 1 << 12)
    for (int64_t i = 0; i < (n + 1) / 2; ++i) {
      const auto [a, b] = normal_pair(philox(key_, offset_ + static_cast<uint64_t>(i)));
      d[2 * i] = static_cast<T>(mean + deviation * a);
      if (2 * i + 1 < n) d[2 * i + 1] = static_cast<T>(mean + deviation * b);
    }
    offset_ += static_cast<uint64_t>((n + 1) / 2);
  });
  t.bump_version();
}

void Stream::fill_integers(const Tensor& t, int64_t low, int64_t high) {
  if (t.device() != cpu)
    return on_host(t, [&](const Tensor& host) { fill_integers(host, low, high); });
  LIMBECK_CHECK(low < high, "fill_integers: expected low < high, found ", low, " and ", high);
  const auto range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  const auto x = t.span<int64_t>();
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = low + static_cast<int64_t>(integer_below(key_, offset_ + i, range));
  offset_ += x.size();
  t.bump_version();
}

std::vector<int64_t> Stream::permutation(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = n - 1; i > 0; --i)
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(below(i + 1))]);
  return order;
}

Tensor Stream::reserve(int64_t blocks) {
  Tensor t = Tensor::of<int64_t>({static_cast<int64_t>(key_), static_cast<int64_t>(offset_)});
  offset_ += static_cast<uint64_t>(blocks);
  return t;
}

Tensor places_of(const std::vector<Stream>& streams) {
  Tensor t = Tensor::empty({static_cast<int64_t>(streams.size()), 2}, DType::i64);
  for (size_t i = 0; i < streams.size(); ++i) {
    t.data<int64_t>()[2 * i] = static_cast<int64_t>(streams[i].key());
    t.data<int64_t>()[2 * i + 1] = static_cast<int64_t>(streams[i].offset());
  }
  return t;
}

Tensor place_at(const Tensor& places, int64_t i) { return places.rows(i, i + 1).reshape({2}); }

}  // namespace limbeck
