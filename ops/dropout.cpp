// Dropout: contract and reference.
//   forward  y[i] = u[i] >= p ? x[i] / (1 - p) : 0     backward  dx[i] = u[i] >= p ? dy[i] / (1 -
//                                                      p) : 0
// u[i] in [0, 1) is word i % 4 of Philox block rng[1] + i / 4 under key rng[0], so the mask is
// never stored. x, y any shape; rng i64[2]. Source: Srivastava et al. 2014 (inverted scaling as in
// PyTorch).
#include "ops/checks.h"
#include "tensor/random.h"

namespace limbeck::dropout_op {
namespace {

template <class T>
void apply_mask(const Tensor& from, const Tensor& rng, const Attrs& attrs, const Tensor& to) {
  const double p = attrs.number("p", 0.5);
  const T scale = p < 1 ? static_cast<T>(1 / (1 - p)) : T(0);
  const auto key = static_cast<uint64_t>(rng.data<int64_t>()[0]),
             offset = static_cast<uint64_t>(rng.data<int64_t>()[1]);
  const T* x = from.data<T>();
  T* y = to.data<T>();
  const int64_t n = from.numel();
  for (int64_t block = 0; block * 4 < n; ++block) {
    const PhiloxBlock bits = philox(key, offset + static_cast<uint64_t>(block));
    for (int64_t i = block * 4; i < std::min(n, block * 4 + 4); ++i)
      y[i] = uniform_from_bits(bits[i % 4]) >= static_cast<float>(p) ? x[i] * scale : T(0);
  }
}

std::vector<TensorSpec> infer(const Tensors& in, const Attrs& attrs) {
  check_floating("dropout", "x", in[0]);
  LIMBECK_CHECK(in[1].defined() && in[1].dtype() == DType::i64 && in[1].shape() == Shape({2}),
                "dropout: 'rng' must be i64[2], found ",
                in[1].defined() ? describe(in[1]) : "nothing");
  const double p = attrs.number("p", 0.5);
  LIMBECK_CHECK(p >= 0 && p <= 1, "dropout: p must be in [0, 1], found ", p);
  return {{in[0].shape(), in[0].dtype()}};
}

OpCase dropout_case(const Shape& x, double p, bool grad = true) {
  return {{{x}, {{2}, 0, 1000, DType::i64}}, {{"p", p}}, grad};
}

const RegisterOp dropout_op({
    .name = "dropout",
    .formula =
        "y = u >= p ? x / (1 - p) : 0, u uniform from Philox\ndx = u >= p ? dy / (1 - p) : 0",
    .source = "Srivastava et al. 2014",
    .inputs = {{"x"}, {"rng", false}},
    .outputs = {{"y"}},
    .saved_inputs = {1},
    .infer = infer,
    .forward = floating<ForwardCall,
                        [](auto t, const ForwardCall& c) {
                          apply_mask<decltype(t)>(c.in[0], c.in[1], c.attrs, c.out[0]);
                        }>,
    .backward = floating<BackwardCall,
                         [](auto t, const BackwardCall& c) {
                           if (c.din[0].defined())
                             apply_mask<decltype(t)>(c.dout[0], c.in[1], c.attrs, c.din[0]);
                         }>,
    .cases = {dropout_case({3, 7}, 0.5), dropout_case({17}, 0.0), dropout_case({2, 3}, 1.0),
              dropout_case({}, 0.3), dropout_case({0, 4}, 0.5),
              dropout_case({5, 13, 129}, 0.25, false)},
});

}  // namespace
}  // namespace limbeck::dropout_op
