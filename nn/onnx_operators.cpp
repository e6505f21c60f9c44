// What our operators become in ONNX (opset 17). Image batches stand channels first there; a permute
// costs no node, only another order of its value.
#include <algorithm>
#include <array>

#include "nn/onnx_graph.h"

namespace limbeck::nn {
namespace {

OnnxValue result(const OnnxCall& c, std::string name, Order order) {
  return {std::move(name), c.shape, std::move(order), c.batched()};
}

std::vector<int64_t> both(std::pair<int64_t, int64_t> p) { return {p.first, p.second}; }
/// Of height and width, in front and behind.
std::vector<int64_t> around(std::pair<int64_t, int64_t> p) {
  return {p.first, p.second, p.first, p.second};
}

/// What is left out is a constant.
std::string given_or(const OnnxCall& c, size_t i, double otherwise, int64_t size) {
  if (c.in[i]) return c.graph.in_order(c.in[i], our_order(1));
  return c.graph.initialiser(cat("filled_", otherwise, "_", size), Tensor::full({size}, otherwise));
}

// --- element by element --------------------------------------------------------------------------

/// In the order of the first tensor that is computed; tensors of other rank than theirs in ours.
OnnxValue broadcast(const OnnxCall& c, const char* type) {
  const bool alike = std::all_of(c.in.begin(), c.in.end(), [&](const OnnxValue& v) {
    return v.shape.rank() == c.shape.rank();
  });
  Order order = our_order(c.shape.rank());
  if (alike) {
    const auto computed = std::find_if(c.in.begin(), c.in.end(),
                                       [](const OnnxValue& v) { return !v.constant.defined(); });
    if (computed != c.in.end()) order = computed->order;
  }
  std::vector<std::string> names;
  for (const OnnxValue& v : c.in)
    names.push_back(c.graph.in_order(v, alike ? order : our_order(v.shape.rank())));
  return result(c, c.graph.node(type, names), order);
}

std::string first(const OnnxCall& c) { return c.graph.in_order(c.in[0], c.in[0].order); }

OnnxValue unary(const OnnxCall& c, const char* type,
                const std::vector<OnnxAttribute>& attributes = {}) {
  return result(c, c.graph.node(type, {first(c)}, attributes), c.in[0].order);
}

OnnxValue silu(const OnnxCall& c) {
  const std::string x = first(c);
  return result(c, c.graph.node("Mul", {x, c.graph.node("Sigmoid", {x})}), c.in[0].order);
}

OnnxValue affine(const OnnxCall& c) {
  std::string x = first(c);
  x = c.graph.node("Mul", {x, c.graph.scalar(c.attrs.number("scale", 1))});
  x = c.graph.node("Add", {x, c.graph.scalar(c.attrs.number("shift", 0))});
  return result(c, x, c.in[0].order);
}

OnnxValue clamp(const OnnxCall& c) {
  const std::string low = c.graph.scalar(c.attrs.number("low", 0)),
                    high = c.graph.scalar(c.attrs.number("high", 0));
  return result(c, c.graph.node("Clip", {first(c), low, high}), c.in[0].order);
}

OnnxValue over_last_axis(const OnnxCall& c, const char* type) {
  return unary(c, type, {{"axis", position(c.in[0].order, -1)}});
}

#define LIMBECK_ONNX(op, ...) \
  const RegisterOnnx op##_mapping(#op, [](const OnnxCall& c) -> OnnxValue { return __VA_ARGS__; })
LIMBECK_ONNX(add, broadcast(c, "Add"));
LIMBECK_ONNX(sub, broadcast(c, "Sub"));
LIMBECK_ONNX(mul, broadcast(c, "Mul"));
LIMBECK_ONNX(div, broadcast(c, "Div"));
LIMBECK_ONNX(maximum, broadcast(c, "Max"));
LIMBECK_ONNX(minimum, broadcast(c, "Min"));
LIMBECK_ONNX(relu, unary(c, "Relu"));
LIMBECK_ONNX(sigmoid, unary(c, "Sigmoid"));
LIMBECK_ONNX(tanh, unary(c, "Tanh"));
LIMBECK_ONNX(softplus, unary(c, "Softplus"));
LIMBECK_ONNX(exp, unary(c, "Exp"));
LIMBECK_ONNX(log, unary(c, "Log"));
LIMBECK_ONNX(sqrt, unary(c, "Sqrt"));
LIMBECK_ONNX(abs, unary(c, "Abs"));
LIMBECK_ONNX(leaky_relu,
             unary(c, "LeakyRelu", {{"alpha", static_cast<float>(c.attrs.number("slope", 0.01))}}));
LIMBECK_ONNX(square, result(c, c.graph.node("Mul", {first(c), first(c)}), c.in[0].order));
LIMBECK_ONNX(pow_scalar,
             result(c,
                    c.graph.node("Pow", {first(c), c.graph.scalar(c.attrs.number("exponent", 1))}),
                    c.in[0].order));
LIMBECK_ONNX(silu, silu(c));
LIMBECK_ONNX(affine, affine(c));
LIMBECK_ONNX(clamp, clamp(c));
LIMBECK_ONNX(softmax, over_last_axis(c, "Softmax"));
LIMBECK_ONNX(log_softmax, over_last_axis(c, "LogSoftmax"));

// --- reductions and matrices ---------------------------------------------------------------------

/// Our axes that stay, in the order in which they stand, renumbered.
Order without(const Order& order, const std::vector<bool>& reduced) {
  Order left;
  for (const int64_t axis : order)
    if (!reduced[static_cast<size_t>(axis)])
      left.push_back(std::count(reduced.begin(), reduced.begin() + axis, false));
  return left;
}

OnnxValue reduce(const OnnxCall& c, const char* type) {
  const OnnxValue& x = c.in[0];
  std::vector<bool> reduced(x.order.size(), c.attrs.integers("axes").empty());
  for (const int64_t axis : c.attrs.integers("axes"))
    reduced[static_cast<size_t>(x.shape.normalise(static_cast<int>(axis)))] = true;
  LIMBECK_CHECK(!x.batched || !reduced.at(0), "export: ", c.name, " over the batch");
  std::vector<int64_t> places;
  for (size_t axis = 0; axis < reduced.size(); ++axis)
    if (reduced[axis]) places.push_back(position(x.order, static_cast<int64_t>(axis)));
  std::sort(places.begin(), places.end());
  const bool keep = c.attrs.flag("keepdim");
  const OnnxAttribute keepdims{"keepdims", int64_t{keep}};
  const bool axes_are_input = std::string(type) == "ReduceSum";  // since opset 13
  const std::string y = axes_are_input
                            ? c.graph.node(type, {first(c), c.graph.integers(places)}, {keepdims})
                            : c.graph.node(type, {first(c)}, {{"axes", places}, keepdims});
  return result(c, y, keep ? x.order : without(x.order, reduced));
}

OnnxValue linear(const OnnxCall& c) {
  LIMBECK_CHECK(c.in[0].shape.rank() == 2, "export: linear of ", c.in[0].shape,
                ", expected two dimensions");
  std::vector<std::string> names{c.graph.in_order(c.in[0], our_order(2)),
                                 c.graph.in_order(c.in[1], our_order(2))};
  if (c.in[2]) names.push_back(c.graph.in_order(c.in[2], our_order(1)));
  return result(c, c.graph.node("Gemm", names, {{"transB", int64_t{1}}}), our_order(2));
}

OnnxValue matmul(const OnnxCall& c) {
  std::vector<std::string> names;
  for (const auto& [i, flag] : {std::pair(0, "transpose_a"), {1, "transpose_b"}}) {
    const OnnxValue& v = c.in[static_cast<size_t>(i)];
    Order order = our_order(v.shape.rank());
    if (c.attrs.flag(flag)) std::swap(order.end()[-1], order.end()[-2]);
    names.push_back(c.graph.in_order(v, order));
  }
  return result(c, c.graph.node("MatMul", names), our_order(c.shape.rank()));
}

LIMBECK_ONNX(sum, reduce(c, "ReduceSum"));
LIMBECK_ONNX(mean, reduce(c, "ReduceMean"));
LIMBECK_ONNX(max, reduce(c, "ReduceMax"));
LIMBECK_ONNX(linear, linear(c));
LIMBECK_ONNX(matmul, matmul(c));

// --- images --------------------------------------------------------------------------------------

std::string image(const OnnxCall& c) { return c.graph.in_order(c.in[0], channels_first()); }

OnnxValue conv2d(const OnnxCall& c) {
  std::vector<std::string> names{image(c), c.graph.in_order(c.in[1], channels_first())};
  if (c.in[2]) names.push_back(c.graph.in_order(c.in[2], our_order(1)));
  const Shape& w = c.in[1].shape;
  return result(c,
                c.graph.node("Conv", names,
                             {{"kernel_shape", std::vector<int64_t>{w[1], w[2]}},
                              {"strides", both(c.attrs.pair("stride", 1))},
                              {"pads", around(c.attrs.pair("padding", 0))},
                              {"dilations", both(c.attrs.pair("dilation", 1))},
                              {"group", c.attrs.integer("groups", 1)}}),
                channels_first());
}

/// Windows as PyTorch counts them: with ceil_mode, padding behind the image that makes them whole.
OnnxValue pool(const OnnxCall& c, const char* type, bool average) {
  const auto kernel = c.attrs.pair("kernel", 2), padding = c.attrs.pair("padding", 0);
  const auto stride = c.attrs.pair("stride", 2);
  const Shape& x = c.in[0].shape;
  const int64_t more_rows = (c.shape[1] - 1) * stride.first + kernel.first - x[1] - padding.first,
                more_columns =
                    (c.shape[2] - 1) * stride.second + kernel.second - x[2] - padding.second;
  std::vector<int64_t> pads = around(padding);
  pads[2] = std::max(pads[2], more_rows), pads[3] = std::max(pads[3], more_columns);
  std::vector<OnnxAttribute> attributes{
      {"kernel_shape", both(kernel)}, {"strides", both(stride)}, {"pads", pads}};
  if (average) {
    const bool counted = c.attrs.flag("count_include_pad", true);
    LIMBECK_CHECK(!counted || pads == around(padding),
                  "export: avg_pool2d with ceil_mode that counts padding");
    attributes.push_back({"count_include_pad", int64_t{counted}});
  }
  return result(c, c.graph.node(type, {image(c)}, attributes), channels_first());
}

OnnxValue adaptive_pool(const OnnxCall& c) {
  const Shape& x = c.in[0].shape;
  LIMBECK_CHECK(x[1] % c.shape[1] == 0 && x[2] % c.shape[2] == 0, "export: adaptive_avg_pool2d of ",
                x[1], "x", x[2], " pixels to ", c.shape[1], "x", c.shape[2],
                ", expected a divisor");
  const std::vector<int64_t> window{x[1] / c.shape[1], x[2] / c.shape[2]};
  return result(
      c, c.graph.node("AveragePool", {image(c)}, {{"kernel_shape", window}, {"strides", window}}),
      channels_first());
}

OnnxValue upsample(const OnnxCall& c) {
  const auto scale = static_cast<float>(c.attrs.integer("scale", 2));
  const std::string scales =
      c.graph.initialiser(cat("scales_", scale), Tensor::of<float>({1, 1, scale, scale}));
  return result(c,
                c.graph.node("Resize", {image(c), "", scales},
                             {{"mode", std::string("nearest")},
                              {"coordinate_transformation_mode", std::string("asymmetric")},
                              {"nearest_mode", std::string("floor")}}),
                channels_first());
}

OnnxValue pad2d(const OnnxCall& c) {
  const std::vector<int64_t> p = c.attrs.integers("padding");
  const std::string pads = c.graph.integers({0, 0, p.at(0), p.at(2), 0, 0, p.at(1), p.at(3)});
  const std::string value = c.graph.scalar(c.attrs.number("value", 0));
  return result(c, c.graph.node("Pad", {image(c), pads, value}), channels_first());
}

/// Inputs: x, gamma, beta, mean, var, residual.
OnnxValue batch_norm(const OnnxCall& c) {
  const int rank = c.shape.rank();
  LIMBECK_CHECK(rank == 2 || rank == 4, "export: batch_norm_eval of ", c.shape,
                ", expected two or four dimensions");
  const Order order = rank == 4 ? channels_first() : our_order(2);
  const int64_t channels = c.shape[-1];
  std::string y = c.graph.node(
      "BatchNormalization",
      {c.graph.in_order(c.in[0], order), given_or(c, 1, 1, channels), given_or(c, 2, 0, channels),
       given_or(c, 3, 0, channels), given_or(c, 4, 1, channels)},
      {{"epsilon", static_cast<float>(c.attrs.number("eps", 1e-5))}});
  if (c.in[5]) y = c.graph.node("Add", {y, c.graph.in_order(c.in[5], order)});
  if (c.attrs.text("act", "none") == "relu") y = c.graph.node("Relu", {y});
  return result(c, y, order);
}

/// Channel i g + j of the result is channel j C/g + i.
OnnxValue channel_shuffle(const OnnxCall& c) {
  const int64_t groups = c.attrs.integer("groups", 1), channels = c.shape[3];
  const std::string apart =
                        c.graph.integers({0, groups, channels / groups, c.shape[1], c.shape[2]}),
                    together = c.graph.integers({0, channels, c.shape[1], c.shape[2]});
  std::string y = c.graph.node("Reshape", {image(c), apart});
  y = c.graph.node("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 1, 3, 4}}});
  return result(c, c.graph.node("Reshape", {y, together}), channels_first());
}

LIMBECK_ONNX(conv2d, conv2d(c));
LIMBECK_ONNX(max_pool2d, pool(c, "MaxPool", false));
LIMBECK_ONNX(avg_pool2d, pool(c, "AveragePool", true));
LIMBECK_ONNX(adaptive_avg_pool2d, adaptive_pool(c));
LIMBECK_ONNX(upsample_nearest, upsample(c));
LIMBECK_ONNX(pad2d, pad2d(c));
LIMBECK_ONNX(batch_norm_eval, batch_norm(c));
LIMBECK_ONNX(channel_shuffle, channel_shuffle(c));

// --- shape and selection -------------------------------------------------------------------------

OnnxValue reshape(const OnnxCall& c) {
  const OnnxValue& x = c.in[0];
  LIMBECK_CHECK(
      !x.batched || (x.shape.rank() > 0 && c.shape.rank() > 0 && x.shape[0] == c.shape[0]),
      "export: reshape of ", x.shape, " to ", c.shape, " mixes the images of a batch");
  std::vector<int64_t> sizes = c.shape.vec();
  if (x.batched) sizes[0] = 0;  // ONNX: as it is
  const std::string y = c.graph.node(
      "Reshape", {c.graph.in_order(x, our_order(x.shape.rank())), c.graph.integers(sizes)});
  return result(c, y, our_order(c.shape.rank()));
}

/// Dimension j of the result is dimension moves[j] of x.
OnnxValue permute(const OnnxCall& c) {
  const std::vector<int64_t> moves = c.attrs.integers("order");
  const std::string x = first(c);
  Order order;
  for (const int64_t axis : c.in[0].order)
    order.push_back(std::find(moves.begin(), moves.end(), axis) - moves.begin());
  LIMBECK_CHECK(!c.in[0].batched || moves.at(0) == 0, "export: permute that moves the batch");
  return result(c, x, order);
}

OnnxValue concat(const OnnxCall& c) {
  const Order& order = c.in[0].order;
  const int64_t axis = position(order, c.attrs.integer("axis", 0));
  LIMBECK_CHECK(!c.batched() || order[static_cast<size_t>(axis)] != 0, "export: concat of batches");
  std::vector<std::string> names;
  for (const OnnxValue& v : c.in) names.push_back(c.graph.in_order(v, order));
  return result(c, c.graph.node("Concat", names, {{"axis", axis}}), order);
}

OnnxValue slice(const OnnxCall& c) {
  const Order& order = c.in[0].order;
  const int64_t axis = position(order, c.attrs.integer("axis", 0));
  LIMBECK_CHECK(!c.batched() || order[static_cast<size_t>(axis)] != 0, "export: slice of a batch");
  const std::string begin = c.graph.integers({c.attrs.integer("begin", 0)}),
                    end = c.graph.integers({c.attrs.integer("end", 0)}),
                    axes = c.graph.integers({axis});
  return result(c, c.graph.node("Slice", {first(c), begin, end, axes}), order);
}

LIMBECK_ONNX(reshape, reshape(c));
LIMBECK_ONNX(permute, permute(c));
LIMBECK_ONNX(concat, concat(c));
LIMBECK_ONNX(slice, slice(c));
#undef LIMBECK_ONNX

}  // namespace
}  // namespace limbeck::nn
