// `limbeck op`: layouts on the way in and out, cotangents, and what is refused.
#include <gtest/gtest.h>

#include "apps/op_file.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

Tensor random(const Shape& shape, uint64_t seed) {
  const Tensor t = Tensor::empty(shape, DType::f64);
  Stream(seed).fill_uniform(t, -1, 1);
  return t;
}

std::string error_of(const std::string& op, const TensorFile& file,
                     const OpFileOptions& options = {}) {
  try {
    run_op_file(op, file, options);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// Convolution by its definition on [N, C, H, W] and [out, in, kh, kw], stride 1, no padding.
double convolution_at(const Tensor& x, const Tensor& w, int64_t n, int64_t o, int64_t h,
                      int64_t v) {
  double sum = 0;
  for (int64_t c = 0; c < x.size(1); ++c)
    for (int64_t a = 0; a < w.size(2); ++a)
      for (int64_t b = 0; b < w.size(3); ++b)
        sum += x.at(((n * x.size(1) + c) * x.size(2) + h + a) * x.size(3) + v + b) *
               w.at(((o * w.size(1) + c) * w.size(2) + a) * w.size(3) + b);
  return sum;
}

TEST(OpFile, ImagesAreChannelsFirst) {
  TensorFile in;
  in.add("x", random({2, 3, 5, 4}, 1));
  in.add("w", random({6, 3, 2, 3}, 2));
  const TensorFile out = run_op_file("conv2d", in, {.gradients = true});
  const Tensor y = out.get("y");
  ASSERT_EQ(y.shape(), Shape({2, 6, 4, 2}));
  for (int64_t i = 0; i < y.numel(); ++i)
    EXPECT_NEAR(y.at(i),
                convolution_at(in.get("x"), in.get("w"), i / 48, i / 8 % 6, i / 2 % 4, i % 2),
                1e-12);
  EXPECT_EQ(out.get("grad_x").shape(), in.get("x").shape());
  EXPECT_EQ(out.get("grad_w").shape(), in.get("w").shape());
  EXPECT_EQ(out.get("grad_y").shape(), y.shape());
}

TEST(OpFile, CotangentsOfTheFileAreUsed) {
  TensorFile in;
  in.add("a", random({3, 4}, 1));
  in.add("b", random({4}, 2));
  in.add("grad_y", Tensor::full({3, 4}, 2, DType::f64));
  const TensorFile out = run_op_file("mul", in, {.gradients = true});
  for (int64_t i = 0; i < 12; ++i)
    EXPECT_DOUBLE_EQ(out.get("grad_a").at(i), 2 * in.get("b").at(i % 4));
}

TEST(OpFile, InputOfTheFileStaysUntouched) {
  TensorFile in;
  const Tensor w = random({4}, 1), before = w.clone();
  in.add("w", w);
  in.add("g", random({4}, 2));
  in.add("v", random({4}, 3));
  in.add("lr", Tensor::full({1}, 0.5, DType::f64));
  const TensorFile out = run_op_file("sgd_step", in, {});
  EXPECT_EQ(w.to_vector<double>(), before.to_vector<double>());
  EXPECT_NE(out.get("w").to_vector<double>(), before.to_vector<double>());
}

TEST(OpFile, InputsChangedInPlaceAreWrittenWhereGiven) {
  TensorFile in;
  in.add("x", random({4, 3}, 1));
  EXPECT_EQ(run_op_file("batch_norm", in, {.gradients = true}).find("running_mean"), nullptr);
  in.add("running_mean", Tensor::zeros({3}, DType::f64));
  in.add("running_var", Tensor::full({3}, 1, DType::f64));
  const TensorFile out = run_op_file("batch_norm", in, {.gradients = true});
  for (int64_t c = 0; c < 3; ++c)
    EXPECT_NEAR(out.get("running_mean").at(c), 0.1 * out.get("mean").at(c), 1e-15);
  EXPECT_EQ(in.get("running_mean").at(0), 0) << "the caller's tensors stay";
}

TEST(OpFile, AttributesComeFromTheMetadata) {
  TensorFile in;
  in.add("xs.0", random({2, 3}, 1));
  in.add("xs.1", random({2, 1}, 2));
  in.metadata["attrs"] = R"({"axis": 1})";
  EXPECT_EQ(run_op_file("concat", in, {}).get("y").shape(), Shape({2, 4}));
}

TEST(OpFile, InfinitiesAreWritten) {
  for (const char* text :
       {R"({"low": -Infinity, "high": 0.5})", R"({"low": "-Infinity", "high": 0.5})"}) {
    TensorFile in;
    in.add("x", Tensor::of<double>({-1e300, 2}));
    in.metadata["attrs"] = text;
    const TensorFile out = run_op_file("clamp", in, {});
    EXPECT_EQ(out.get("y").to_vector<double>(), (std::vector<double>{-1e300, 0.5}));
    EXPECT_EQ(out.metadata.at("attrs"), R"({"high":0.5,"low":"-Infinity"})");
  }
}

/// [N, C, L] to [N, L, C] and back.
Tensor turned(const Tensor& t) { return permuted(t, std::vector<int>{0, 2, 1}); }

TEST(OpFile, SequencesAreChannelsFirstToo) {
  TensorFile in;
  in.add("x", random({3, 4, 5}, 1));
  in.metadata["attrs"] = R"({"groups": 2})";
  const Attrs groups{{"groups", int64_t{2}}};
  const Tensor x = turned(in.get("x"));
  const Tensor shuffled = run_forward(find_op("channel_shuffle"), {x}, groups)[0];
  const TensorFile out = run_op_file("channel_shuffle", in, {.gradients = true});
  EXPECT_EQ(out.get("y").to_vector<double>(), turned(shuffled).to_vector<double>());
  EXPECT_EQ(out.get("grad_x").shape(), Shape({3, 4, 5}));
  const Tensor grouped = run_forward(find_op("group_norm"), {x, Tensor(), Tensor()}, groups)[0];
  EXPECT_EQ(run_op_file("group_norm", in, {}).get("y").to_vector<double>(),
            turned(grouped).to_vector<double>());
  in.metadata["attrs"] = "";
  EXPECT_EQ(run_op_file("batch_norm", in, {}).get("mean").shape(), Shape({4}));
}

TEST(OpFile, ErrorsWriteShapesAsTheyCame) {
  TensorFile in;
  in.add("x", random({2, 3, 5, 4}, 1));
  in.add("w", random({6, 7, 2, 2}, 2));
  EXPECT_EQ(error_of("conv2d", in),
            "conv2d: 'w' must be [6, 3, 2, 2] for 'x' [2, 3, 5, 4] and groups = 1, found [6, 7, 2, "
            "2]");
  TensorFile flat;
  flat.add("x", random({3, 5, 4}, 1));
  EXPECT_EQ(error_of("max_pool2d", flat),
            "max_pool2d: 'x' must be an image batch [N, C, H, W], found f64[3, 5, 4] on cpu");
  EXPECT_EQ(to_string(Shape{1, 2, 3, 4}), "[1, 2, 3, 4]") << "elsewhere as in memory";
  TensorFile matrix;
  matrix.add("x", random({2, 3}, 1));
  matrix.metadata["attrs"] = R"({"groups": 2})";
  EXPECT_EQ(error_of("channel_shuffle", matrix),
            "channel_shuffle: attribute 'groups' = 2 must divide the channels of 'x' f64[2, 3] on "
            "cpu");
}

TEST(OpFile, IntegersHaveNoGradient) {
  TensorFile in;
  in.add("x", Tensor::of<int64_t>({1, 2, 3, 4}, {2, 2}));
  in.metadata["attrs"] = R"({"order": [1, 0]})";
  const TensorFile out = run_op_file("permute", in, {.gradients = true});
  EXPECT_EQ(out.get("y").to_vector<int64_t>(), (std::vector<int64_t>{1, 3, 2, 4}));
  EXPECT_EQ(out.find("grad_x"), nullptr);
}

TEST(OpFile, RefusesWithTheReason) {
  TensorFile in;
  in.add("x", random({2, 3, 5, 4}, 1));
  EXPECT_EQ(error_of("conv3d", in).substr(0, 25), "unknown operator 'conv3d'");
  EXPECT_EQ(error_of("conv2d", in), "input: operator conv2d needs a tensor 'w'");
  EXPECT_EQ(error_of("relu", in, {.kernel = "cudnn"}).substr(0, 43),
            "operator relu has no kernel 'cudnn'; it has");
  in.add("wx", random({6, 3, 2, 3}, 2));
  EXPECT_EQ(error_of("conv2d", in, {.source = "case.safetensors"}),
            "case.safetensors: operator conv2d has no input 'wx'; did you mean 'x'?");
  TensorFile other;
  other.add("x", random({4}, 1));
  other.metadata["attrs"] = R"({"slop": 0.1})";
  EXPECT_EQ(error_of("leaky_relu", other),
            "input: metadata 'attrs': operator leaky_relu has no attribute 'slop'; did you mean "
            "'slope'?");
  other.metadata["attrs"] = "[1";
  EXPECT_EQ(error_of("leaky_relu", other),
            "input: metadata 'attrs': expected attributes as a JSON object, found '[1'");
  other.metadata["attrs"] = R"({"slope": "much"})";
  EXPECT_NE(error_of("leaky_relu", other).find("slope"), std::string::npos);
  other.metadata["attrs"] = "";
  other.add("grad_y", random({5}, 1));
  EXPECT_NE(error_of("relu", other, {.gradients = true}).find("'grad_y' must fit the output"),
            std::string::npos);
  EXPECT_EQ(error_of("equal", other, {.gradients = true}), "operator equal has no gradient");
}

}  // namespace
}  // namespace limbeck
