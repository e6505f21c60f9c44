// Module: named parameters, buffers and children with PyTorch's state_dict keys and layouts.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "tensor/safetensors.h"

namespace limbeck::nn {

/// How a tensor lies in a checkpoint file: as in memory, or as PyTorch's OIHW (memory: O,H,W,I).
enum class DiskLayout { plain, conv };

struct Parameter {
  std::string name;
  Variable value;
  DiskLayout layout = DiskLayout::plain;
  bool decays = true;  ///< whether optimisers' weight decay means it
};
struct Buffer {
  std::string name;
  Tensor value;
  DiskLayout layout = DiskLayout::plain;
};

/// Base of layers and networks. Members register themselves with their parent in its constructor:
///   struct Block : Module { Conv2d conv1; BatchNorm2d bn1;
///     Block(int64_t c) : conv1(c, c, {.kernel = 3, .padding = 1}), bn1(c) { add("conv1", conv1);
///     add("bn1", bn1); } };
/// Not copyable or movable, because parents keep references. Parameters start as zeros;
/// initialise() fills them.
class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Single input, single output modules implement this; others have their own forward and leave it
  /// (it throws).
  virtual Variable forward(const Variable& x);
  Variable operator()(const Variable& x) { return forward(x); }

  /// Sets train mode (batch statistics, dropout, moving averages) or eval mode, recursively.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  /// Own and descendants' parameters/buffers with dotted names, in PyTorch's state_dict order (per
  /// module: parameters, buffers, children).
  std::vector<Parameter> parameters() const;
  std::vector<Buffer> buffers() const;
  std::vector<Variable> parameter_values() const;
  /// Own and descendants' buffers themselves.
  void visit_buffers(const std::function<void(Tensor&)>& f);
  int64_t parameter_count() const;
  void zero_grad() const;
  void set_requires_grad(bool on) const;
  /// Converts floating parameters and buffers.
  void to(DType dtype);
  /// Moves floating parameters and buffers, in place: variables and optimisers that know them see
  /// them there. Counters (integer buffers) stay on the CPU, where they are counted.
  void to(Device device);
  /// Where the parameters are; cpu without parameters.
  Device device() const;

  /// Fills every parameter and buffer from streams forked by full name, so the values do not depend
  /// on construction order. Layers implement reset() (PyTorch's default); networks override
  /// initialise() for their family's own rule.
  virtual void initialise(const Stream& stream);
  /// Gives each random layer (dropout) its own stream, forked by full name. Trainers call it every
  /// step, so a resume needs no state.
  void set_streams(const Stream& stream);
  /// The same within a step that runs this module several times, each time with another stream: in
  /// a host_effect, so that a recorded step does it again.
  void switch_streams(const Stream& stream);

  /// PyTorch names and layouts (OIHW). Tensors are copies on the CPU.
  TensorFile state_dict() const;
  /// Strict: throws naming every missing, unexpected or wrongly shaped key (expected and found).
  /// Types are converted. num_batches_tracked may be absent. `what` names the file in errors.
  void load_state_dict(const TensorFile& file, const std::string& what = "state_dict");

  /// Visits this module and all descendants with their dotted names ("" for this).
  void visit(const std::function<void(const std::string&, Module&)>& f,
             const std::string& prefix = "");
  void visit(const std::function<void(const std::string&, const Module&)>& f,
             const std::string& prefix = "") const;

 protected:
  void add(std::string name, Module& child);
  /// A second name of a child that add() or own() has named already: checkpoints hold it under both
  /// names, as PyTorch's state_dict does for a module that is assigned twice; parameters() and
  /// buffers() list it once. When the two differ in a file, the later name wins.
  void add_alias(std::string name, Module& child);
  /// Owns the child (for lists of blocks built in loops); returns it.
  template <class M>
  M& own(std::string name, std::unique_ptr<M> child) {
    M& ref = *child;
    owned_.push_back(std::move(child));
    add(std::move(name), ref);
    return ref;
  }
  Variable add_parameter(std::string name, const Shape& shape,
                         DiskLayout layout = DiskLayout::plain, bool decays = true);
  /// Buffers are addressed by reference: the returned index reads buffer(i).
  size_t add_buffer(std::string name, Tensor value, DiskLayout layout = DiskLayout::plain);
  Tensor& buffer(size_t i) { return buffers_[i].value; }
  const Tensor& buffer(size_t i) const { return buffers_[i].value; }
  /// Layer's own default initialisation; `stream` is already forked by this module's full name.
  virtual void reset(Stream stream);
  virtual void set_stream(Stream stream);
  virtual void switch_stream(Stream stream);

 private:
  struct Child {
    std::string name;
    Module* module;
    bool alias = false;
  };
  /// As visit, through aliases too: every name that a checkpoint has.
  void visit_names(const std::function<void(const std::string&, const Module&)>& f,
                   const std::string& prefix = "") const;
  std::vector<Parameter> parameters_;
  std::vector<Buffer> buffers_;
  std::vector<Child> children_;
  std::vector<std::unique_ptr<Module>> owned_;
  bool training_ = true;
};

}  // namespace limbeck::nn
