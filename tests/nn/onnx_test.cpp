// What an exported model says, read from its bytes. tests/e2e/export.sh runs it with onnxruntime.
#include "nn/onnx.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "nn/layers.h"
#include "tests/tensor/protobuf_reader.h"

namespace limbeck::nn {
namespace {

/// A ModelProto by onnx.proto's field numbers.
struct Model {
  struct Node {
    std::string type;
    std::vector<std::string> inputs, outputs;
    std::map<std::string, std::vector<int64_t>> integers;
  };
  std::vector<Node> nodes;
  std::map<std::string, std::pair<std::vector<int64_t>, size_t>> initialisers;  // dims, bytes
  std::string input, output, input_value, output_value;
  int64_t opset = 0;
};

std::vector<std::string> texts(std::string_view message, int number) {
  std::vector<std::string> all;
  for (const ProtobufField& f : fields_of(message, number)) all.emplace_back(f.bytes);
  return all;
}

std::vector<int64_t> integers(std::string_view message, int number) {
  std::vector<int64_t> all;
  for (const ProtobufField& f : fields_of(message, number)) all.push_back(f.integer);
  return all;
}

Model::Node node_of(std::string_view bytes) {
  Model::Node node{std::string(field_of(bytes, 4)), texts(bytes, 1), texts(bytes, 2), {}};
  for (const std::string& a : texts(bytes, 5))
    node.integers[std::string(field_of(a, 1))] =
        integers(a, 20) == std::vector<int64_t>{2} ? integers(a, 3) : integers(a, 8);
  return node;
}

Model read_model(const std::string& bytes) {
  Model m;
  EXPECT_EQ(integers(bytes, 1), std::vector<int64_t>{8});
  m.opset = integers(field_of(bytes, 8), 2).at(0);
  const std::string_view graph = field_of(bytes, 7);
  for (const std::string& n : texts(graph, 1)) m.nodes.push_back(node_of(n));
  for (const std::string& t : texts(graph, 5))
    m.initialisers[std::string(field_of(t, 8))] = {integers(t, 1), field_of(t, 9).size()};
  m.input_value = field_of(graph, 11), m.output_value = field_of(graph, 12);
  m.input = field_of(m.input_value, 1), m.output = field_of(m.output_value, 1);
  return m;
}

/// Sizes of a value; -1 where it has a name.
std::vector<int64_t> sizes_of(const std::string& value) {
  const std::string_view tensor = field_of(field_of(value, 2), 1);
  std::vector<int64_t> sizes;
  for (const std::string& d : texts(field_of(tensor, 2), 1))
    sizes.push_back(fields_of(d, 2).empty() ? integers(d, 1).at(0) : -1);
  return sizes;
}

/// Every input of a node is there before it, and the output is made.
void expect_sound(const Model& m) {
  std::set<std::string> known{m.input};
  for (const auto& [name, tensor] : m.initialisers) {
    known.insert(name);
    int64_t count = 1;
    for (const int64_t size : tensor.first) count *= size;
    EXPECT_EQ(tensor.second % static_cast<size_t>(std::max<int64_t>(count, 1)), 0u) << name;
  }
  for (const Model::Node& n : m.nodes) {
    for (const std::string& input : n.inputs)
      EXPECT_TRUE(input.empty() || known.contains(input)) << n.type << " takes " << input;
    for (const std::string& output : n.outputs)
      EXPECT_TRUE(known.insert(output).second) << output << " is made twice";
  }
  EXPECT_TRUE(known.contains(m.output));
}

OnnxOptions halves(int64_t channels) {
  const std::vector<double> half(static_cast<size_t>(channels), 0.5);
  return {.mean = half, .deviation = half};
}

Model exported(const std::string& name, const ModelOptions& options, const OnnxOptions& onnx) {
  const auto network = create_model(name, options);
  return read_model(onnx_model(*network, name, options, onnx));
}

TEST(Onnx, EveryNetworkIsExported) {
  for (const ModelEntry& e : all_models())
    for (const Task task : {Task::classification, Task::regression}) {
      if (!e.serves(task)) continue;
      const bool regression = task == Task::regression;
      const ModelOptions options{.outputs = regression ? 1 : 10,
                                 .size = std::max<int64_t>(e.smallest_image, regression ? 64 : 32),
                                 .task = task};
      SCOPED_TRACE(e.name);
      const Model m = exported(e.name, options, halves(3));
      expect_sound(m);
      EXPECT_EQ(sizes_of(m.input_value), (std::vector<int64_t>{-1, 3, options.size, options.size}));
      EXPECT_EQ(sizes_of(m.output_value), (std::vector<int64_t>{-1, options.outputs}));
      EXPECT_EQ(m.output, regression ? "response" : "logits");
    }
}

int64_t count(const Model& m, const std::string& type) {
  return std::count_if(m.nodes.begin(), m.nodes.end(),
                       [&](const Model::Node& n) { return n.type == type; });
}

TEST(Onnx, ResNet8NodeByNode) {
  const Model m = exported("resnet8", {.outputs = 10}, halves(3));
  EXPECT_EQ(m.opset, 17);
  EXPECT_EQ(m.nodes[0].type, "Cast");
  EXPECT_EQ(count(m, "Conv"), 9);
  EXPECT_EQ(count(m, "BatchNormalization"), 9);
  EXPECT_EQ(count(m, "Relu"), 7);
  EXPECT_EQ(count(m, "Gemm"), 1);
  EXPECT_EQ(count(m, "Transpose"), 0) << "images stay channels first";
  const auto& [dims, bytes] = m.initialisers.at("layer2.0.conv1.weight");
  EXPECT_EQ(dims, (std::vector<int64_t>{32, 16, 3, 3}));
  EXPECT_EQ(bytes, 32u * 16 * 9 * 4);
  const auto conv = std::find_if(m.nodes.begin(), m.nodes.end(), [](const Model::Node& n) {
    return n.type == "Conv" && n.inputs[1] == "layer2.0.conv1.weight";
  });
  ASSERT_NE(conv, m.nodes.end());
  EXPECT_EQ(conv->integers.at("strides"), (std::vector<int64_t>{2, 2}));
  EXPECT_EQ(conv->integers.at("pads"), (std::vector<int64_t>{1, 1, 1, 1}));
  EXPECT_EQ(conv->integers.at("group"), (std::vector<int64_t>{1}));
}

TEST(Onnx, ImagesMayBeFloatsAndResponsesHaveTheirUnit) {
  const ModelOptions options{.outputs = 1, .channels = 1, .size = 64, .task = Task::regression};
  OnnxOptions onnx = halves(1);
  const int64_t plain = count(exported("resnet8x4", options, onnx), "Mul");
  onnx.bytes = false, onnx.low = 20, onnx.high = 80;
  const Model m = exported("resnet8x4", options, onnx);
  EXPECT_EQ(count(m, "Cast"), 0);
  EXPECT_EQ(m.nodes[0].type, "Sub");
  EXPECT_EQ(count(m, "Mul"), plain + 1);
  EXPECT_THROW(exported("resnet8x4", options, halves(3)), Error);
}

/// A network of one layer.
template <class Layer>
class Single : public Network {
 public:
  explicit Single(std::function<Variable(Layer&, const Variable&)> run, Layer* layer = nullptr)
      : run_(std::move(run)), layer_(layer) {
    if (layer) add("layer", *layer);
  }
  Features forward_features(const Variable& x, bool) override {
    const Variable y = run_(*layer_, x);
    return {{}, y, y};
  }

 private:
  std::function<Variable(Layer&, const Variable&)> run_;
  Layer* layer_;
};

std::string refusal_of(Network& network) {
  try {
    onnx_model(network, "single", {.outputs = 4, .channels = 4, .size = 8}, halves(4));
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Onnx, WhatCannotBeExportedIsNamed) {
  GroupNorm norm(2, 4);
  Single<GroupNorm> group([](GroupNorm& n, const Variable& x) { return global_avg_pool(n(x)); },
                          &norm);
  EXPECT_EQ(refusal_of(group),
            "export: the operator group_norm has no counterpart in ONNX (nn/onnx_operators.cpp)");
  GroupNorm unused(2, 4);
  Single<GroupNorm> foreign(
      [](GroupNorm&, const Variable& x) {
        return global_avg_pool(x + Variable(Tensor::full({4}, 1)));
      },
      &unused);
  EXPECT_EQ(refusal_of(foreign),
            "export: add takes a tensor [4] that is neither a weight nor made by an operator");
  Single<GroupNorm> batch(
      [](GroupNorm&, const Variable& x) {
        return reshape(sum(x, {0}), {-1, 4});
      },
      &unused);
  EXPECT_EQ(refusal_of(batch), "export: sum over the batch");
}

}  // namespace
}  // namespace limbeck::nn
