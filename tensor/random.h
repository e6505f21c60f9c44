// Streams of random numbers from Philox-4x32-10 (tensor/philox.h). The same (seed, offset) gives
// the same numbers on every device, for every thread count and after a resume.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "tensor/philox.h"
#include "tensor/tensor.h"

namespace limbeck {

/// FNV-1a of a text: derives stream keys from names, and fills parity fixtures.
uint64_t fnv1a(std::string_view text);

/// A stream of random numbers. Its whole state is (key, offset), so it can be saved, resumed and
/// forked by name.
class Stream {
 public:
  explicit Stream(uint64_t seed = 0, uint64_t offset = 0) : key_(seed), offset_(offset) {}
  /// An independent stream for one purpose ("init", "z", "shuffle/epoch3"): depends on this key and
  /// the name only.
  Stream fork(std::string_view purpose) const;
  Stream fork(std::string_view purpose, uint64_t index) const;

  uint32_t bits();
  double uniform();  ///< [0, 1), 53 bits
  double normal();   ///< N(0, 1), Box-Muller; one draw uses one block
  /// Uniform integer in [0, n), without modulo bias; throws for n < 1.
  int64_t below(int64_t n);
  double uniform(double low, double high) { return low + (high - low) * uniform(); }

  /// Fill float tensors of any shape and device; element i depends on (key, offset, i) only,
  /// whatever the thread count.
  void fill_uniform(const Tensor& t, double low = 0, double high = 1);
  void fill_normal(const Tensor& t, double mean = 0, double deviation = 1);
  /// i64 tensor of uniform integers in [low, high), low < high; one block each.
  /// Throws when there are none.
  void fill_integers(const Tensor& t, int64_t low, int64_t high);
  /// Random permutation of 0..n-1 (Fisher-Yates).
  std::vector<int64_t> permutation(int64_t n);
  /// Reserves n blocks for a consumer on a device (dropout) and returns its place, {key, first
  /// block} as an i64[2] tensor.
  Tensor reserve(int64_t blocks);

  uint64_t key() const { return key_; }
  uint64_t offset() const { return offset_; }
  bool operator==(const Stream&) const = default;

 private:
  uint64_t key_;
  uint64_t offset_;  // in blocks of four 32-bit words
};

/// Where streams stand, i64 [n, 2]: {key, first block} each. Small enough to travel to a device at
/// every step; operators draw there (ops/random.h).
Tensor places_of(const std::vector<Stream>& streams);
/// One of them, i64 [2]; shares storage.
Tensor place_at(const Tensor& places, int64_t i);

}  // namespace limbeck
