// Attributes that no call can mean: every operator refuses them by name, or takes them and still
// gives results of a size that fits; nothing wraps, overflows, or asks for all memory.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <variant>

#include "ops/cases.h"
#include "ops/check.h"
#include "ops/execution.h"
#include "tests/ops/calls.h"

namespace limbeck {
namespace {

constexpr int64_t absurd[] = {-1,
                              int64_t{1} << 31,
                              int64_t{1} << 32,
                              (int64_t{1} << 32) + 1,
                              int64_t{1} << 40,
                              int64_t{1} << 62,
                              -(int64_t{1} << 32),
                              -(int64_t{1} << 62),
                              std::numeric_limits<int64_t>::max(),
                              std::numeric_limits<int64_t>::min()};

/// `c` with one integer of an attribute replaced.
void each_change(const OpCase& c, const std::function<void(const OpCase&)>& f) {
  for (const auto& [name, value] : c.attrs.values())
    for (const int64_t number : absurd) {
      OpCase changed = c;
      if (std::holds_alternative<int64_t>(value)) {
        changed.attrs.set(name, number);
        f(changed);
      } else if (const auto* list = std::get_if<std::vector<int64_t>>(&value)) {
        for (size_t i = 0; i < list->size(); ++i) {
          std::vector<int64_t> other = *list;
          other[i] = number;
          changed.attrs.set(name, other);
          f(changed);
        }
      }
    }
}

bool is_small(const OpCase& c) {
  int64_t n = 0;
  for (const CaseInput& i : c.inputs) n += i.shape.numel();
  return n < 10000;
}

class Absurd : public testing::TestWithParam<std::string> {};

TEST_P(Absurd, AttributesAreRefusedOrTaken) {
  const Op& op = find_op(GetParam());
  for (const OpCase& c : op.cases) {
    if (!is_small(c)) continue;
    const Tensors in = case_inputs(op, c, DType::f32);
    each_change(c, [&](const OpCase& changed) {
      int64_t results = 0;
      try {
        for (const TensorSpec& out : op.infer(in, changed.attrs)) results += out.shape.numel();
        if (results < 100000) run_forward(op, in, changed.attrs);
      } catch (const Error& e) {
        // Shapes refuse what is too large without a name; run_forward gives them one.
        const std::string text = e.what();
        EXPECT_TRUE(text.rfind(op.name, 0) == 0 || text.rfind("shape", 0) == 0)
            << describe(op, changed) << ": " << text;
      }
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, Absurd, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const Op* op : all_ops()) names.push_back(op->name);
                           return names;
                         }()),
                         [](const auto& info) { return info.param; });

TEST(Attributes, AnAxisOfTwoToThe32IsNotAxisZero) {
  const Tensor x = Tensor::zeros({2, 3});
  const int64_t far = int64_t{1} << 32;
  EXPECT_EQ(refusal("sum", {x}, {{"axes", std::vector<int64_t>{far}}}),
            "sum: attribute 'axes' must be from -2 to 1 for [2, 3], found 4294967296");
  EXPECT_EQ(refusal("concat", {x, x}, {{"axis", far}}),
            "concat: attribute 'axis' must be from -2 to 1 for [2, 3], found 4294967296");
  EXPECT_EQ(refusal("slice", {x}, {{"axis", -far}}),
            "slice: attribute 'axis' must be from -2 to 1 for [2, 3], found -4294967296");
}

TEST(Attributes, AnAxisIsNamedOnce) {
  const Tensor x = Tensor::zeros({2, 3});
  for (const char* name : {"sum", "mean", "max", "min", "var", "logsumexp"})
    EXPECT_EQ(refusal(name, {x}, {{"axes", std::vector<int64_t>{1, -1}}}),
              std::string(name) + ": attribute 'axes' names dimension 1 of [2, 3] twice");
}

TEST(Attributes, SizesBeyondAllMemoryAreRefused) {
  const Tensor x = Tensor::zeros({1, 2, 2, 1});
  const int64_t huge = int64_t{1} << 40;
  EXPECT_EQ(refusal("upsample_nearest", {x}, {{"scale", huge}}),
            "upsample_nearest: attribute 'scale' must be from 1 to 2147483647, found "
            "1099511627776");
  EXPECT_NE(refusal("pad2d", {x}, {{"padding", std::vector<int64_t>{0, int64_t{1} << 62, 0, 0}}}),
            "taken");
  EXPECT_NE(refusal("adaptive_avg_pool2d", {x}, {{"output", huge}}), "taken");
  // within an attribute's range, but not within a shape's
  const Tensor wide = Tensor::zeros({0, int64_t{1} << 40, 1, 1});
  EXPECT_NE(refusal("upsample_nearest", {wide}, {{"scale", int64_t{1} << 30}}), "taken");
}

TEST(Attributes, EveryRefusalNamesTheOperator) {
  const Tensor x = Tensor::zeros({1, 2, 2, 1});
  EXPECT_EQ(refusal("conv2d", {x, x, Tensor()}, {{"stride", std::string("two")}}),
            "conv2d: attribute 'stride': expected an integer or a list of two");
}

TEST(Attributes, TypesAreCheckedAtTheDoor) {
  const Tensor a = Tensor::zeros({2, 2}), b = Tensor::zeros({2, 2}, DType::f64),
               i = Tensor::zeros({2, 2}, DType::i64);
  EXPECT_EQ(refusal("matmul", {a, b}, {}),
            "matmul: 'b' must be f32 like the others, found f64[2, 2] on cpu");
  EXPECT_EQ(refusal("linear", {a, b, Tensor()}, {}),
            "linear: 'w' must be f32[2, 2], found f64[2, 2] on cpu");
  EXPECT_EQ(refusal("add", {a, b}, {}),
            "add: 'b' must be f32 like the others, found f64[2, 2] on cpu");
  EXPECT_EQ(refusal("relu", {i}, {}),
            "relu: 'x' must be of a floating type, found i64[2, 2] on cpu");
  EXPECT_EQ(refusal("matmul", {i, i}, {}),
            "matmul: 'a' must be of a floating type, found i64[2, 2] on cpu");
}

/// Every input of another type than the case has: refused, or taken by operators that move
/// anything; never read as what it is not.
TEST_P(Absurd, AnInputOfAnotherTypeIsRefusedByName) {
  const Op& op = find_op(GetParam());
  const OpCase& c = op.cases.front();
  const Tensors in = case_inputs(op, c, DType::f32);
  for (size_t i = 0; i < in.size(); ++i)
    for (const DType other : {DType::f64, DType::i64, DType::u8}) {
      if (!in[i].defined() || in[i].dtype() == other) continue;
      Tensors changed = in;
      changed[i] = in[i].to(other);
      try {
        run_forward(op, changed, c.attrs);
      } catch (const Error& e) {
        const std::string text = e.what();
        EXPECT_EQ(text.rfind(op.name, 0), 0u) << text;
        EXPECT_EQ(text.find("read as"), std::string::npos) << text;
      }
    }
}

TEST(Permute, MovesEveryType) {
  const Tensor x = Tensor::of<int64_t>({1, 2, 3, 4, 5, 6}, {2, 3});
  for (const DType type : {DType::i64, DType::i32, DType::u8, DType::f32, DType::f64}) {
    const Tensor y =
        run_forward(find_op("permute"), {x.to(type)}, {{"order", std::vector<int64_t>{1, 0}}})[0];
    EXPECT_EQ(y.dtype(), type);
    EXPECT_EQ(y.to(DType::i64).to_vector<int64_t>(), (std::vector<int64_t>{1, 4, 2, 5, 3, 6}));
  }
  const Tensor bits = Tensor::of<int64_t>({1, 0, 0, 0, 1, 1}, {2, 3}).to(DType::boolean);
  const Tensor y =
      run_forward(find_op("permute"), {bits}, {{"order", std::vector<int64_t>{1, 0}}})[0];
  EXPECT_EQ(y.to(DType::i64).to_vector<int64_t>(), (std::vector<int64_t>{1, 0, 0, 1, 0, 1}));
}

}  // namespace
}  // namespace limbeck
