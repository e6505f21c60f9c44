// Layers, with PyTorch's names, parameter shapes on disk and default initialisation.
#pragma once
#include "nn/module.h"

namespace limbeck::nn {

/// Of a window or its padding; one number stands for both.
struct HeightWidth {
  constexpr HeightWidth(int64_t both) : height(both), width(both) {}
  constexpr HeightWidth(int64_t h, int64_t w) : height(h), width(w) {}
  int64_t height, width;
};
struct Conv2dConfig {
  HeightWidth kernel = 3;
  int64_t stride = 1;
  HeightWidth padding = 0;
  int64_t dilation = 1, groups = 1;
  bool bias = false;
};
/// weight [out, kh, kw, in/groups] (disk OIHW), bias [out].
class Conv2d : public Module {
 public:
  Conv2d(int64_t in, int64_t out, const Conv2dConfig& config);
  Variable forward(const Variable& x) override;
  Variable weight, bias;
  const Conv2dConfig config;

 protected:
  void reset(Stream stream) override;
};

class ConvTranspose2d : public Module {
 public:
  ConvTranspose2d(int64_t in, int64_t out, const Conv2dConfig& config);
  Variable forward(const Variable& x) override;
  Variable weight, bias;  // weight [in, kh, kw, out/groups]; disk [in, out/groups, kh, kw]
  const Conv2dConfig config;

 protected:
  void reset(Stream stream) override;
};

/// weight [out, in], bias [out].
class Linear : public Module {
 public:
  /// Throws for sizes below 1.
  Linear(int64_t in, int64_t out, bool bias = true);
  Variable forward(const Variable& x) override;
  Variable weight, bias;

 protected:
  void reset(Stream stream) override;
};

/// BatchNorm1d/2d over all axes but the last: eps 1e-5, momentum 0.1, unbiased running variance.
/// forward(x) normalises; relu(x) and add_relu(x, residual) fuse what usually follows.
class BatchNorm : public Module {
 public:
  /// Throws for no channels.
  explicit BatchNorm(int64_t channels, double eps = 1e-5, double momentum = 0.1);
  Variable forward(const Variable& x) override { return apply(x, false, {}); }
  Variable relu(const Variable& x) { return apply(x, true, {}); }
  Variable add_relu(const Variable& x, const Variable& residual) {
    return apply(x, true, residual);
  }
  /// Throws for another number of channels, and in train mode for one value per channel.
  Variable apply(const Variable& x, bool relu, const Variable& residual);
  Variable weight, bias;

 protected:
  void reset(Stream stream) override;

 private:
  double eps_, momentum_;
  size_t mean_, var_, count_;  // running_mean, running_var, num_batches_tracked
};
using BatchNorm1d = BatchNorm;
using BatchNorm2d = BatchNorm;

class GroupNorm : public Module {
 public:
  /// Throws unless the groups divide the channels.
  GroupNorm(int64_t groups, int64_t channels, double eps = 1e-5);
  Variable forward(const Variable& x) override;
  Variable weight, bias;

 protected:
  void reset(Stream stream) override;

 private:
  int64_t groups_;
  double eps_;
};

/// weight [count, dim], N(0, 1).
class Embedding : public Module {
 public:
  /// Throws for sizes below 1.
  Embedding(int64_t count, int64_t dim);
  Variable operator()(const Tensor& index) { return embedding(weight, index); }
  Variable weight;

 protected:
  void reset(Stream stream) override;
};

class Dropout : public Module {
 public:
  explicit Dropout(double p) : p_(p) {}
  Variable forward(const Variable& x) override;

 protected:
  void set_stream(Stream stream) override;
  void switch_stream(Stream stream) override { stream_ = stream; }

 private:
  double p_;
  Stream stream_;
  size_t calls_ = 0;  // since set_stream
  Tensors places_;    // of a recorded step, made by the calls before it
};

class ReLU : public Module {
 public:
  Variable forward(const Variable& x) override { return limbeck::relu(x); }
};

/// Children named "0", "1", ...; forward chains them.
class Sequential : public Module {
 public:
  Variable forward(const Variable& x) override;
  template <class M, class... Args>
  M& emplace(Args&&... args) {
    M& m = own(std::to_string(children_.size()), std::make_unique<M>(std::forward<Args>(args)...));
    children_.push_back(&m);
    return m;
  }
  size_t size() const { return children_.size(); }
  Module& operator[](size_t i) { return *children_[i]; }

 private:
  std::vector<Module*> children_;
};

}  // namespace limbeck::nn
