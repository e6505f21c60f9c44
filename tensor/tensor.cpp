#include "tensor/tensor.h"

#include <array>
#include <cstring>

#include "tensor/device.h"

namespace limbeck {
namespace {

/// Same size; any devices.
void copy_bytes(const Tensor& to, const Tensor& from) {
  const auto bytes = static_cast<size_t>(to.bytes());
  if (to.device() == cpu && from.device() == cpu) {
    std::memmove(to.raw(), from.raw(), bytes);
    return;
  }
  const Device acting = to.device() == cpu ? from.device() : to.device();
  backend(acting).copy(to.raw(), to.device(), from.raw(), from.device(), bytes);
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.numel_ = shape.numel();
  t.storage_ = std::make_shared<Storage>(static_cast<size_t>(t.bytes()), device);
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  if (t.numel_ > 0) {
    if (device == cpu)
      std::memset(t.raw(), 0, static_cast<size_t>(t.bytes()));
    else
      backend(device).fill(t.raw(), device, dtype, t.numel_, 0);
  }
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  t.fill(value);
  return t;
}

Device Tensor::device() const { return defined() ? storage_->device() : cpu; }

double Tensor::item() const {
  LIMBECK_CHECK(defined() && numel_ == 1, "item() of ", describe(*this), "; expected one element");
  return at(0);
}

double Tensor::at(int64_t i) const {
  LIMBECK_CHECK(i >= 0 && i < numel_, "element ", i, " of ", describe(*this));
  if (device() != cpu) {
    Tensor element = *this;
    element.shape_ = Shape{};
    element.numel_ = 1;
    element.offset_ += i * size_of(dtype_);
    return element.to(cpu).at(0);
  }
  return dispatch_all(dtype_, "at",
                      [&](auto t) { return static_cast<double>(data<decltype(t)>()[i]); });
}

Tensor Tensor::reshape(const Shape& shape) const {
  LIMBECK_CHECK(shape.numel() == numel_, "reshape of ", describe(*this), " to ", shape);
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::reshape(std::initializer_list<int64_t> sizes) const {
  std::vector<int64_t> full(sizes);
  int64_t known = 1;
  int64_t* open = nullptr;
  for (int64_t& s : full) {
    if (s == -1) {
      LIMBECK_CHECK(!open, "reshape with more than one -1");
      open = &s;
    } else {
      known *= s;
    }
  }
  if (open) {
    LIMBECK_CHECK(known > 0 && numel_ % known == 0, "reshape of ", describe(*this),
                  ": the open size does not come out whole");
    *open = numel_ / known;
  }
  return reshape(Shape(full));
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  LIMBECK_CHECK(rank() >= 1 && 0 <= begin && begin <= end && end <= size(0), "rows ", begin, " to ",
                end, " of ", describe(*this));
  Tensor t = *this;
  const int64_t row = shape_.numel(1, rank());
  t.shape_.set(0, end - begin);
  t.numel_ = (end - begin) * row;
  t.offset_ += begin * row * size_of(dtype_);
  return t;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t = empty_like(*this);
  if (numel_ > 0) copy_bytes(t, *this);
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (!defined() || dtype == dtype_) return *this;
  Tensor result = empty(shape_, dtype, device());
  if (device() != cpu) {
    if (numel_ > 0) backend(device()).convert(result.raw(), dtype, raw(), dtype_, numel_, device());
    return result;
  }
  dispatch_all(dtype_, "to", [&](auto from) {
    using From = decltype(from);
    dispatch_all(dtype, "to", [&](auto to) {
      using To = decltype(to);
      const From* s = data<From>();
      To* d = result.data<To>();
      for (int64_t i = 0; i < numel_; ++i) d[i] = static_cast<To>(s[i]);
    });
  });
  return result;
}

Tensor Tensor::to(Device target) const {
  if (!defined() || target == device()) return *this;
  Tensor result = empty(shape_, dtype_, target);
  if (numel_ > 0) copy_bytes(result, *this);
  return result;
}

void Tensor::copy_from(const Tensor& source) const {
  LIMBECK_CHECK(source.shape() == shape_ && source.dtype() == dtype_, "copy_from: expected ",
                describe(*this), ", found ", describe(source));
  if (numel_ > 0) copy_bytes(*this, source);
  bump_version();
}

void Tensor::fill(double value) const {
  if (device() != cpu) {
    if (numel_ > 0) backend(device()).fill(raw(), device(), dtype_, numel_, value);
    return bump_version();
  }
  dispatch_all(dtype_, "fill", [&](auto t) {
    using T = decltype(t);
    T* d = data<T>();
    std::fill(d, d + numel_, static_cast<T>(value));
  });
  bump_version();
}

std::string describe(const Tensor& t) {
  if (!t.defined()) return "undefined tensor";
  return cat(t.dtype(), t.shape(), " on ", t.device());
}

Tensor permuted(const Tensor& t, std::span<const int> order) {
  if (t.device() != cpu) return permuted(t.to(cpu), order).to(t.device());
  const int rank = t.rank();
  LIMBECK_CHECK(static_cast<int>(order.size()) == rank, "permute of ", describe(t), " with ",
                order.size(), " dimensions");
  std::array<int64_t, Shape::max_rank> strides{}, step{}, index{};
  int64_t stride = 1;
  for (int d = rank - 1; d >= 0; --d) strides[static_cast<size_t>(d)] = stride, stride *= t.size(d);
  std::vector<int64_t> sizes;
  std::array<bool, Shape::max_rank> used{};
  for (int i = 0; i < rank; ++i) {
    const auto d = static_cast<size_t>(t.shape().normalise(order[static_cast<size_t>(i)]));
    LIMBECK_CHECK(!used[d], "permute of ", describe(t), " names dimension ", d, " twice");
    used[d] = true;
    sizes.push_back(t.size(static_cast<int>(d)));
    step[static_cast<size_t>(i)] = strides[d];
  }
  Tensor result = Tensor::empty(Shape(sizes), t.dtype());
  dispatch_all(t.dtype(), "permute", [&](auto v) {
    using T = decltype(v);
    const T* s = t.data<T>();
    T* d = result.data<T>();
    int64_t from = 0;
    for (int64_t i = 0; i < t.numel(); ++i) {
      d[i] = s[from];
      for (int k = rank - 1; k >= 0; --k) {
        const auto u = static_cast<size_t>(k);
        from += step[u];
        if (++index[u] < sizes[u]) break;
        from -= step[u] * sizes[u];
        index[u] = 0;
      }
    }
  });
  return result;
}

Tensor to_channels_first(const Tensor& nhwc) {
  constexpr std::array order{0, 3, 1, 2};
  return permuted(nhwc, order);
}

Tensor to_channels_last(const Tensor& nchw) {
  constexpr std::array order{0, 2, 3, 1};
  return permuted(nchw, order);
}

}  // namespace limbeck
