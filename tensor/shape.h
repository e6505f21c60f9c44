// Shape: the sizes of a tensor's dimensions, at most eight, row-major (last dimension fastest).
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <ostream>
#include <span>
#include <string>
#include <vector>

namespace limbeck {

class Shape {
 public:
  static constexpr int max_rank = 8;
  /// The most elements: their bytes in the widest type are an int64_t. It bounds the product of any
  /// of the sizes, those beside a zero too, so that no part of a shape that exists overflows.
  static constexpr int64_t max_numel = std::numeric_limits<int64_t>::max() / 8;
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes)
      : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}
  Shape(const std::vector<int64_t>& sizes) : Shape(std::span<const int64_t>(sizes)) {}
  /// Throws if more than max_rank sizes, a negative one, or more than max_numel elements are given.
  explicit Shape(std::span<const int64_t> sizes);

  int rank() const { return rank_; }
  /// Negative dimensions count from the end; throws when out of range.
  int64_t operator[](int dim) const;
  /// Throws as the constructor does.
  void set(int dim, int64_t size);
  /// Product of all sizes; 1 for a scalar.
  int64_t numel() const;
  /// Product of the sizes of dimensions [begin, end).
  int64_t numel(int begin, int end) const;
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }
  std::vector<int64_t> vec() const { return {begin(), end()}; }
  bool operator==(const Shape& other) const;
  Shape appended(int64_t size) const;
  /// dim in [-rank, rank) mapped to [0, rank); throws for any other.
  int normalise(int64_t dim) const;

 private:
  /// Throws for a negative size and for more than max_numel elements.
  void check() const;
  std::array<int64_t, max_rank> sizes_{};
  int rank_ = 0;
};

/// a b and a + b for sizes of a shape to come: the largest int64_t, which no shape takes, where
/// they overflow.
int64_t size_product(int64_t a, int64_t b);
int64_t size_sum(int64_t a, int64_t b);

/// "[4, 32, 32, 3]".
std::string to_string(const Shape& s);
std::ostream& operator<<(std::ostream& out, const Shape& s);

/// While it lives, this thread writes shapes of three to five sizes with the last as the second,
/// the channels where a file has them: for messages about images that came in that order.
class ChannelsFirstMessages {
 public:
  explicit ChannelsFirstMessages(bool wanted);
  ~ChannelsFirstMessages();
  ChannelsFirstMessages(const ChannelsFirstMessages&) = delete;
  ChannelsFirstMessages& operator=(const ChannelsFirstMessages&) = delete;

 private:
  const bool before_;
};
/// "[N, H, W, C]", or "[N, C, H, W]" within such a scope.
const char* image_layout();

/// NumPy broadcasting; throws, naming `what`, when the shapes do not fit.
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* what);

}  // namespace limbeck
