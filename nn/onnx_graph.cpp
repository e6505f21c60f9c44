#include "nn/onnx_graph.h"

#include <algorithm>
#include <numeric>

#include "ops/op.h"

namespace limbeck::nn {
namespace {

// Numbers of the fields and types in onnx.proto.
namespace proto {
enum Model { ir_version = 1, producer = 2, graph = 7, opset_import = 8, metadata = 14 };
enum Graph { node = 1, name = 2, initializer = 5, input = 11, output = 12 };
enum Node { node_input = 1, node_output = 2, node_name = 3, op_type = 4, attribute = 5 };
enum Attribute { attribute_name = 1, f = 2, i = 3, s = 4, ints = 8, attribute_type = 20 };
enum AttributeType { type_float = 1, type_int = 2, type_string = 3, type_ints = 7 };
enum TensorFields { dims = 1, data_type = 2, tensor_name = 8, raw_data = 9 };
}  // namespace proto

int64_t onnx_type(DType type) {
  switch (type) {
    case DType::f32: return 1;
    case DType::u8: return 2;
    case DType::i64: return 7;
    default: fail("export: ONNX tensors are written in f32, u8 and i64, found ", name_of(type));
  }
}

ProtobufMessage tensor_message(const std::string& name, const Tensor& t) {
  ProtobufMessage m;
  m.integers(proto::dims, t.shape().vec()).integer(proto::data_type, onnx_type(t.dtype()));
  m.text(proto::tensor_name, name);
  m.text(proto::raw_data, {static_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes())});
  return m;
}

ProtobufMessage attribute_message(const OnnxAttribute& attribute) {
  ProtobufMessage m;
  m.text(proto::attribute_name, attribute.first);
  const auto& value = attribute.second;
  if (const auto* f = std::get_if<float>(&value))
    m.f32(proto::f, *f).integer(proto::attribute_type, proto::type_float);
  else if (const auto* i = std::get_if<int64_t>(&value))
    m.integer(proto::i, *i).integer(proto::attribute_type, proto::type_int);
  else if (const auto* s = std::get_if<std::string>(&value))
    m.text(proto::s, *s).integer(proto::attribute_type, proto::type_string);
  else
    m.integers(proto::ints, std::get<std::vector<int64_t>>(value))
        .integer(proto::attribute_type, proto::type_ints);
  return m;
}

/// A ValueInfoProto.
ProtobufMessage value_message(const std::string& name, DType type,
                              const std::vector<int64_t>& sizes) {
  ProtobufMessage shape;
  for (const int64_t size : sizes) {
    ProtobufMessage dimension;
    size < 0 ? dimension.text(2, "N") : dimension.integer(1, size);
    shape.message(1, dimension);
  }
  ProtobufMessage tensor, type_message, value;
  tensor.integer(1, onnx_type(type)).message(2, shape);
  type_message.message(1, tensor);
  value.text(1, name).message(2, type_message);
  return value;
}

std::map<std::string, OnnxMapping>& mappings() {
  static std::map<std::string, OnnxMapping> all;
  return all;
}

}  // namespace

Order our_order(int rank) {
  Order order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

const Order& channels_first() {
  static const Order order{0, 3, 1, 2};
  return order;
}

int64_t position(const Order& order, int64_t axis) {
  if (axis < 0) axis += static_cast<int64_t>(order.size());
  const auto found = std::find(order.begin(), order.end(), axis);
  LIMBECK_CHECK(found != order.end(), "export: axis ", axis, " of ", order.size(), " dimensions");
  return found - order.begin();
}

std::string OnnxGraph::node(const std::string& type, const std::vector<std::string>& inputs,
                            const std::vector<OnnxAttribute>& attributes) {
  const std::string name = cat(type, "_", ++nodes_);
  ProtobufMessage m;
  for (const std::string& input : inputs) m.text(proto::node_input, input);
  m.text(proto::node_output, name).text(proto::node_name, name).text(proto::op_type, type);
  for (const OnnxAttribute& a : attributes) m.message(proto::attribute, attribute_message(a));
  graph_.message(proto::node, m);
  return name;
}

std::string OnnxGraph::initialiser(const std::string& name, const Tensor& value) {
  if (initialisers_.insert(name).second)
    graph_.message(proto::initializer, tensor_message(name, value));
  return name;
}

std::string OnnxGraph::scalar(double value) {
  const auto rounded = static_cast<float>(value);
  return initialiser(cat("constant_", initialisers_.size()), Tensor::scalar(rounded, DType::f32));
}

std::string OnnxGraph::integers(const std::vector<int64_t>& values) {
  return initialiser(cat("constant_", initialisers_.size()), Tensor::of(values));
}

/// Under its own name as PyTorch has it, otherwise with the order behind the name.
std::string OnnxGraph::constant(const OnnxValue& value, const Order& order) {
  const Order ours = our_order(value.shape.rank());
  std::string name = value.name;
  if (order != (order.size() == 4 ? channels_first() : ours)) {
    name += ".";
    for (const int64_t axis : order) name += std::to_string(axis);
  }
  static const Op& permute = find_op("permute");
  return initialiser(
      name, order == ours ? value.constant
                          : run_forward(permute, {value.constant}, Attrs{{"order", order}})[0]);
}

std::string OnnxGraph::in_order(const OnnxValue& value, const Order& order) {
  LIMBECK_CHECK(value.order.size() == order.size(), "export: ", value.name, ": expected ",
                order.size(), " dimensions, found ", value.shape);
  if (value.constant.defined()) return constant(value, order);
  if (value.order == order) return value.name;
  std::vector<int64_t> moves;
  for (const int64_t axis : order) moves.push_back(position(value.order, axis));
  return node("Transpose", {value.name}, {{"perm", moves}});
}

void OnnxGraph::set_input(const std::string& name, DType type, const std::vector<int64_t>& sizes) {
  graph_.message(proto::input, value_message(name, type, sizes));
}

void OnnxGraph::set_output(const std::string& name, const std::string& from,
                           const std::vector<int64_t>& sizes) {
  ProtobufMessage m;
  m.text(proto::node_input, from).text(proto::node_output, name).text(proto::node_name, name);
  graph_.message(proto::node, m.text(proto::op_type, "Identity"));
  graph_.message(proto::output, value_message(name, DType::f32, sizes));
}

std::string OnnxGraph::model(
    const std::string& name,
    const std::vector<std::pair<std::string, std::string>>& metadata) const {
  ProtobufMessage graph = graph_, opset_message, m;
  graph.text(proto::name, name);
  m.integer(proto::ir_version, ir_version).text(proto::producer, "limbeck");
  m.message(proto::graph, graph);
  m.message(proto::opset_import, opset_message.text(1, "").integer(2, opset));
  for (const auto& [key, value] : metadata) {
    ProtobufMessage entry;
    m.message(proto::metadata, entry.text(1, key).text(2, value));
  }
  constexpr size_t most = 0x7fffffff;  // readers of protobuf take no longer messages
  LIMBECK_CHECK(m.bytes().size() <= most, "export: the model has ", m.bytes().size(),
                " bytes, ONNX files hold at most ", most);
  return m.bytes();
}

bool OnnxCall::batched() const {
  return std::any_of(in.begin(), in.end(), [](const OnnxValue& v) { return v.batched; });
}

RegisterOnnx::RegisterOnnx(const char* op, OnnxMapping mapping) {
  LIMBECK_CHECK(mappings().emplace(op, mapping).second, "two ONNX mappings of ", op);
}

OnnxMapping find_onnx_mapping(const std::string& op) {
  const auto found = mappings().find(op);
  LIMBECK_CHECK(found != mappings().end(), "export: the operator ", op,
                " has no counterpart in ONNX (nn/onnx_operators.cpp)");
  return found->second;
}

}  // namespace limbeck::nn
