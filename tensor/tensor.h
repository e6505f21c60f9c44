// Tensor: a value handle on shared storage. Always contiguous and row-major; copying a Tensor
// shares its storage. Images are [N, H, W, C] in memory, convolution weights [out, kh, kw, in].
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/error.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace limbeck {

class Tensor;
/// "f32[4, 3] on cpu": for error messages.
std::string describe(const Tensor& t);

class Tensor {
 public:
  /// An undefined tensor: stands for "not given" (a missing bias, an unneeded gradient).
  Tensor() = default;

  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = cpu);
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = cpu);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32,
                     Device device = cpu);
  /// Throws unless there are as many values as elements.
  template <class T>
  static Tensor of(const std::vector<T>& values, const Shape& shape);
  template <class T>
  static Tensor of(const std::vector<T>& values) {
    return of(values, {static_cast<int64_t>(values.size())});
  }
  static Tensor scalar(double value, DType dtype = DType::f32) { return full({}, value, dtype); }
  /// Uninitialised, same shape, type and device as `t`.
  static Tensor empty_like(const Tensor& t) { return empty(t.shape(), t.dtype(), t.device()); }
  static Tensor zeros_like(const Tensor& t) { return zeros(t.shape(), t.dtype(), t.device()); }

  bool defined() const { return storage_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t size(int dim) const { return shape_[dim]; }
  int64_t numel() const { return numel_; }
  int64_t bytes() const { return numel_ * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const;

  /// Typed pointer to the first element; throws when T is not the dtype. The CUDA device's pointer
  /// is not readable here.
  template <class T>
  T* data() const {
    LIMBECK_CHECK(dtype_of<T> == dtype_, "tensor of type ", dtype_, " read as ", dtype_of<T>);
    return static_cast<T*>(raw());
  }
  void* raw() const { return defined() ? static_cast<char*>(storage_->data()) + offset_ : nullptr; }
  /// The elements for host code; throws for a tensor of another device.
  template <class T>
  std::span<T> span() const {
    LIMBECK_CHECK(device() == cpu, describe(*this),
                  " read by host code; copy it with to(cpu) first");
    return {data<T>(), static_cast<size_t>(numel_)};
  }
  /// The value of a one-element tensor of any type, as double.
  double item() const;
  /// Element i (row-major) of any type, as double; for tests and reports, not for loops over
  /// pixels.
  double at(int64_t i) const;
  template <class T>
  std::vector<T> to_vector() const;

  /// Same storage, other shape with the same number of elements; one size may be -1.
  /// Throws for other numbers.
  Tensor reshape(const Shape& shape) const;
  Tensor reshape(std::initializer_list<int64_t> sizes) const;
  /// Rows [begin, end) of the leading dimension; shares storage.
  /// Throws when they are out of range.
  Tensor rows(int64_t begin, int64_t end) const;
  /// Deep copy.
  Tensor clone() const;
  /// Copy with another element type (or *this when it is the same).
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;
  /// Copies the elements of `source` (same shape and type, any device) into this storage and bumps
  /// the version.
  /// Throws for others.
  void copy_from(const Tensor& source) const;
  void fill(double value) const;

  /// Announces an in-place change; autograd refuses a backward through tensors changed after they
  /// were saved.
  void bump_version() const {
    if (storage_) storage_->bump_version();
  }
  uint64_t version() const { return storage_ ? storage_->version() : 0; }
  const std::shared_ptr<Storage>& storage() const { return storage_; }
  bool shares_storage_with(const Tensor& o) const { return storage_ && storage_ == o.storage_; }

 private:
  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;  // bytes
  int64_t numel_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
};

/// General copy with permuted dimensions: result.dim(i) = t.dim(order[i]). Any type; tensors of
/// other devices go through the host (the op `permute` does not).
/// Throws unless `order` is a permutation of the dimensions.
Tensor permuted(const Tensor& t, std::span<const int> order);
/// Layout of an image batch or a convolution weight between memory (N,H,W,C / out,kh,kw,in) and
/// PyTorch's files (N,C,H,W / OIHW).
Tensor to_channels_first(const Tensor& nhwc);
Tensor to_channels_last(const Tensor& nchw);

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor host = to(cpu);
  const auto s = host.span<T>();
  return {s.begin(), s.end()};
}

template <class T>
Tensor Tensor::of(const std::vector<T>& values, const Shape& shape) {
  LIMBECK_CHECK(static_cast<int64_t>(values.size()) == shape.numel(), "Tensor::of: ", values.size(),
                " values for shape ", shape);
  Tensor t = empty(shape, dtype_of<T>);
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

/// Calls f(T{}) with T = float or double; throws naming `what` for any other type.
template <class F>
decltype(auto) dispatch_floating(DType dtype, const char* what, F&& f) {
  switch (dtype) {
    case DType::f32: return f(float{});
    case DType::f64: return f(double{});
    default: fail(what, ": expected f32 or f64, found ", dtype);
  }
}

/// Calls f(T{}) with the C++ type of any dtype.
/// Throws naming `what` for others.
template <class F>
decltype(auto) dispatch_all(DType dtype, const char* what, F&& f) {
  switch (dtype) {
    case DType::f32: return f(float{});
    case DType::f64: return f(double{});
    case DType::i64: return f(int64_t{});
    case DType::i32: return f(int32_t{});
    case DType::u8: return f(uint8_t{});
    case DType::boolean: return f(bool{});
    case DType::bf16: return f(bfloat16{});
    default: fail(what, ": type ", dtype, " is not supported");
  }
}

}  // namespace limbeck
