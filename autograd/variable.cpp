#include "autograd/variable.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "autograd/autocast.h"
#include "autograd/trace.h"

namespace limbeck {
namespace detail {

/// A tensor kept for backward, with its version at that time.
struct Saved {
  Tensor tensor;
  uint64_t version = 0;
};

/// Where the gradient of an input goes: into another node's output, or into a leaf. Edges hold no
/// activation, so a tensor that no operator saved is freed as soon as the program lets go of it.
struct Edge {
  std::shared_ptr<Node> node;
  size_t output = 0;
  std::shared_ptr<VariableImpl> leaf;
};

struct Node {
  std::string name;
  const Op* op = nullptr;                          // table operator, or
  std::function<Tensors(const Tensor&)> function;  // a recorded function with one output
  Attrs attrs;
  std::vector<Edge> inputs;
  std::vector<bool> wanted;
  std::vector<TensorSpec> in_specs, out_specs;
  std::vector<Saved> saved_in, saved_out;
  std::vector<std::pair<size_t, std::weak_ptr<VariableImpl>>> retained;  // outputs with retain_grad
  Device device;
  uint64_t sequence = 0;  // creation order: a topological order for the walk
  bool freed = false;

  /// Of the wanted inputs, by what was saved.
  Tensors gradients_of_inputs(Tensors dout, const std::vector<bool>& asked) const;
  /// Throws when free() was here.
  void expect_kept() const;
  /// Lets go of what was saved; the walk still needs the edges.
  void free();
  ~Node();
};

struct VariableImpl {
  Tensor data, grad;
  bool requires_grad = false;
  std::shared_ptr<Node> node;
  size_t output = 0;
};

namespace {

thread_local uint64_t next_sequence = 0;

Tensors checked(const Node& node, const std::vector<Saved>& saved) {
  Tensors result;
  result.reserve(saved.size());
  for (const Saved& s : saved) {
    LIMBECK_CHECK(s.tensor.version() == s.version, node.name, ": a tensor saved for backward (",
                  describe(s.tensor), ") was changed in place: version ", s.tensor.version(),
                  ", saved at ", s.version);
    result.push_back(s.tensor);
  }
  return result;
}

Saved save(const Tensor& t) { return {t, t.version()}; }

/// Through the table, so that every device and type is served.
Tensor sum_of(const Tensor& a, const Tensor& b) {
  static const Op& add_op = find_op("add");
  if (a.dtype() == DType::bf16 && !has_kernel(add_op, DType::bf16, a.device().kind))
    return run_forward(add_op, {a.to(DType::f32), b.to(DType::f32)}, {})[0].to(DType::bf16);
  return run_forward(add_op, {a, b}, {})[0];
}

void accumulate(Tensor& slot, Tensor value) {
  slot = slot.defined() ? sum_of(slot, value) : std::move(value);
}

}  // namespace

// A long chain of nodes would free itself recursively and overflow the stack; unlink it step by
// step instead.
Node::~Node() {
  std::vector<Edge> queue = std::move(inputs);
  while (!queue.empty()) {
    const Edge last = std::move(queue.back());
    queue.pop_back();
    if (last.node.use_count() != 1) continue;
    for (Edge& e : last.node->inputs) queue.push_back(std::move(e));
    last.node->inputs.clear();
  }
}

/// What passes through as it is costs no kernel; a leaf gets a copy, because its gradient is the
/// user's.
Tensors Node::gradients_of_inputs(Tensors dout, const std::vector<bool>& asked) const {
  expect_kept();
  for (size_t j = 0; j < dout.size(); ++j)
    if (!dout[j].defined() && (!op || op->outputs[j].differentiable))
      dout[j] = Tensor::zeros(out_specs[j].shape, out_specs[j].dtype, device);
  if (!op) return function(dout[0]);
  std::vector<bool> passes(asked.size(), false), computed = asked;
  for (size_t i = 0; i < asked.size(); ++i) {
    passes[i] =
        asked[i] && op->passes_gradient && op->passes_gradient(in_specs, out_specs[0], i, attrs);
    if (passes[i]) computed[i] = false;
  }
  Tensors din(asked.size());
  if (std::find(computed.begin(), computed.end(), true) != computed.end())
    din = run_backward(*op, checked(*this, saved_in), checked(*this, saved_out), dout, in_specs,
                       computed, attrs);
  for (size_t i = 0; i < asked.size(); ++i)
    if (passes[i]) din[i] = inputs[i].node ? dout[0] : dout[0].clone();
  return din;
}

void Node::expect_kept() const {
  LIMBECK_CHECK(!freed, name,
                ": backward through a tape that was already freed by an earlier backward");
}

void Node::free() {
  saved_in.clear();
  saved_out.clear();
  function = nullptr;
  freed = true;
}

}  // namespace detail

using detail::Node;
using detail::VariableImpl;

Variable make_variable(std::shared_ptr<VariableImpl> impl) {
  Variable v;
  v.impl_ = std::move(impl);
  return v;
}

Variable::Variable(Tensor data, bool requires_grad) {
  LIMBECK_CHECK(!requires_grad || is_floating(data.dtype()),
                "only floating tensors can require a gradient, found ", describe(data));
  if (!data.defined()) return;
  impl_ = std::make_shared<VariableImpl>();
  impl_->data = std::move(data);
  impl_->requires_grad = requires_grad;
}

const Tensor& Variable::data() const {
  LIMBECK_CHECK(impl_, "use of an undefined variable");
  return impl_->data;
}

bool Variable::requires_grad() const { return impl_ && impl_->requires_grad; }
bool Variable::is_leaf() const { return impl_ && !impl_->node; }

void Variable::set_requires_grad(bool on) const {
  LIMBECK_CHECK(is_leaf(), "set_requires_grad: only leaves can be frozen or thawed");
  impl_->requires_grad = on;
}

const Tensor& Variable::grad() const {
  LIMBECK_CHECK(impl_, "grad of an undefined variable");
  return impl_->grad;
}

void Variable::set_grad(Tensor g) const {
  LIMBECK_CHECK(impl_, "set_grad of an undefined variable");
  impl_->grad = std::move(g);
}

void Variable::retain_grad() const {
  LIMBECK_CHECK(impl_ && impl_->requires_grad, "retain_grad of a variable without a gradient");
  if (impl_->node) impl_->node->retained.emplace_back(impl_->output, impl_);
}

void Variable::set_data(Tensor data) const {
  LIMBECK_CHECK(is_leaf(), "set_data: only leaves can be replaced");
  impl_->data = std::move(data);
}

Variable Variable::detach() const { return defined() ? Variable(impl_->data) : Variable(); }

namespace {

bool wants_recording(const Variables& inputs) {
  return execution().gradients && std::any_of(inputs.begin(), inputs.end(),
                                              [](const Variable& v) { return v.requires_grad(); });
}

detail::Edge edge_to(const Variable& v) {
  const auto& impl = v.shared();
  return impl->node ? detail::Edge{impl->node, impl->output, nullptr}
                    : detail::Edge{nullptr, 0, impl};
}

std::shared_ptr<Node> new_node(const std::string& name, const Variables& inputs) {
  auto node = std::make_shared<Node>();
  node->name = name;
  node->sequence = detail::next_sequence++;
  for (const Variable& v : inputs) {
    node->inputs.emplace_back();
    node->in_specs.push_back(v.defined() ? TensorSpec{v.shape(), v.dtype()} : TensorSpec{});
    node->wanted.push_back(v.requires_grad());
  }
  return node;
}

}  // namespace

Variables apply(const Op& op, const Variables& inputs, const Attrs& attrs) {
  if (const auto agreed = with_agreed_types(op, inputs)) return apply(op, *agreed, attrs);
  Tensors in;
  in.reserve(inputs.size());
  for (const Variable& v : inputs) in.push_back(v.defined() ? v.data() : Tensor());
  const Tensors out = run_forward(op, in, attrs);
  Variables result;
  result.reserve(out.size());
  for (const Tensor& t : out) result.emplace_back(t);
  OperatorTrace::note(op.name, &op, attrs, inputs, result);
  if (!op.backward || !wants_recording(inputs)) return result;

  auto node = new_node(op.name, inputs);
  node->op = &op;
  node->attrs = attrs;
  node->device = out.empty() ? cpu : out[0].device();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const OpInput& spec = op.inputs[std::min(i, op.inputs.size() - 1)];
    if (!spec.differentiable) node->wanted[i] = false;
    if (node->wanted[i]) node->inputs[i] = edge_to(inputs[i]);
  }
  node->saved_in.resize(in.size());
  for (size_t i = 0; i < in.size(); ++i)
    if (std::find(op.saved_inputs.begin(), op.saved_inputs.end(),
                  static_cast<int>(std::min(i, op.inputs.size() - 1))) != op.saved_inputs.end())
      node->saved_in[i] = detail::save(in[i]);
  node->saved_out.resize(out.size());
  for (int j : op.saved_outputs)
    node->saved_out[static_cast<size_t>(j)] = detail::save(out[static_cast<size_t>(j)]);
  for (size_t j = 0; j < out.size(); ++j) {
    node->out_specs.push_back({out[j].shape(), out[j].dtype()});
    if (!op.outputs[j].differentiable) continue;
    result[j].impl_->requires_grad = true;
    result[j].impl_->node = node;
    result[j].impl_->output = j;
  }
  return result;
}

Variable apply1(const char* op, const Variables& inputs, const Attrs& attrs) {
  return apply(find_op(op), inputs, attrs)[0];
}

Variable record(const char* name, const Variables& inputs, Tensor output,
                std::function<Tensors(const Tensor&)> backward) {
  auto impl = std::make_shared<VariableImpl>();
  impl->data = std::move(output);
  if (wants_recording(inputs)) {
    auto node = new_node(name, inputs);
    for (size_t i = 0; i < inputs.size(); ++i)
      if (node->wanted[i]) node->inputs[i] = edge_to(inputs[i]);
    node->function = std::move(backward);
    node->out_specs.push_back({impl->data.shape(), impl->data.dtype()});
    node->device = impl->data.device();
    impl->requires_grad = true;
    impl->node = std::move(node);
  }
  const Variable result = make_variable(std::move(impl));
  OperatorTrace::note(name, nullptr, {}, inputs, {result});
  return result;
}

namespace {

using LeafSink = std::function<void(const std::shared_ptr<VariableImpl>&, Tensor)>;
/// Called with a node's complete output gradients just before it runs.
using Observer = std::function<void(Node&, const Tensors& dout)>;

/// Which inputs of which nodes are followed, by a walk that keeps the tape.
using Paths = std::unordered_map<const Node*, std::vector<bool>>;

/// One reverse walk: nodes run in reverse creation order, each when all gradients of its outputs
/// have arrived. With paths it follows those and leaves the tape as it is.
class Walk {
 public:
  Walk(LeafSink leaf, Observer observe, const Paths* paths = nullptr)
      : leaf_(std::move(leaf)), observe_(std::move(observe)), paths_(paths) {}

  void deliver(const detail::Edge& edge, Tensor g, const Shape& expected) {
    LIMBECK_CHECK(g.shape() == expected, "backward: gradient of shape ", g.shape(),
                  " for a variable of shape ", expected);
    if (!edge.node) {
      leaf_(edge.leaf, std::move(g));
      return;
    }
    auto [slot, fresh] = pending_.try_emplace(edge.node.get());
    if (fresh) {
      slot->second.resize(edge.node->out_specs.size());
      heap_.push_back(edge.node);
      std::push_heap(heap_.begin(), heap_.end(), older);
    }
    detail::accumulate(slot->second[edge.output], std::move(g));
  }

  void run() {
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), older);
      const std::shared_ptr<Node> node = std::move(heap_.back());
      heap_.pop_back();
      Tensors dout = std::move(pending_.extract(node.get()).mapped());
      observe_(*node, dout);
      const std::vector<bool>& asked = paths_ ? paths_->at(node.get()) : node->wanted;
      Tensors din = node->gradients_of_inputs(std::move(dout), asked);
      if (!paths_) node->free();
      for (size_t i = 0; i < node->inputs.size(); ++i) {
        if (!asked[i]) continue;
        LIMBECK_CHECK(din[i].defined(), node->name, ": backward gave no gradient for input ", i);
        deliver(node->inputs[i], std::move(din[i]), node->in_specs[i].shape);
      }
      if (!paths_) node->inputs.clear();
    }
  }

 private:
  static bool older(const std::shared_ptr<Node>& a, const std::shared_ptr<Node>& b) {
    return a->sequence < b->sequence;
  }
  LeafSink leaf_;
  Observer observe_;
  const Paths* paths_;
  std::vector<std::shared_ptr<Node>> heap_;
  std::unordered_map<Node*, Tensors> pending_;
};

}  // namespace

void Variable::backward(const Tensor& cotangent) const {
  LIMBECK_CHECK(requires_grad(),
                "backward: this variable does not depend on anything that requires a gradient");
  LIMBECK_CHECK(cotangent.defined() || data().numel() == 1, "backward of a variable of shape ",
                shape(), " needs a cotangent");
  const NoGrad no_grad;
  const Tensor start =
      cotangent.defined() ? cotangent : Tensor::full(shape(), 1, dtype(), data().device());
  Walk walk([](const std::shared_ptr<VariableImpl>& leaf,
               Tensor g) { detail::accumulate(leaf->grad, std::move(g)); },
            [](Node& node, const Tensors& dout) {
              for (const auto& [output, weak] : node.retained)
                if (const auto v = weak.lock(); v && dout[output].defined())
                  detail::accumulate(v->grad, dout[output]);
            });
  walk.deliver(edge_to(*this), start, shape());
  walk.run();
}

namespace {

Tensors walked_gradients(const Variables& outputs, const Tensors& cotangents,
                         const Variables& inputs, const Paths* paths) {
  LIMBECK_CHECK(outputs.size() == cotangents.size(), "gradients: ", outputs.size(), " outputs but ",
                cotangents.size(), " cotangents");
  const NoGrad no_grad;
  Tensors result(inputs.size());
  Walk walk(
      [&](const std::shared_ptr<VariableImpl>& leaf, Tensor g) {
        for (size_t i = 0; i < inputs.size(); ++i)
          if (inputs[i].shared() == leaf) detail::accumulate(result[i], g);
      },
      [&](Node& node, const Tensors& dout) {
        for (size_t i = 0; i < inputs.size(); ++i)
          if (inputs[i].impl()->node.get() == &node) result[i] = dout[inputs[i].impl()->output];
      },
      paths);
  for (size_t i = 0; i < outputs.size(); ++i) {
    LIMBECK_CHECK(outputs[i].requires_grad(), "gradients: output ", i,
                  " does not depend on anything that requires a gradient");
    walk.deliver(edge_to(outputs[i]), cotangents[i], outputs[i].shape());
  }
  walk.run();
  return result;
}

/// All nodes behind the outputs, in creation order.
std::vector<const Node*> nodes_behind(const Variables& outputs) {
  std::unordered_set<const Node*> seen;
  std::vector<const Node*> open, all;
  const auto meet = [&](const std::shared_ptr<Node>& node) {
    if (node && seen.insert(node.get()).second) open.push_back(node.get());
  };
  for (const Variable& v : outputs) meet(v.impl()->node);
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    all.push_back(node);
    for (const detail::Edge& e : node->inputs) meet(e.node);
  }
  std::sort(all.begin(), all.end(),
            [](const Node* a, const Node* b) { return a->sequence < b->sequence; });
  return all;
}

/// The edges from the outputs that lead to one of the inputs.
Paths paths_to(const Variables& outputs, const Variables& inputs) {
  Paths paths;
  std::unordered_set<const void*> leads;
  for (const Variable& v : inputs)
    leads.insert(v.is_leaf() ? static_cast<const void*>(v.impl()) : v.impl()->node.get());
  for (const Node* node : nodes_behind(outputs)) {
    node->expect_kept();
    std::vector<bool>& asked = paths[node] = node->wanted;
    for (size_t i = 0; i < asked.size(); ++i) {
      const detail::Edge& e = node->inputs[i];
      asked[i] = asked[i] &&
                 leads.contains(e.node ? static_cast<const void*>(e.node.get()) : e.leaf.get());
      if (asked[i]) leads.insert(node);
    }
  }
  return paths;
}

}  // namespace

Tensors gradients(const Variables& outputs, const Tensors& cotangents, const Variables& inputs) {
  return walked_gradients(outputs, cotangents, inputs, nullptr);
}

Tensors gradients_keeping_tape(const Variables& outputs, const Tensors& cotangents,
                               const Variables& inputs) {
  const Paths paths = paths_to(outputs, inputs);
  return walked_gradients(outputs, cotangents, inputs, &paths);
}

}  // namespace limbeck
