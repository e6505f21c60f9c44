// An ONNX graph while it is written: nodes, initialisers, and values whose dimensions may stand in
// another order than ours. nn/onnx_operators.cpp says what each operator becomes.
#pragma once
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "ops/attrs.h"
#include "tensor/protobuf.h"
#include "tensor/tensor.h"

namespace limbeck::nn {

/// Dimension j in the ONNX graph is our dimension order[j].
using Order = std::vector<int64_t>;
Order our_order(int rank);
/// N, C, H, W of our N, H, W, C, and O, I, H, W of convolution weights.
const Order& channels_first();
/// Where our axis (negative: from the end) stands.
/// Throws for an axis that is not there.
int64_t position(const Order& order, int64_t axis);

/// A tensor of the graph; one without a name is an optional input that was not given.
struct OnnxValue {
  std::string name;
  Shape shape;  ///< ours
  Order order;
  bool batched = false;  ///< depends on the images: our dimension 0 is the batch
  Tensor constant = {};  ///< a weight, until a node asks for it
  explicit operator bool() const { return !name.empty(); }
};

using OnnxAttribute =
    std::pair<std::string, std::variant<int64_t, float, std::string, std::vector<int64_t>>>;

class OnnxGraph {
 public:
  static constexpr int64_t opset = 17, ir_version = 8;

  /// Returns the name of the first output. Empty inputs are optional ones that are left out.
  std::string node(const std::string& type, const std::vector<std::string>& inputs,
                   const std::vector<OnnxAttribute>& attributes = {});
  /// Initialisers. f32, i64 on the CPU.
  std::string initialiser(const std::string& name, const Tensor& value);
  std::string scalar(double value);
  std::string integers(const std::vector<int64_t>& values);
  /// The value's name with its dimensions in that order: a Transpose, or a weight written so.
  /// Throws for another number of dimensions.
  std::string in_order(const OnnxValue& value, const Order& order);

  /// Sizes of -1 are the batch ("N"). `type`: of the input, u8 or f32; the output is f32.
  void set_input(const std::string& name, DType type, const std::vector<int64_t>& sizes);
  void set_output(const std::string& name, const std::string& from,
                  const std::vector<int64_t>& sizes);
  /// The bytes of a ModelProto.
  /// Throws when they are more than a file holds.
  std::string model(const std::string& name,
                    const std::vector<std::pair<std::string, std::string>>& metadata) const;

 private:
  std::string constant(const OnnxValue& value, const Order& order);
  ProtobufMessage graph_;
  std::set<std::string> initialisers_;
  int64_t nodes_ = 0;
};

/// A call of one of our operators.
struct OnnxCall {
  OnnxGraph& graph;
  const std::string& name;
  const std::vector<OnnxValue>& in;
  const Attrs& attrs;
  const Shape& shape;  ///< of the (first) output
  bool batched() const;
};
/// Writes the nodes of a call and returns its first output.
using OnnxMapping = OnnxValue (*)(const OnnxCall& call);
struct RegisterOnnx {
  /// Throws when the name is taken.
  RegisterOnnx(const char* op, OnnxMapping mapping);
};
/// Throws naming the operator when it has none.
OnnxMapping find_onnx_mapping(const std::string& op);

}  // namespace limbeck::nn
