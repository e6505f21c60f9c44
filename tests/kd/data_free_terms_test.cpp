// The terms of data-free distillation: golden values of a float64 re-implementation in JAX
// (relative tolerance 1e-5), value and gradient, and gradients by central differences.
#include "kd/data_free/terms.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kd/data_free/update.h"
#include "nn/layers.h"
#include "tests/kd/method_fixtures.h"

namespace limbeck::kd::data_free {
namespace {

const std::vector<int64_t> requested_classes{0, 1, 2, 3, 4, 0};

Tensor teacher_logits() { return teacher_input({6, 5}, 2); }
Tensor student_logits() { return student_input({6, 5}, 2); }
Tensor requested() { return Tensor::of(requested_classes); }

struct Golden {
  double value, norm, first;
};

/// Value, norm and first element of the gradient with respect to `input`.
template <class Loss>
void expect_golden(const Tensor& input, const Golden& golden, Loss&& loss) {
  const Variable x(input, true);
  const Variable value = loss(x);
  constexpr double tolerance = 1e-5;
  EXPECT_NEAR(value.item(), golden.value, tolerance * std::abs(golden.value));
  value.backward();
  double squares = 0;
  for (int64_t i = 0; i < x.grad().numel(); ++i) squares += x.grad().at(i) * x.grad().at(i);
  EXPECT_NEAR(std::sqrt(squares), golden.norm, tolerance * golden.norm);
  EXPECT_NEAR(x.grad().at(0), golden.first, tolerance * std::abs(golden.first));
}

NormInputs one_layer(const Variable& x) {
  return {{x, Tensor::of<double>({0.1, -0.2, 0.3}), Tensor::of<double>({1, 0.5, 2})}};
}
Variable norms_of(const NormInputs& in) { return statistics_norms(in, moments_of(in)); }
Variable squares_of(const NormInputs& in) { return statistics_squares(in, moments_of(in)); }
Tensor map_input() { return student_input({4, 3, 5, 5}); }

TEST(DataFreeTerms, RequestedClass) {
  expect_golden(teacher_logits(), {1.413117, 0.349431, -0.120355},
                [](const Variable& t) { return cross_entropy(t, requested()); });
}

TEST(DataFreeTerms, Divergence) {
  const Variable s(student_logits()), t(teacher_logits());
  expect_golden(student_logits(), {0.2077833, 0.110731, -0.0304967},
                [&](const Variable& x) { return divergence(x, t); });
  expect_golden(teacher_logits(), {0.2077833, 0.117464, 0.040327},
                [&](const Variable& x) { return divergence(s, x); });
  expect_golden(student_logits(), {0.04155666, 0.0221462, -0.00609935},
                [&](const Variable& x) { return divergence(x, t) * (1.0 / 5); });
}

TEST(DataFreeTerms, DisagreementWithinTheDecision) {
  const Tensor s = student_logits(), t = teacher_logits();
  for (int64_t i = 0; i < 15; ++i)  // rows 0 to 2
    s.data<double>()[i] = 0.6 * t.data<double>()[i] + 0.1 * s.data<double>()[i];
  expect_golden(t, {-0.01173846, 0.0265928, -0.007898},
                [&](const Variable& x) { return adversarial_decision(Variable(s), x); });
  EXPECT_NEAR(adversarial_kl(Variable(s), Variable(t)).item(), -0.1566890, 2e-6);
}

TEST(DataFreeTerms, CertainEvenAndAdversarial) {
  const Variable s(student_logits());
  expect_golden(teacher_logits(), {-31.19561, 0.311133, -0.0779244}, [&](const Variable& t) {
    return one_hot_loss(t) + 20 * class_balance(t) + adversarial_kl(s, t);
  });
}

TEST(DataFreeTerms, Statistics) {
  expect_golden(map_input(), {1.902543, 0.17296, -0.00518287},
                [](const Variable& x) { return norms_of(one_layer(x)); });
  expect_golden(map_input(), {0.8694405, 0.150457, -0.00351226},
                [](const Variable& x) { return squares_of(one_layer(x)); });
  const std::vector<Moments> averages{
      {Variable(Tensor::of<double>({0.2, 0.1, 0})), Variable(Tensor::of<double>({0.8, 0.6, 1.5}))}};
  expect_golden(map_input(), {1.06945, 0.0172975, -0.000124956}, [&](const Variable& x) {
    const NormInputs in = one_layer(x);
    return statistics_norms(in, averaged(averages, moments_of(in), 0.9));
  });
  const Moments next = averaged(averages, moments_of(one_layer(Variable(map_input()))), 0.9).at(0);
  const double mean[] = {0.182577, 0.0867457, 0.00383243}, var[] = {0.770115, 0.589937, 1.399752};
  for (int64_t c = 0; c < 3; ++c) {
    EXPECT_NEAR(next.mean.data().at(c), mean[c], 1e-6);
    EXPECT_NEAR(next.var.data().at(c), var[c], 1e-6);
  }
}

TEST(DataFreeTerms, Images) {
  const Tensor images = student_input({2, 3, 4, 4});
  expect_golden(images, {24.05099, 4.12218, -0.211283}, total_variation);
  expect_golden(images, {2.763293, 0.515451, -0.0462963}, total_variation_l1);
  EXPECT_NEAR(batch_norm2(Variable(images)).item(), 6.929979, 7e-5);
  EXPECT_NEAR(image_norms(Variable(images)).item(), 4.898981, 5e-5);
}

TEST(DataFreeTerms, Contrast) {
  const Variable global(teacher_input({5, 4}));
  expect_golden(student_input({5, 4}), {4.719471, 2.59358, 0.0296191},
                [&](const Variable& local) { return contrast(local, global, 3, 0.2); });
}

/// The logits' part of the losses of CGDD-R, through the settings.
TEST(DataFreeTerms, LossesFromSettings) {
  struct Says : nn::Network {
    Variable logits;
    nn::Features forward_features(const Variable&, bool) override {
      return {.taps = {}, .output = logits, .pooled = logits};
    }
  } teacher, student;
  student.logits = Variable(student_logits());
  GeneratorLossSettings g;
  g.labelled = 0.5, g.cls = 1, g.one_hot = 0.5, g.balance = 5, g.adversary = "l1";
  expect_golden(teacher_logits(), {-7.073647, 0.645394, -0.274044}, [&](const Variable& t) {
    teacher.logits = t;
    return generator_loss(g, teacher, &student, {t, requested()}).total;
  });
  StudentLossSettings s;
  s.temperature = 4, s.cross_entropy = 0.1;
  expect_golden(student_logits(), {0.4919589, 0.180434, -0.0795783}, [&](const Variable& x) {
    const nn::Features of_student{.taps = {}, .output = x, .pooled = x},
        of_teacher{.taps = {}, .output = Variable(teacher_logits()), .pooled = x};
    return student_loss(s, of_student, of_teacher, requested());
  });
  StudentLossSettings gdfq;  // CE + 400 KL / K, temperature 20
  gdfq.form = "kl_mean", gdfq.temperature = 20, gdfq.cross_entropy = 1, gdfq.keep = false;
  expect_golden(student_logits(), {1.817508, 0.385327, -0.157919}, [&](const Variable& x) {
    const nn::Features of_student{.taps = {}, .output = x, .pooled = x},
        of_teacher{.taps = {}, .output = Variable(teacher_logits()), .pooled = x};
    return student_loss(gdfq, of_student, of_teacher, requested());
  });
}

TEST(DataFreeTerms, ANormHasNoGradientAtZero) {
  const Variable x(Tensor::zeros({3}, DType::f64), true);
  const Variable norm = norm2(x);
  EXPECT_EQ(norm.item(), 0);
  norm.backward();
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(x.grad().at(i), 0);
}

TEST(DataFreeTerms, Gradients) {
  const Variable s(random_input({6, 5}, 1), true), t(random_input({6, 5}, 2), true),
      x(random_input({2, 3, 4, 4}, 3), true), h(random_input({4, 7}, 4), true),
      local(random_input({5, 4}, 5), true), map(random_input({4, 3, 5, 5}, 6), true);
  const Variable global(random_input({5, 4}, 7));
  const auto ok = [](const GradcheckReport& r) { EXPECT_TRUE(r.ok) << r.message; };
  ok(gradcheck([](const Variables& v) { return one_hot_loss(v[0]); }, {t}));
  ok(gradcheck([](const Variables& v) { return class_balance(v[0]); }, {t}));
  ok(gradcheck([](const Variables& v) { return activation_loss(v[0]); }, {h}));
  for (auto* term : {adversarial_l1, adversarial_kl, adversarial_decision, adversarial_js})
    ok(gradcheck([&](const Variables& v) { return term(v[0], v[1]); }, {s, t}));
  for (auto* term : {total_variation, total_variation_l1, image_norms})
    ok(gradcheck([&](const Variables& v) { return term(v[0]); }, {x}));
  ok(gradcheck([](const Variables& v) { return norms_of(one_layer(v[0])); }, {map}));
  ok(gradcheck([](const Variables& v) { return squares_of(one_layer(v[0])); }, {map}));
  ok(gradcheck([&](const Variables& v) { return contrast(v[0], global, 3, 0.2); }, {local}));
  const Tensor labels = requested();
  for (const bool keep : {true, false})
    ok(gradcheck(
        [&](const Variables& v) { return agreed_cross_entropy(v[0], t.data(), labels, keep); },
        {s}));
}

/// Through a teacher of two norms in eval mode to its image: the statistics of what enters them.
TEST(DataFreeTerms, GradientsThroughAFrozenTeacher) {
  struct Teacher : nn::Module {
    nn::Conv2d conv1{3, 4, {.kernel = 3, .padding = 1}}, conv2{4, 3, {.kernel = 3}};
    nn::BatchNorm2d bn1{4}, bn2{3};
    Teacher() { add("conv1", conv1), add("bn1", bn1), add("conv2", conv2), add("bn2", bn2); }
    Variable forward(const Variable& x) override { return bn2(conv2(bn1.relu(conv1(x)))); }
  } teacher;
  teacher.initialise(Stream(3));
  teacher.to(DType::f64);
  teacher.set_requires_grad(false);
  teacher.eval();
  const Variable image(random_input({2, 3, 5, 5}, 8), true);
  const auto loss = [&](const Variables& v) {
    const nn::BatchNormTap tap;
    teacher(v[0]);
    EXPECT_EQ(tap.inputs().size(), 2);
    return norms_of(tap.inputs()) + squares_of(tap.inputs());
  };
  const GradcheckReport report = gradcheck(loss, {image});
  EXPECT_TRUE(report.ok) << report.message;
  const TensorFile before = teacher.state_dict();
  loss({image}).backward();
  const TensorFile after = teacher.state_dict();
  for (size_t i = 0; i < before.tensors.size(); ++i)
    for (int64_t k = 0; k < before.tensors[i].second.numel(); ++k)
      ASSERT_EQ(before.tensors[i].second.at(k), after.tensors[i].second.at(k))
          << before.tensors[i].first << ": the teacher stays as it is";
}

/// Levels of unequal number are aligned from the deepest one.
TEST(DataFreeTerms, Attention) {
  const auto features = [](std::vector<Variable> taps) {
    nn::Features f;
    f.taps = std::move(taps);
    f.taps.insert(f.taps.begin(), f.taps.front());  // the stem
    f.taps.emplace_back(Tensor::zeros({2, 4}, DType::f64));
    return f;
  };
  const Variable a(random_input({2, 4, 8, 8}, 1)), b(random_input({2, 4, 4, 4}, 2), true),
      c(random_input({2, 3, 4, 4}, 3));
  const auto one = [&](const Variables& v) {
    return attention_distance(features({v[0]}), features({a, c}));
  };
  const GradcheckReport report = gradcheck(one, {b});
  EXPECT_TRUE(report.ok) << report.message;
  EXPECT_NEAR(one({b}).item(), attention_distance(features({b}), features({c})).item(), 1e-12);
}

}  // namespace
}  // namespace limbeck::kd::data_free
