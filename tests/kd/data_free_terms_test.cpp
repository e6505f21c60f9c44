// The terms of data-free distillation: golden values of a float64 re-implementation in JAX
// (relative tolerance 1e-5), value and gradient, and gradients by central differences.
#include "kd/data_free/terms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "kd/data_free/update.h"
#include "nn/layers.h"
#include "tests/data/temporary.h"
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

/// ZSKD's similarities of classes: W = S(3x4), and what a class's targets are drawn with.
TEST(DataFreeTargets, SimilaritiesOfClasses) {
  const Tensor like = class_similarities(student_input({3, 4}));
  EXPECT_NEAR(like.at(0), 1, 1e-12);
  EXPECT_NEAR(like.at(1), 0.7015832, 1e-6);
  EXPECT_NEAR(like.at(2), -0.9943286, 1e-6);
  EXPECT_NEAR(like.at(5), -0.6218197, 1e-6);
  const double alpha[] = {1.0001, 0.8504673, 0.0001};
  for (int64_t k = 0; k < 3; ++k) {
    EXPECT_NEAR(concentrations(like, 1).at(k), alpha[k], 1e-6);
    EXPECT_NEAR(concentrations(like, 0.1).at(k), 0.1 * (alpha[k] - 1e-4) + 1e-4, 1e-6);
  }
  test::expect_error(
      [] {
        concentrations(Tensor::full({2, 2}, 0.5, DType::f64), 1);
      },
      {"class 0", "all 2", "labels"});
}

/// Mean and variance of Gamma draws are alpha; below 1 those of the logarithms tell: digamma and
/// trigamma of alpha.
TEST(DataFreeTargets, GammaDraws) {
  constexpr int64_t n = 200'000;
  for (const double alpha : {1.0, 1.85, 4.0}) {
    Stream stream(3);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double g = std::exp(log_gamma_draw(alpha, stream));
      sum += g, squares += g * g;
    }
    const double mean = sum / n, variance = squares / n - mean * mean;
    EXPECT_NEAR(mean, alpha, 5 * std::sqrt(alpha / n));
    EXPECT_NEAR(variance, alpha, 0.05 * alpha);
  }
  const struct {
    double alpha, digamma, trigamma;
  } small[] = {{0.5, -1.9635100260, 4.9348022005},
               {0.1, -10.4237549404, 101.4332991508},
               {1e-4, -10000.5770511835, 100000001.6446936882}};
  for (const auto& s : small) {
    Stream stream(4);
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double l = log_gamma_draw(s.alpha, stream);
      sum += l, squares += (l - s.digamma) * (l - s.digamma);
    }
    EXPECT_NEAR(sum / n, s.digamma, 5 * std::sqrt(s.trigamma / n)) << s.alpha;
    EXPECT_NEAR(squares / n, s.trigamma, 0.05 * s.trigamma) << s.alpha;
  }
}

/// Rows are distributions whose mean over a class's draws is alpha / sum alpha, for both betas; a
/// row does not depend on how many are drawn.
TEST(DataFreeTargets, DirichletDraws) {
  const DirichletTargets targets(student_input({3, 4}));
  constexpr int64_t n = 30'000;
  const Tensor all = targets.draw(n, Stream(5)), few = targets.draw(7, Stream(5));
  for (int64_t i = 0; i < few.numel(); ++i) EXPECT_EQ(few.at(i), all.at(i));
  double mean[3] = {0, 0, 0};
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (int64_t k = 0; k < 3; ++k) {
      const double y = all.at(3 * i + k);
      EXPECT_GE(y, 0);
      sum += y, mean[k] += y / n;
    }
    EXPECT_NEAR(sum, 1, 1e-6);
  }
  const Tensor like = class_similarities(student_input({3, 4}));
  double expected[3] = {0, 0, 0};
  for (const double beta : {1.0, 0.1}) {
    const Tensor alpha = concentrations(like, beta);
    for (int64_t c = 0; c < 3; ++c) {
      const double sum = alpha.at(3 * c) + alpha.at(3 * c + 1) + alpha.at(3 * c + 2);
      for (int64_t k = 0; k < 3; ++k) expected[k] += alpha.at(3 * c + k) / sum / 6;
    }
  }
  for (int64_t k = 0; k < 3; ++k) EXPECT_NEAR(mean[k], expected[k], 0.012);
}

/// Of one network of each family: the matrix behind its logits.
TEST(DataFreeTargets, TheTeachersLastMatrix) {
  std::set<std::string> families;
  for (const nn::ModelEntry& e : nn::all_models()) {
    if (!e.serves(nn::Task::classification) || !families.insert(e.family).second) continue;
    if (e.family == "explainer") continue;  // a head for each class
    SCOPED_TRACE(e.name);
    const int64_t size = std::max<int64_t>(32, e.smallest_image);
    const auto network = nn::create_model(e.name, {.outputs = 7, .size = size});
    network->initialise(Stream(1));
    network->eval();
    const Tensor w = last_weight(*network, 7);
    const Tensor image = Tensor::empty({2, size, size, 3});
    Stream(2).fill_normal(image);
    const NoGrad no_grad;
    const nn::Features f = network->forward_features(Variable(image));
    const Tensor found = matmul(f.last_input(), Variable(w), false, true).data(),
                 logits = f.output.data();
    for (int64_t k = 0; k < 7; ++k)  // the bias is the same for both images
      EXPECT_NEAR(found.at(k) - found.at(7 + k), logits.at(k) - logits.at(7 + k), 1e-4);
  }
  const auto network = nn::create_model("resnet8", {.outputs = 7});
  test::expect_error([&] { last_weight(*network, 5); }, {"targets", "5 rows", "none"});
}

TEST(DataFreeTerms, SoftTargets) {
  const Tensor targets = softmax(Variable(student_logits())).data();
  expect_golden(teacher_logits(), {1.6062533, 0.0053181441, 0.00090797961},
                [&](const Variable& t) { return soft_target_loss(t, targets); });
  GeneratorLossSettings g;  // of the labelled half alone
  g.labelled = 0.5, g.cls = 1, g.targets = "dirichlet";
  struct Says : nn::Network {
    Variable logits;
    nn::Features forward_features(const Variable&, bool) override {
      return {.taps = {}, .output = logits, .pooled = logits};
    }
  } teacher;
  teacher.logits = Variable(teacher_logits());
  const double half =
      soft_target_loss(Variable(teacher_logits().rows(0, 3)), targets.rows(0, 3)).item();
  EXPECT_NEAR(
      generator_loss(g, teacher, nullptr, {teacher.logits, requested(), targets}).total.item(),
      half, 1e-12);
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

/// Of responses: distances on [0, 1], of the losses as settings make them.
TEST(DataFreeTerms, LossesOfResponses) {
  struct Says : nn::Network {
    Variable response;
    nn::Features forward_features(const Variable&, bool) override {
      return {.taps = {}, .output = response, .pooled = response};
    }
  } teacher, student;
  student.response = Variable(student_input({6, 1}));
  const Tensor asked = Tensor::of<double>({0, 0.2, 0.4, 0.6, 0.8, 1}).reshape({6, 1});
  GeneratorLossSettings g;
  g.cls = 1, g.adversary = "l1", g.adversarial = 0.5;
  expect_golden(teacher_input({6, 1}), {0.38545725, 0.39086798, 0.083333333},
                [&](const Variable& t) {
                  teacher.response = t;
                  return generator_loss(g, teacher, &student, {t, asked}).total;
                });
  StudentLossSettings s;
  s.form = "l1", s.cross_entropy = 0.1;
  const auto of_student = [&](const Variable& x) {
    const nn::Features f{.taps = {}, .output = x, .pooled = x},
        t{.taps = {}, .output = Variable(teacher_input({6, 1})), .pooled = x};
    return student_loss(s, f, t, asked);
  };
  expect_golden(student_input({6, 1}), {0.35348395, 0.41028445, -0.15}, of_student);
  s.form = "l2";
  expect_golden(student_input({6, 1}), {0.136382098, 0.272814043, -0.155878691}, of_student);
  const Variable x(random_input({6, 1}, 9), true);
  const GradcheckReport r = gradcheck([&](const Variables& v) { return of_student(v[0]); }, {x});
  EXPECT_TRUE(r.ok) << r.message;
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
  const Tensor targets = softmax(Variable(random_input({6, 5}, 8))).data();
  ok(gradcheck([&](const Variables& v) { return soft_target_loss(v[0], targets); }, {t}));
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
