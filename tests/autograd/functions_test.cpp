// The composites of autograd/functions.h: values against their definitions, gradients against
// central differences. The operators themselves are covered by tests/ops/table_test.cpp.
#include "autograd/functions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradcheck.h"

namespace limbeck {
namespace {

Variable draw(const Shape& shape, uint64_t seed, double low = -1, double high = 1,
              bool wanted = true) {
  const Tensor t = Tensor::empty(shape, DType::f64);
  Stream(seed).fill_uniform(t, low, high);
  return Variable(t, wanted);
}

void expect_gradient(const std::function<Variable(const Variables&)>& f, const Variables& inputs) {
  const GradcheckReport report = gradcheck(f, inputs);
  EXPECT_TRUE(report.ok) << report.message;
}

std::vector<double> list(const Variable& v) { return v.data().to_vector<double>(); }

TEST(Functions, FlattenChwFollowsPyTorchsOrder) {
  Tensor t = Tensor::empty({2, 2, 3, 4}, DType::f64);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = static_cast<double>(i);
  const Variable x(t), flat = flatten_chw(x);
  ASSERT_EQ(flat.shape(), Shape({2, 24}));
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t c = 0; c < 4; ++c)
      for (int64_t h = 0; h < 2; ++h)
        for (int64_t w = 0; w < 3; ++w)
          EXPECT_EQ(flat.data().at(n * 24 + (c * 2 + h) * 3 + w), ((n * 2 + h) * 3 + w) * 4 + c);
  EXPECT_EQ(list(unflatten_chw(flat, 4, 2, 3)), list(x));
  EXPECT_THROW(unflatten_chw(flat, 3, 2, 3), Error);
  expect_gradient([](const Variables& v) { return flatten_chw(v[0]); }, {draw({2, 2, 3, 4}, 1)});
  expect_gradient([](const Variables& v) { return unflatten_chw(v[0], 2, 3, 2); },
                  {draw({2, 12}, 1)});
}

TEST(Functions, OnePixelNeedsNoCopy) {
  const Variable x = draw({3, 1, 1, 5}, 1);
  EXPECT_TRUE(flatten_chw(x).data().shares_storage_with(x.data()));
  EXPECT_TRUE(reshape(x, {-1, 5}).data().shares_storage_with(x.data()));
  expect_gradient([](const Variables& v) { return square(reshape(v[0], {5, -1})); }, {x});
}

TEST(Functions, SplitUndoesConcat) {
  const Variable a = draw({2, 3}, 1), b = draw({2, 4}, 2);
  const Variables parts = split(concat({a, b}, 1), {3, 4}, 1);
  EXPECT_EQ(list(parts[0]), list(a));
  EXPECT_EQ(list(parts[1]), list(b));
  EXPECT_THROW(split(a, {1, 1}, 1), Error);
  expect_gradient(
      [](const Variables& v) {
        return split(square(concat({v[0], v[1], v[0]}, 1)), {2, 8}, 1)[1];
      },
      {a, b});
}

TEST(Functions, LossesAreTheirDefinitions) {
  const Variable x = draw({4, 5}, 1), t = draw({4, 5}, 2);
  double square_sum = 0, absolute_sum = 0;
  for (int64_t i = 0; i < 20; ++i) {
    const double d = x.data().at(i) - t.data().at(i);
    square_sum += d * d;
    absolute_sum += std::abs(d);
  }
  EXPECT_NEAR(mse_loss(x, t).item(), square_sum / 20, 1e-12);
  EXPECT_NEAR(mse_loss(x, t, Reduction::sum).item(), square_sum, 1e-12);
  EXPECT_NEAR(l1_loss(x, t).item(), absolute_sum / 20, 1e-12);
  EXPECT_EQ(mse_loss(x, t, Reduction::none).shape(), x.shape());
  EXPECT_THROW(mse_loss(x, draw({4, 1}, 3)), Error);  // no silent broadcasting
  const Tensor labels = Tensor::of<int64_t>({1, 0, 4, 2});
  double expected = 0;
  for (int64_t n = 0; n < 4; ++n) {
    double z = 0;
    for (int64_t c = 0; c < 5; ++c) z += std::exp(x.data().at(n * 5 + c));
    expected += std::log(z) - x.data().at(n * 5 + labels.data<int64_t>()[n]);
  }
  EXPECT_NEAR(cross_entropy(x, labels).item(), expected / 4, 1e-12);
  EXPECT_NEAR(cross_entropy(x, labels, Reduction::sum).item(), expected, 1e-12);
  EXPECT_THROW(cross_entropy(x, Tensor::of<int64_t>({1, 0, 5, 2})), Error);
}

// PyTorch's numbers: F.cross_entropy(x, y, weight, ignore_index=2, label_smoothing=0.25).
TEST(Functions, LabelsMayBeWeightedSmoothedAndIgnored) {
  const Variable x(Tensor::of<double>({1, 2, 3, 0, -1, 1, 2, 2, 0}, {3, 3}), true);
  const Tensor labels = Tensor::of<int64_t>({0, 2, 1}), weight = Tensor::of<double>({1, 2, 0.5});
  const LabelOptions options{.label_smoothing = 0.25, .ignore_index = 2, .weight = weight};
  const auto log_p = [&](int64_t n, int64_t c) {
    double sum = 0;
    for (int64_t i = 0; i < 3; ++i) sum += std::exp(x.data().at(n * 3 + i));
    return x.data().at(n * 3 + c) - std::log(sum);
  };
  const auto loss = [&](int64_t n, int64_t label) {
    double value = -0.75 * weight.at(label) * log_p(n, label);
    for (int64_t c = 0; c < 3; ++c) value -= 0.25 / 3 * weight.at(c) * log_p(n, c);
    return value;
  };
  const Variable each = cross_entropy(x, labels, Reduction::none, options);
  EXPECT_NEAR(each.data().at(0), loss(0, 0), 1e-12);
  EXPECT_EQ(each.data().at(1), 0);
  EXPECT_NEAR(each.data().at(2), loss(2, 1), 1e-12);
  EXPECT_NEAR(cross_entropy(x, labels, Reduction::mean, options).item(),
              (loss(0, 0) + loss(2, 1)) / (1 + 2), 1e-12);
  expect_gradient(
      [&](const Variables& v) { return cross_entropy(v[0], labels, Reduction::mean, options); },
      {x});
}

TEST(Functions, WhatUsersOfPyTorchAskFor) {
  const Variable x(Tensor::of<double>({1, 4, 2, 3, 0, 5}, {2, 3}));
  EXPECT_EQ(argmax(x.data()).to_vector<int64_t>(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(argmax(x.data(), 0, true).shape(), Shape({1, 3}));
  const auto [values, indices] = topk(x, 2);
  EXPECT_EQ(values.data().to_vector<double>(), (std::vector<double>{4, 2, 5, 3}));
  EXPECT_EQ(indices.to_vector<int64_t>(), (std::vector<int64_t>{1, 2, 2, 0}));
  EXPECT_EQ(min(x, {1}).data().to_vector<double>(), (std::vector<double>{1, 0}));
  EXPECT_NEAR(logsumexp(x, {1}).data().at(0), std::log(std::exp(1.) + std::exp(4.) + std::exp(2.)),
              1e-12);
  EXPECT_EQ(one_hot(indices, 3).shape(), Shape({2, 2, 3}));
  EXPECT_TRUE(not_equal(x.data(), x.data()).to(DType::i64).to_vector<int64_t>() ==
              std::vector<int64_t>(6, 0));
  EXPECT_EQ(resize_bilinear(Variable(Tensor::zeros({1, 2, 2, 3})), {4, 3}).shape(),
            Shape({1, 4, 3, 3}));
  EXPECT_EQ(reflect_pad2d(Variable(Tensor::zeros({1, 2, 2, 3})), {1, 0, 1, 1}).shape(),
            Shape({1, 3, 4, 3}));
  EXPECT_NEAR(gelu(Variable(Tensor::of<double>({1}))).data().at(0), 0.8413447460685429, 1e-12);
}

TEST(Functions, LossGradients) {
  const Variable x = draw({4, 5}, 1, -3, 3), t = draw({4, 5}, 2, 0.1, 1);
  const Tensor labels = Tensor::of<int64_t>({1, 0, 4, 2}), teacher = draw({4, 5}, 3, -3, 3).data();
  for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum}) {
    expect_gradient([&](const Variables& v) { return cross_entropy(v[0], labels, r); }, {x});
    expect_gradient([&](const Variables& v) { return soft_cross_entropy(v[0], v[1], r); }, {x, t});
    expect_gradient([&](const Variables& v) { return kl_div(log_softmax(v[0]), v[1], r); }, {x, t});
    expect_gradient([&](const Variables& v) { return mse_loss(v[0], v[1], r); }, {x, t});
    expect_gradient([&](const Variables& v) { return l1_loss(v[0], v[1], r); }, {x, t});
    expect_gradient([&](const Variables& v) { return smooth_l1_loss(v[0], v[1], r, 0.5); }, {x, t});
  }
  expect_gradient([&](const Variables& v) { return distillation_loss(v[0], teacher, 4); }, {x});
}

TEST(Functions, DistillationLossVanishesForEqualNetworks) {
  const Variable x = draw({4, 5}, 1, -3, 3);
  EXPECT_NEAR(distillation_loss(x, x.data(), 4).item(), 0, 1e-12);
  EXPECT_GT(distillation_loss(x, draw({4, 5}, 2, -3, 3).data(), 4).item(), 0.01);
  EXPECT_THROW(distillation_loss(x, x.data(), 0), Error);
}

TEST(Functions, GlobalAveragePoolIsTheMeanOverPixels) {
  const Variable x = draw({2, 3, 2, 4}, 1);
  double sum = 0;
  for (int64_t p = 0; p < 6; ++p) sum += x.data().at(p * 4 + 1);
  EXPECT_EQ(global_avg_pool(x).shape(), Shape({2, 4}));
  EXPECT_NEAR(global_avg_pool(x).data().at(1), sum / 6, 1e-12);
  EXPECT_THROW(global_avg_pool(draw({2, 3}, 1)), Error);
}

// BigGAN's rule treats u and v as constants, so one power iteration must give the gradient of the
// variant with given u and v.
TEST(Functions, SpectralNormTreatsItsVectorsAsConstants) {
  const Variable w = draw({4, 3, 2, 2}, 1), copy(w.data().clone(), true);
  const Tensor u = draw({4}, 2).data(), g = draw({4, 3, 2, 2}, 3).data();
  const SpectralNormResult iterated = spectral_norm(w, u, 1e-6),
                           fixed = spectral_norm_fixed(copy, iterated.u, iterated.v);
  iterated.weight.backward(g);
  fixed.weight.backward(g);
  for (int64_t i = 0; i < w.data().numel(); ++i) {
    EXPECT_NEAR(iterated.weight.data().at(i), fixed.weight.data().at(i), 1e-12);
    EXPECT_NEAR(w.grad().at(i), copy.grad().at(i), 1e-12);
  }
  EXPECT_NEAR(iterated.sigma.item(), fixed.sigma.item(), 1e-12);
}

// After many iterations sigma is the largest singular value: no vector is stretched by more than 1.
TEST(Functions, SpectralNormConvergesToTheLargestSingularValue) {
  const Variable w = draw({3, 5}, 1);
  const SpectralNormResult r = spectral_norm(w, draw({3}, 2).data(), 1e-12, 500);
  const Tensor d = Tensor::empty({5, 1}, DType::f64);
  double largest = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Stream(seed).fill_normal(d);
    double before = 0, after = 0;
    const Variable image = matmul(r.weight, Variable(d));
    for (int64_t i = 0; i < 5; ++i) before += d.at(i) * d.at(i);
    for (int64_t i = 0; i < 3; ++i) after += image.data().at(i) * image.data().at(i);
    largest = std::max(largest, std::sqrt(after / before));
  }
  EXPECT_LE(largest, 1 + 1e-9);
  EXPECT_GT(largest, 0.8);
}

TEST(Functions, DropoutKeepsTheMeanAndDrawsAnew) {
  const Variable x(Tensor::full({100, 100}, 1), true);
  Stream stream(7);
  const Variable a = dropout(x, 0.25, stream), b = dropout(x, 0.25, stream);
  double sum = 0, same = 0;
  for (int64_t i = 0; i < 10000; ++i) {
    sum += a.data().at(i);
    same += a.data().at(i) == b.data().at(i);
    EXPECT_TRUE(a.data().at(i) == 0 || std::abs(a.data().at(i) - 1 / 0.75) < 1e-6);
  }
  EXPECT_NEAR(sum / 10000, 1, 0.03);
  EXPECT_NEAR(same / 10000, 0.25 * 0.25 + 0.75 * 0.75, 0.03);
  EXPECT_TRUE(dropout(x, 0, stream).data().shares_storage_with(x.data()));
  EXPECT_THROW(dropout(x, 1, stream), Error);
}

TEST(Functions, ErrorsNameOperatorAndFinding) {
  const auto message = [](const std::function<void()>& f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  const Variable x = draw({2, 3}, 1);
  EXPECT_EQ(message([&] {
              permute(x, {0, 0});
            }),
            "permute: attribute 'order' must name each of 0..1 once, found order=[0, 0]");
  EXPECT_NE(message([&] {
              concat({x, draw({2, 2}, 2)}, 0);
            }).find("concat along axis 0: input 1 must fit"),
            std::string::npos);
  EXPECT_NE(message([&] { slice(x, 1, 2, 5); }).find("slice: expected 0 <= begin <= end <= 3"),
            std::string::npos);
  EXPECT_EQ(message([&] { embedding(x, Tensor::of<int64_t>({2})); }),
            "embedding: index[0] = 2 is outside [0, 2)");
  EXPECT_NE(message([&] {
              spectral_norm(x, draw({3}, 1).data(), 1e-6);
            }).find("spectral_norm: 'u' must be f64[2]"),
            std::string::npos);
  EXPECT_NE(message([&] {
              channel_shuffle(x, 2);
            }).find("channel_shuffle: attribute 'groups' = 2 must divide"),
            std::string::npos);
}

}  // namespace
}  // namespace limbeck
