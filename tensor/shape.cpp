#include "tensor/shape.h"

#include <algorithm>
#include <utility>

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

int Shape::normalise(int64_t dim) const {
  LIMBECK_CHECK(dim >= -rank_ && dim < rank_, "dimension ", dim, " of a shape with ", rank_,
                " dimensions ", *this);
  return static_cast<int>(dim < 0 ? dim + rank_ : dim);
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

int64_t size_product(int64_t a, int64_t b) {
  int64_t result = 0;
  return __builtin_mul_overflow(a, b, &result) ? std::numeric_limits<int64_t>::max() : result;
}

int64_t size_sum(int64_t a, int64_t b) {
  int64_t result = 0;
  return __builtin_add_overflow(a, b, &result) ? std::numeric_limits<int64_t>::max() : result;
}

namespace {
thread_local bool channels_first = false;
}

ChannelsFirstMessages::ChannelsFirstMessages(bool wanted)
    : before_(std::exchange(channels_first, wanted)) {}
ChannelsFirstMessages::~ChannelsFirstMessages() { channels_first = before_; }

const char* image_layout() { return channels_first ? "[N, C, H, W]" : "[N, H, W, C]"; }

std::string to_string(const Shape& s) {
  std::vector<int64_t> sizes = s.vec();
  if (channels_first && s.rank() >= 3 && s.rank() <= 5)
    std::rotate(sizes.begin() + 1, sizes.end() - 1, sizes.end());
  std::string text = "[";
  for (size_t i = 0; i < sizes.size(); ++i) text += (i ? ", " : "") + std::to_string(sizes[i]);
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
