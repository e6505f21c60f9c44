// The harness itself: each of these operators or kernels is wrong in one way, and the harness must
// say so.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <utility>

#include "ops/cases.h"
#include "ops/check.h"

namespace limbeck {
namespace {

using Backward = BackwardFn;

/// y = softmax-like quadratic: y_i = x_i^2 * w_i, small enough to plant errors in.
std::vector<TensorSpec> infer(const Tensors& in, const Attrs&) {
  return {{in[0].shape(), in[0].dtype()}};
}

template <class T>
void forward(const ForwardCall& c) {
  for (int64_t i = 0; i < c.out[0].numel(); ++i)
    c.out[0].data<T>()[i] = c.in[0].data<T>()[i] * c.in[0].data<T>()[i] * c.in[1].data<T>()[i];
}

/// The right gradients, handed to `change` before the call returns.
template <class T, class Change>
void backward(const BackwardCall& c, Change&& change) {
  for (int64_t i = 0; i < c.dout[0].numel(); ++i) {
    const T x = c.in[0].data<T>()[i], w = c.in[1].data<T>()[i], dy = c.dout[0].data<T>()[i];
    if (c.din[0].defined()) c.din[0].data<T>()[i] = 2 * x * w * dy;
    if (c.din[1].defined()) c.din[1].data<T>()[i] = x * x * dy;
  }
  change(c);
}

template <auto Change>
constexpr Backward planted = [](const BackwardCall& c) {
  floating<BackwardCall,
           [](auto t, const BackwardCall& call) { backward<decltype(t)>(call, Change); }>(c);
};

void set(const Tensor& t, int64_t i, double value) {
  if (!t.defined()) return;
  dispatch_floating(t.dtype(), "set",
                    [&](auto v) { t.data<decltype(v)>()[i] = static_cast<decltype(v)>(value); });
}

Op weighted_square(Backward b) {
  return {.name = "weighted_square",
          .formula = "y = x^2 w\ndx = 2 x w dy, dw = x^2 dy",
          .source = "test",
          .inputs = {{"x"}, {"w"}},
          .outputs = {{"y"}},
          .saved_inputs = {0, 1},
          .infer = infer,
          .forward =
              floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<decltype(t)>(c); }>,
          .backward = b,
          .cases = {{{values({3, 5}), values({3, 5})}}}};
}

constexpr auto nothing = [](const BackwardCall&) {};
CheckReport gradient(Backward b) {
  const Op op = weighted_square(b);
  return check_gradient(op, op.cases[0]);
}
CheckReport kernel(ForwardFn f, Backward b) {
  const Op op = weighted_square(planted<nothing>);
  Kernel k = reference_kernel(op);
  k.name = "planted";
  k.forward = f ? f : op.forward;
  k.backward = b;
  return check_kernel(op, op.cases[0], k);
}

TEST(OpHarness, AcceptsTheRightGradient) {
  const CheckReport g = gradient(planted<nothing>), k = kernel(nullptr, planted<nothing>);
  EXPECT_TRUE(g.ok && !g.skipped) << g.message;
  EXPECT_TRUE(k.ok && !k.skipped) << k.message;
}

constexpr auto scaled = [](const BackwardCall& c) {
  if (c.din[0].defined())
    for (int64_t i = 0; i < c.din[0].numel(); ++i) set(c.din[0], i, c.din[0].at(i) * 1.0001);
};
constexpr auto unwritten = [](const BackwardCall& c) { set(c.din[1], 14, std::nan("")); };
constexpr auto one_element = [](const BackwardCall& c) {
  if (c.din[0].defined()) set(c.din[0], 7, c.din[0].at(8));
};
constexpr auto ignores_cotangent = [](const BackwardCall& c) {
  for (int64_t i = 0; i < c.dout[0].numel(); ++i) set(c.din[1], i, c.in[0].at(i) * c.in[0].at(i));
};
constexpr auto accumulates =
    [](const BackwardCall& c) {  // reads what was there: NaN in the harness
      if (c.din[0].defined())
        set(c.din[0], 0, c.din[0].at(0) + c.din[0].at(14) * 0 + c.din[0].at(0));
    };
constexpr auto writes_input = [](const BackwardCall& c) { set(c.in[0], 0, 3); };
constexpr auto needs_both = [](const BackwardCall& c) {
  if (!c.din[1].defined() && c.din[0].defined()) set(c.din[0], 2, 0);
};

TEST(OpHarness, CatchesWrongGradients) {
  EXPECT_FALSE(gradient(planted<scaled>).ok);
  EXPECT_FALSE(gradient(planted<unwritten>).ok);
  EXPECT_FALSE(gradient(planted<one_element>).ok);
  EXPECT_FALSE(gradient(planted<ignores_cotangent>).ok);
  EXPECT_FALSE(gradient(planted<accumulates>).ok);
  const CheckReport report = gradient(planted<one_element>);
  EXPECT_NE(report.message.find("'x' element 7"), std::string::npos) << report.message;
}

TEST(OpHarness, CatchesWrongKernelBackwards) {
  EXPECT_FALSE(kernel(nullptr, planted<scaled>).ok);
  EXPECT_FALSE(kernel(nullptr, planted<unwritten>).ok);
  EXPECT_FALSE(kernel(nullptr, planted<ignores_cotangent>).ok);
  EXPECT_FALSE(kernel(nullptr, planted<writes_input>).ok);
  EXPECT_FALSE(kernel(nullptr, planted<needs_both>).ok);
}

TEST(OpHarness, CatchesWrongKernelForwards) {
  EXPECT_FALSE(kernel(
                   [](const ForwardCall& c) {
                     forward<float>(c);
                     c.out[0].data<float>()[14] += 1e-5f;
                   },
                   planted<nothing>)
                   .ok);
  EXPECT_FALSE(kernel(
                   [](const ForwardCall& c) {  // one element short
                     for (int64_t i = 0; i + 1 < c.out[0].numel(); ++i)
                       c.out[0].data<float>()[i] = c.in[0].data<float>()[i] *
                                                   c.in[0].data<float>()[i] *
                                                   c.in[1].data<float>()[i];
                   },
                   planted<nothing>)
                   .ok);
  EXPECT_FALSE(kernel(
                   [](const ForwardCall& c) {
                     forward<float>(c);
                     c.in[1].data<float>()[0] = 0;
                   },
                   planted<nothing>)
                   .ok);
}

// y = inf, NaN, 4 w: one of them planted as something else.
TEST(OpHarness, CatchesWhatIsNotFiniteInTheWrongPlace) {
  constexpr double inf = HUGE_VAL, nan = NAN;
  Op op = weighted_square(planted<nothing>);
  op.cases = {
      {.inputs = {{.shape = {3}, .first = {inf, nan, 2}}, values({3}, 0.5, 1)}, .grad = false}};
  static int64_t at;
  static double value;
  Kernel k = reference_kernel(op);
  EXPECT_TRUE(check_kernel(op, op.cases[0], k).ok);
  k.name = "planted";
  k.forward = [](const ForwardCall& c) {
    forward<float>(c);
    set(c.out[0], at, value);
  };
  for (const auto& [i, wrong] : std::initializer_list<std::pair<int64_t, double>>{
           {0, -inf}, {0, 3e38}, {0, nan}, {1, inf}, {1, 0}, {2, inf}, {2, nan}}) {
    at = i, value = wrong;
    EXPECT_FALSE(check_kernel(op, op.cases[0], k).ok) << "element " << i << " = " << wrong;
  }
}

TEST(OpHarness, ToleratesRounding) {
  EXPECT_TRUE(kernel(
                  [](const ForwardCall& c) {
                    forward<float>(c);
                    c.out[0].data<float>()[3] *= 1 + 0x1p-23f;
                  },
                  planted<nothing>)
                  .ok);
}

// --- bf16: data and results are rounded, parameters and sums are not -----------------------------
bfloat16 rounded(float x) { return bfloat16(x); }
bfloat16 truncated(float x) {
  bfloat16 r(0.0f);
  r.bits = static_cast<uint16_t>(std::bit_cast<uint32_t>(x) >> 16);
  return r;
}

template <class W, bfloat16 (*Round)(float)>
void bf16_forward(const ForwardCall& c) {
  for (int64_t i = 0; i < c.out[0].numel(); ++i) {
    const float x = c.in[0].data<bfloat16>()[i];
    c.out[0].data<bfloat16>()[i] = Round(x * x * static_cast<float>(c.in[1].data<W>()[i]));
  }
}
/// `Round` applies to the parameter's gradient, which is f32.
template <class W, float (*Round)(float)>
void bf16_backward(const BackwardCall& c) {
  for (int64_t i = 0; i < c.dout[0].numel(); ++i) {
    const float x = c.in[0].data<bfloat16>()[i], w = static_cast<float>(c.in[1].data<W>()[i]),
                dy = c.dout[0].data<bfloat16>()[i];
    if (c.din[0].defined()) c.din[0].data<bfloat16>()[i] = bfloat16(2 * x * w * dy);
    if (c.din[1].defined()) c.din[1].data<W>()[i] = static_cast<W>(Round(x * x * dy));
  }
}
float exact(float x) { return x; }
float as_bf16(float x) { return bfloat16(x); }

CheckReport bf16_kernel(bool w_is_parameter, ForwardFn f, Backward b, bool w_is_weighted = false) {
  Op op = weighted_square(planted<nothing>);
  op.inputs[1].parameter = w_is_parameter;
  op.inputs[1].weighted = w_is_weighted;
  Kernel k = reference_kernel(op, DType::bf16);
  k.forward = f;
  k.backward = b;
  return check_kernel(op, op.cases[0], k);
}

TEST(OpHarness, HoldsBf16KernelsToTheRoundingOfWhatTheyStore) {
  const auto all_data = [](ForwardFn f) {
    return bf16_kernel(false, f, bf16_backward<bfloat16, exact>);
  };
  const CheckReport right = all_data(bf16_forward<bfloat16, rounded>);
  EXPECT_TRUE(right.ok && !right.skipped) << right.message;
  EXPECT_FALSE(all_data(bf16_forward<bfloat16, truncated>).ok);
  EXPECT_FALSE(all_data([](const ForwardCall& c) {
                 bf16_forward<bfloat16, rounded>(c);
                 c.out[0].data<bfloat16>()[7].bits += 1;
               }).ok);
}

TEST(OpHarness, HoldsGradientsOfParametersToF32) {
  const CheckReport right =
      bf16_kernel(true, bf16_forward<float, rounded>, bf16_backward<float, exact>);
  EXPECT_TRUE(right.ok && !right.skipped) << right.message;
  EXPECT_FALSE(bf16_kernel(true, bf16_forward<float, rounded>, bf16_backward<float, as_bf16>).ok);
  EXPECT_TRUE(bf16_kernel(
                  true,
                  [](const ForwardCall& c) {  // tensor cores take parameters as bf16
                    const Tensor w = c.in[1].to(DType::bf16).to(DType::f32);
                    bf16_forward<float, rounded>({{c.in[0], w}, c.out, c.attrs});
                  },
                  bf16_backward<float, exact>)
                  .ok);
}

// As attention's weights on their way to the tensor cores: x^2 keeps `bits` bits of its fraction
// before it meets w.
template <int bits>
void forward_with_short_weights(const ForwardCall& c) {
  for (int64_t i = 0; i < c.out[0].numel(); ++i) {
    const float x = c.in[0].data<bfloat16>()[i];
    const uint32_t cut = (1u << (23 - bits)) - 1, square = std::bit_cast<uint32_t>(x * x) + cut / 2;
    c.out[0].data<bfloat16>()[i] =
        bfloat16(std::bit_cast<float>(square & ~cut) * c.in[1].data<bfloat16>()[i]);
  }
}

TEST(OpHarness, AllowsRoundedWeightsWhereTheRecordSaysSo) {
  const auto kernel = [](ForwardFn f, bool weighted) {
    return bf16_kernel(false, f, bf16_backward<bfloat16, exact>, weighted);
  };
  const CheckReport right = kernel(forward_with_short_weights<7>, true);
  EXPECT_TRUE(right.ok && !right.skipped) << right.message;
  EXPECT_FALSE(kernel(forward_with_short_weights<7>, false).ok);
  EXPECT_FALSE(kernel(forward_with_short_weights<3>, true).ok);
}

TEST(OpHarness, AuditNamesWhatIsMissing) {
  Op op = weighted_square(planted<nothing>);
  EXPECT_TRUE(audit(op).empty());
  op.cases[0].grad = false;
  EXPECT_EQ(audit(op).size(), 2u);  // neither x nor w has a gradient case
  op = weighted_square(nullptr);
  EXPECT_EQ(audit(op).size(), 1u);
  op = weighted_square(planted<nothing>);
  op.cases.clear();
  op.formula.clear();
  EXPECT_GE(audit(op).size(), 3u);
}

TEST(OpHarness, InputsStayAwayFromKinksAndDiffer) {
  Op op = weighted_square(planted<nothing>);
  op.kinks = {0, 0.5};
  op.cases = {{{values({40, 50}), values({40, 50})}}};
  for (const Tensor& t : case_inputs(op, op.cases[0], DType::f64))
    for (double x : t.span<double>())
      EXPECT_TRUE(std::abs(x) > 0.0199 && std::abs(x - 0.5) > 0.0199) << x;
  op.kinks.clear();
  op.distinct_values = true;
  for (const Tensor& t : case_inputs(op, op.cases[0], DType::f64)) {
    std::vector<double> sorted = t.to_vector<double>();
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 1; i < sorted.size(); ++i) EXPECT_GT(sorted[i] - sorted[i - 1], 1e-4);
  }
}

}  // namespace
}  // namespace limbeck
