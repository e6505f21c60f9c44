#include "tensor/shape.h"

#include <algorithm>

#include "tensor/error.h"

namespace limbeck {

Shape::Shape(std::span<const int64_t> sizes) {
  LIMBECK_CHECK(sizes.size() <= static_cast<size_t>(max_rank), "shape with ", sizes.size(),
                " dimensions; at most ", max_rank, " are supported");
  for (int64_t s : sizes) sizes_[static_cast<size_t>(rank_++)] = s;
  check();
}

void Shape::check() const {
  int64_t n = 1;
  for (const int64_t s : *this) {
    LIMBECK_CHECK(s >= 0, "shape with negative size ", s);
    const bool overflow = __builtin_mul_overflow(n, std::max<int64_t>(s, 1), &n);
    LIMBECK_CHECK(!overflow && n <= max_numel, "shape ", *this, " is too large; at most ",
                  max_numel, " elements are supported");
  }
}

int Shape::normalise(int dim) const {
  const int d = dim < 0 ? dim + rank_ : dim;
  LIMBECK_CHECK(d >= 0 && d < rank_, "dimension ", dim, " of a shape with ", rank_, " dimensions ",
                *this);
  return d;
}

int64_t Shape::operator[](int dim) const { return sizes_[static_cast<size_t>(normalise(dim))]; }

void Shape::set(int dim, int64_t size) {
  sizes_[static_cast<size_t>(normalise(dim))] = size;
  check();
}

int64_t Shape::numel() const { return numel(0, rank_); }

int64_t Shape::numel(int begin, int end) const {
  int64_t n = 1;
  for (int i = begin; i < end; ++i) n *= sizes_[static_cast<size_t>(i)];
  return n;
}

bool Shape::operator==(const Shape& other) const {
  return std::equal(begin(), end(), other.begin(), other.end());
}

Shape Shape::appended(int64_t size) const {
  auto v = vec();
  v.push_back(size);
  return Shape(v);
}

std::string to_string(const Shape& s) {
  std::string text = "[";
  for (int i = 0; i < s.rank(); ++i) text += (i ? ", " : "") + std::to_string(s[i]);
  return text + "]";
}

std::ostream& operator<<(std::ostream& out, const Shape& s) { return out << to_string(s); }

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* what) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> sizes(static_cast<size_t>(rank));
  for (int i = 1; i <= rank; ++i) {
    const int64_t x = i <= a.rank() ? a[-i] : 1, y = i <= b.rank() ? b[-i] : 1;
    LIMBECK_CHECK(x == y || x == 1 || y == 1, what, ": shapes ", a, " and ", b,
                  " do not broadcast");
    sizes[static_cast<size_t>(rank - i)] = x == 1 ? y : x;
  }
  return Shape(sizes);
}

}  // namespace limbeck
