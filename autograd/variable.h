// Variable: a tensor with a gradient and its place on the tape. Copies share data, gradient and
// history.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "ops/execution.h"
#include "ops/op.h"
#include "tensor/tensor.h"

namespace limbeck {

class Variable;
using Variables = std::vector<Variable>;

namespace detail {
struct Node;          // one recorded operator call
struct VariableImpl;  // data, grad, requires_grad, producing node and output index
}  // namespace detail

class Variable {
 public:
  Variable() = default;  ///< undefined: a missing optional argument
  /// A leaf. Floating types only when requires_grad.
  /// Throws when integers shall have a gradient.
  Variable(Tensor data, bool requires_grad = false);

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  /// Throws for an undefined variable.
  const Tensor& data() const;
  const Shape& shape() const { return data().shape(); }
  int64_t size(int dim) const { return data().size(dim); }
  int rank() const { return data().rank(); }
  DType dtype() const { return data().dtype(); }
  double item() const { return data().item(); }

  bool requires_grad() const;
  /// Leaves only (freezing a network's parameters).
  /// Throws for others.
  void set_requires_grad(bool on) const;
  bool is_leaf() const;
  /// The accumulated gradient of a leaf (or of a variable with retain_grad); undefined before the
  /// first backward.
  /// Throws for an undefined variable.
  const Tensor& grad() const;
  /// Throws for an undefined variable.
  void set_grad(Tensor g) const;
  void zero_grad() const { set_grad({}); }
  /// Keeps the gradient of an inner variable; throws where there will be none.
  void retain_grad() const;
  /// Replaces a leaf's tensor (loading weights, changing the type).
  /// Throws for anything but a leaf.
  void set_data(Tensor data) const;

  /// Walks the tape from here; adds into the leaves' gradients and frees saved tensors as it goes.
  /// The cotangent defaults to 1 for a one-element variable. Throws when a saved tensor was changed
  /// in place, or when the tape was already freed.
  void backward(const Tensor& cotangent = {}) const;
  /// Same data, no history.
  Variable detach() const;

  detail::VariableImpl* impl() const { return impl_.get(); }
  const std::shared_ptr<detail::VariableImpl>& shared() const { return impl_; }

 private:
  friend struct detail::Node;
  friend Variables apply(const Op&, const Variables&, const Attrs&);
  friend Variable make_variable(std::shared_ptr<detail::VariableImpl>);
  std::shared_ptr<detail::VariableImpl> impl_;
};

/// Runs a table operator and records it when gradients are on and some differentiable input
/// requires one. Returns all outputs. Inputs in bf16 follow the rules of autograd/autocast.h.
/// Of any shapes that the operator takes; throws as its record says.
Variables apply(const Op& op, const Variables& inputs, const Attrs& attrs = {});
Variable apply1(const char* op, const Variables& inputs,
                const Attrs& attrs = {});  ///< the first output only

/// Records a function that is not in the operator table (views, checkpointed composites): given the
/// output and a backward that maps the output's cotangent to one gradient per input (undefined
/// where not wanted).
/// Of any shapes.
Variable record(const char* name, const Variables& inputs, Tensor output,
                std::function<Tensors(const Tensor& dout)> backward);

/// Gradients of `outputs` (with cotangents) with respect to `inputs`, without touching any .grad.
/// Throws unless each output has a cotangent (of its shape), and for an output that depends on
/// nothing with a gradient.
Tensors gradients(const Variables& outputs, const Tensors& cotangents, const Variables& inputs);
/// The same, and the tape stays for a backward() to come; nothing is computed that does not lead to
/// the inputs.
Tensors gradients_keeping_tape(const Variables& outputs, const Tensors& cotangents,
                               const Variables& inputs);

/// Turns recording off (or on) in this thread while alive.
struct GradMode : ExecutionScope {
  explicit GradMode(bool enabled) : ExecutionScope(with(&Execution::gradients, enabled)) {}
};
struct NoGrad : GradMode {
  NoGrad() : GradMode(false) {}
};

}  // namespace limbeck
