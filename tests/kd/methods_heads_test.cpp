// DKD, DIST, standardised logits, CRD, ReviewKD, SemCKD, SimKD, SSKD: golden values of the official
// modules, gradient checks, refusals.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "autograd/gradcheck.h"
#include "kd/distillation.h"
#include "kd/methods/crd.h"
#include "kd/methods/reviewkd.h"
#include "kd/methods/sskd.h"
#include "kd/terms.h"
#include "nn/layers.h"
#include "tests/kd/bench.h"
#include "train/supervised.h"
#include "train/supervised_step.h"

namespace limbeck::kd {
namespace {

/// k sin(0.37 i + 0.5) or k cos(0.23 i + 0.1) in PyTorch's order; maps as [N, H, W, C].
template <class F>
Tensor wave(const std::vector<int64_t>& shape, F&& f) {
  Tensor t = Tensor::empty(Shape(shape), DType::f64);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = f(static_cast<double>(i));
  return shape.size() == 4 ? to_channels_last(t) : t;
}
Tensor student_wave(const std::vector<int64_t>& shape, double k = 1) {
  return wave(shape, [k](double i) { return k * std::sin(0.37 * i + 0.5); });
}
Tensor teacher_wave(const std::vector<int64_t>& shape, double k = 1) {
  return wave(shape, [k](double i) { return k * std::cos(0.23 * i + 0.1); });
}
/// The spec's module weights; batch norms keep theirs.
void fill_modules(nn::Module& module) {
  module.to(DType::f64);
  module.visit([](const std::string&, nn::Module& m) {
    if (dynamic_cast<nn::BatchNorm*>(&m) || m.parameters().empty()) return;
    if (!dynamic_cast<nn::Conv2d*>(&m) && !dynamic_cast<nn::Linear*>(&m)) return;
    TensorFile file = m.state_dict();
    for (auto& [name, t] : file.tensors)
      for (int64_t i = 0; i < t.numel(); ++i) {
        const double x = static_cast<double>(i);
        t.data<double>()[i] =
            t.rank() >= 2 ? 0.2 * std::sin(1.7 * x + 0.3) : 0.05 * std::sin(0.7 * x);
      }
    m.load_state_dict(file);
  });
}
double norm_of(const Tensor& t) {
  double square = 0;
  for (const double g : t.to_vector<double>()) square += g * g;
  return std::sqrt(square);
}
#define EXPECT_CLOSE(found, expected) EXPECT_NEAR(found, expected, 1e-4 * std::abs(expected))

template <class T>
void set(NamedSettings& all, const std::string& method, const std::string& key, const T& value) {
  SetField<T>(all.at(method), key, value);
}

/// Central differences of the loss with respect to leaves that it holds, parameters of modules
/// among them (gradcheck makes leaves of its own).
void expect_gradients(const std::function<Variable()>& loss, const Variables& leaves) {
  for (const Variable& v : leaves) v.zero_grad();
  loss().backward();
  for (size_t i = 0; i < leaves.size(); ++i) {
    ASSERT_TRUE(leaves[i].grad().defined()) << "leaf " << i;
    const Tensor data = leaves[i].data(), grad = leaves[i].grad();
    const int64_t n = data.numel(), count = std::min<int64_t>(n, 24);
    for (int64_t k = 0; k < count; ++k) {
      const int64_t e = k * n / count;
      double& x = data.data<double>()[e];
      const double original = x, h = 1e-6;
      const NoGrad no_grad;
      x = original + h;
      const double above = loss().item();
      x = original - h;
      const double below = loss().item();
      x = original;
      const double numeric = (above - below) / (2 * h);
      EXPECT_NEAR(grad.at(e), numeric, 1e-6 + 1e-5 * std::abs(numeric))
          << "leaf " << i << " element " << e;
    }
  }
}
Variables with_parameters(Variables leaves, Method& method) {
  for (const Variable& p : method.auxiliary()->parameter_values()) leaves.push_back(p);
  return leaves;
}

// --- standardised logits, DKD, DIST --------------------------------------------------------------

using Rows = std::vector<std::vector<double>>;
Rows rows_of(const Tensor& t) {
  Rows rows;
  for (int64_t i = 0; i < t.size(0); ++i) rows.push_back(t.rows(i, i + 1).to_vector<double>());
  return rows;
}
std::vector<double> softmax_of(std::vector<double> z, double temperature) {
  double sum = 0;
  for (double& x : z) sum += x = std::exp(x / temperature);
  for (double& x : z) x /= sum;
  return z;
}
double kl_of(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum += p[i] * std::log(p[i] / q[i]);
  return sum;
}
std::vector<double> standardised(const std::vector<double>& z) {
  const double n = static_cast<double>(z.size());
  double mean = 0, square = 0;
  for (double x : z) mean += x / n;
  for (double x : z) square += (x - mean) * (x - mean);
  std::vector<double> out;
  for (double x : z) out.push_back((x - mean) / (1e-7 + std::sqrt(square / (n - 1))));
  return out;
}

const Tensor S = student_wave({4, 10}, 3), T = teacher_wave({4, 10}, 4);
const std::vector<int64_t> Y = {1, 0, 9, 3};

TEST(StandardisedLogits, AreTheOfficialOnesInEverySoftTerm) {
  NamedSettings settings = default_method_settings();
  set(settings, "blkd", "standardise", true);
  set(settings, "blkd", "temperature", 2.0);
  set(settings, "blkd", "soft_weight", 9.0);
  double expected = 0;
  for (size_t i = 0; i < 4; ++i)
    expected += 9 * 4 / 4.0 *
                kl_of(softmax_of(standardised(rows_of(T)[i]), 2),
                      softmax_of(standardised(rows_of(S)[i]), 2));
  auto teacher = std::make_unique<NoNetwork>();
  Distillation distillation("blkd", create_method("blkd", settings), std::move(teacher),
                            nn::Task::classification);
  Bench b;
  b.batch.images = T;  // NoNetwork hands its input on
  const auto term = [&](const Variable& s) {
    const nn::Features f = logits(s);
    return distillation.loss({b.networks[0], f, b.batch, {}, {}, {}});
  };
  EXPECT_NEAR(term(Variable(S)).item(), expected, 1e-9);
  const auto report =
      gradcheck([&](const Variables& v) { return term(v[0]); }, {Variable(S, true)});
  EXPECT_TRUE(report.ok) << report.message;
}

TEST(Dkd, IsTheTwoTermsOfItsDefinition) {
  const auto method = create_method("dkd");
  Bench b;
  b.batch.labels = Tensor::of(Y);
  b.prepare(*method, logits(Variable(S)), logits(Variable(T)), 4);
  double expected = 0;
  for (size_t i = 0; i < 4; ++i) {
    const auto y = static_cast<std::ptrdiff_t>(Y[i]);
    const auto parts = [&](std::vector<double> z) {
      const double p = softmax_of(z, 4)[static_cast<size_t>(y)];
      z.erase(z.begin() + y);
      return std::pair(std::vector<double>{p, 1 - p}, softmax_of(z, 4));
    };
    const auto [ts, ns] = parts(rows_of(S)[i]);
    const auto [tt, nt] = parts(rows_of(T)[i]);
    expected += 16 / 4.0 * (kl_of(tt, ts) + 8 * kl_of(nt, ns));
  }
  EXPECT_NEAR(b.loss(*method, logits(Variable(S)), logits(Variable(T))).item(), expected, 1e-9);
  b.clock = Tensor::of<double>({0, 4});  // the fifth of twenty epochs
  EXPECT_NEAR(b.loss(*method, logits(Variable(S)), logits(Variable(T))).item(), expected / 4, 1e-9);
}

/// Both terms alone at T = 1, without the weights of their sum.
TEST(Dkd, GoldenValues) {
  const double values[] = {0.1862256, 2.431753}, norms[] = {0.0592643, 0.281156},
               firsts[] = {0.0023235, -0.102594};
  for (size_t i = 0; i < 2; ++i) {
    NamedSettings settings = default_method_settings();
    set(settings, "dkd", "temperature", 1.0);
    set(settings, "dkd", i == 0 ? "beta" : "alpha", 0.0);
    set(settings, "dkd", i == 0 ? "alpha" : "beta", 1.0);
    const auto method = create_method("dkd", settings);
    Bench b;
    b.batch.labels = Tensor::of(Y);
    const Variable s(S, true);
    b.prepare(*method, logits(s), logits(Variable(T)), 4);
    const Variable loss = b.loss(*method, logits(s), logits(Variable(T)));
    EXPECT_CLOSE(loss.item(), values[i]);
    loss.backward();
    EXPECT_CLOSE(norm_of(s.grad()), norms[i]);
    EXPECT_CLOSE(s.grad().at(0), firsts[i]);
  }
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = standardised(a), y = standardised(b);
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum / static_cast<double>(x.size() - 1);
}

TEST(Dist, IsOneMinusTheCorrelationsOfRowsAndColumns) {
  const auto method = create_method("dist");
  Bench b;
  b.prepare(*method, logits(Variable(S)), logits(Variable(T)), 4);
  Rows s, t;
  for (size_t i = 0; i < 4; ++i)
    s.push_back(softmax_of(rows_of(S)[i], 4)), t.push_back(softmax_of(rows_of(T)[i], 4));
  double inter = 1, intra = 1;
  for (size_t i = 0; i < 4; ++i) inter -= correlation(s[i], t[i]) / 4;
  for (size_t c = 0; c < 10; ++c) {
    std::vector<double> a, d;
    for (size_t i = 0; i < 4; ++i) a.push_back(s[i][c]), d.push_back(t[i][c]);
    intra -= correlation(a, d) / 10;
  }
  EXPECT_NEAR(b.loss(*method, logits(Variable(S)), logits(Variable(T))).item(),
              16 * 2 * (inter + intra), 1e-3);  // the definition's 1e-8 and 1e-7
}

TEST(LogitMethods, Gradients) {
  for (const char* name : {"dkd", "dist"})
    for (const bool standardise : {false, true}) {
      const auto method = create_method(name, "standardise", standardise);
      Bench b;
      b.batch.labels = Tensor::of(Y);
      b.prepare(*method, logits(Variable(S)), logits(Variable(T)), 4);
      const auto report = gradcheck(
          [&](const Variables& v) { return b.loss(*method, logits(v[0]), logits(Variable(T))); },
          {Variable(S, true)});
      EXPECT_TRUE(report.ok) << name << ": " << report.message;
    }
}

TEST(LogitMethods, RefuseOutputsThatAreNoClassesOrDiffer) {
  for (const char* name : {"dkd", "dist"}) {
    const auto zeros = [](int64_t c) { return logits(Variable(Tensor::zeros({2, c}))); };
    EXPECT_THROW(prepare(*create_method(name), zeros(1), zeros(1)), Error) << name;
    EXPECT_THROW(prepare(*create_method(name), zeros(10), zeros(100)), Error) << name;
  }
}

// --- CRD -----------------------------------------------------------------------------------------

nn::Features vectors(const Variable& v) { return {{v}, v, v}; }

/// With negatives by hand.
class GivenNegatives : public crd::Crd {
 public:
  using Crd::Crd;
  Tensor given;

 protected:
  Variable negatives(const train::Step& step) const override {
    return given.defined() ? Variable(given) : Crd::negatives(step);
  }
};

crd::CrdSettings small_crd() {
  crd::CrdSettings s;
  s.weight = 1, s.negatives = 5, s.width = 8;
  return s;
}

struct CrdBench : Bench {
  GivenNegatives method{small_crd()};
  Variable s{student_wave({4, 6}), true}, t{teacher_wave({4, 10})};
  CrdBench() {
    train = labelled(20, 4);
    rows = Tensor::of<int64_t>({3, 7, 0, 12});
    batch.labels = Tensor::of<int64_t>({3, 3, 0, 0});
    prepare(method, vectors(s), vectors(t), 4);
    fill_modules(*method.auxiliary());
    const std::vector<std::vector<int64_t>> others = {
        {1, 2, 4, 5, 6}, {8, 9, 10, 11, 1}, {13, 14, 15, 16, 17}, {18, 19, 1, 2, 5}};
    method.given = Tensor::zeros({4, 20}, DType::f64);
    for (size_t b = 0; b < 4; ++b)
      for (const int64_t j : others[b]) method.given.data<double>()[b * 20 + j] = 1;
    for (size_t i = 0; i < 160; ++i) {
      const double x = static_cast<double>(i);
      memory(0).data<double>()[i] = 0.5 * std::sin(0.41 * x + 0.2);
      memory(1).data<double>()[i] = 0.5 * std::cos(0.29 * x + 0.3);
    }
  }
  Tensor memory(int side) const {
    return dynamic_cast<crd::Contrast&>(*const_cast<CrdBench*>(this)->method.auxiliary())
        .memory(side);
  }
  double step() {
    const nn::Features fs = vectors(s), ft = vectors(t);
    const train::Step at{networks[0], fs, batch, rows, places, clock};
    const Variable l = method.loss({fs, ft, at, networks[1]});
    s.zero_grad();
    l.backward();
    method.after_step({fs, ft, at, networks[1]});
    return l.item();
  }
};

TEST(Crd, GoldenValuesOfTwoStepsAndTheMemory) {
  CrdBench b;
  EXPECT_CLOSE(b.step(), 11.47632);
  EXPECT_CLOSE(norm_of(b.s.grad()), 4.79005);
  EXPECT_CLOSE(b.s.grad().at(0), 0.209776);
  const Tensor z = dynamic_cast<crd::Contrast&>(*b.method.auxiliary()).normalisers();
  EXPECT_CLOSE(z.at(0), 494.4449);
  EXPECT_CLOSE(z.at(1), 548.9933);
  const double first[] = {0.1484749, -0.5716505, -0.2593445},
               second[] = {0.3501020, -0.1866443, 0.1930837};
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(b.memory(0).at(24 + i), first[i], 1e-6);
    EXPECT_NEAR(b.memory(1).at(24 + i), second[i], 1e-6);
  }
  EXPECT_CLOSE(b.step(), 3.854203);
  EXPECT_CLOSE(norm_of(b.s.grad()), 2.42188);
  EXPECT_CLOSE(b.s.grad().at(0), -0.0692455);
}

TEST(Crd, Gradients) {
  CrdBench b;
  b.step();  // the normalisers are set: constants from now on
  expect_gradients([&] { return b.loss(b.method, vectors(b.s), vectors(b.t)); },
                   with_parameters({b.s}, b.method));
}

TEST(Crd, NegativesAreOfOtherClassesAndEvenlyDrawn) {
  class Open : public crd::Crd {
   public:
    using Crd::Crd;
    using Crd::negatives;
  };
  crd::CrdSettings settings = small_crd();
  settings.negatives = 50;
  Open method(settings);
  Bench b;
  b.train = labelled(400, 4);
  b.prepare(method, vectors(Variable(student_wave({2, 6}))),
            vectors(Variable(teacher_wave({2, 6}))), 2);
  b.batch.labels = Tensor::of<int64_t>({1, 2});
  std::vector<double> drawn(400, 0.0);
  std::vector<double> last;
  for (uint64_t step = 0; step < 600; ++step) {
    b.places = places_of({Stream(7).fork("step", step)});
    const nn::Features f;
    const Tensor w =
        method.negatives({b.networks[0], f, b.batch, b.rows, b.places, b.clock}).data();
    double sums[2] = {0, 0};
    for (int64_t i = 0; i < 800; ++i) {
      sums[i / 400] += w.at(i);
      if (w.at(i) > 0) {
        EXPECT_NE(i % 4, i < 400 ? 1 : 2) << "of the image's own class";
      }
      if (i < 400) drawn[static_cast<size_t>(i)] += w.at(i) > 0;
    }
    EXPECT_NEAR(sums[0], 50, 1e-9);
    EXPECT_NEAR(sums[1], 50, 1e-9);
    EXPECT_NE(w.to_vector<double>(), last);
    last = w.to_vector<double>();
  }
  for (size_t i = 0; i < 400; ++i)  // 100 expected of 600, deviation 9
    if (i % 4 != 1) {
      EXPECT_NEAR(drawn[i], 100, 46) << i;
    }
}

// --- ReviewKD ------------------------------------------------------------------------------------

TEST(ReviewKd, GoldenValuesOfTheContextLoss) {
  const Variable a(student_wave({2, 3, 8, 8}), true), b(student_wave({2, 4, 1, 1}), true);
  const Variable both = reviewkd::context_loss(a, Variable(teacher_wave({2, 3, 8, 8}))) +
                        reviewkd::context_loss(b, Variable(teacher_wave({2, 4, 1, 1})));
  EXPECT_CLOSE(both.item(), 0.6709504);
  both.backward();
  EXPECT_CLOSE(norm_of(a.grad()), 0.0598192);
  EXPECT_CLOSE(norm_of(b.grad()), 0.229908);
  const Variable c(student_wave({2, 3, 4, 4}), true);
  const Variable one = reviewkd::context_loss(c, Variable(teacher_wave({2, 3, 4, 4})));
  EXPECT_CLOSE(one.item(), 0.7340901);
  one.backward();
  EXPECT_CLOSE(norm_of(c.grad()), 0.157307);
}

TEST(ReviewKd, GoldenValuesOfTheFusion) {
  reviewkd::Fusion fusion(3, 4, 5, false);
  fusion.initialise(Stream(1));
  fill_modules(fusion);
  const Variable deeper(wave({2, 4, 2, 2}, [](double i) { return std::sin(0.19 * i + 0.4); }));
  const auto fused = fusion(Variable(student_wave({2, 3, 4, 4})), deeper, 8);
  EXPECT_CLOSE(sum(fused.output * Variable(teacher_wave({2, 5, 8, 8}))).item(), 7.571197);
  EXPECT_CLOSE(sum(fused.residual).item(), -7.009985);
}

/// A first tap, maps of these sides and channels, pooled features.
nn::Features pyramid(const Variables& maps) {
  nn::Features f;
  f.taps.push_back(maps[0]);
  for (const Variable& m : maps) f.taps.push_back(m);
  f.pooled = global_avg_pool(maps.back());
  f.taps.push_back(f.pooled);
  f.output = slice(f.pooled, 1, 0, 2);
  return f;
}

TEST(ReviewKd, GradientsWarmupAndWhatItAsksOfTheTeacher) {
  NamedSettings settings = default_method_settings();
  set(settings, "reviewkd", "weight", 0.5);
  const auto method = create_method("reviewkd", settings);
  EXPECT_TRUE(method->teacher_preact() && !method->preact() && method->teacher_in_train_mode());
  Bench b;
  const Tensor m1 = student_wave({2, 2, 4, 4}), m2 = student_wave({2, 3, 2, 2}, 0.7);
  const nn::Features t =
      pyramid({Variable(teacher_wave({2, 3, 8, 8})), Variable(teacher_wave({2, 4, 2, 2}))});
  b.prepare(*method, pyramid({Variable(m1), Variable(m2)}), t, 2);
  fill_modules(*method->auxiliary());
  const Variable v1(m1, true), v2(m2, true);
  const auto loss = [&] { return b.loss(*method, pyramid({v1, v2}), t); };
  expect_gradients(loss, with_parameters({v1, v2}, *method));
  const double full = loss().item();
  b.clock = Tensor::of<double>({0, 5});
  EXPECT_NEAR(loss().item(), full / 4, 1e-12);
  b.clock = Tensor::of<double>({0, 0});
  EXPECT_EQ(loss().item(), 0);
}

std::string refusal(const std::string& method, const nn::Features& s, const nn::Features& t) {
  try {
    Bench b;
    b.train = labelled(8, 2);
    b.prepare(*create_method(method), s, t, 8);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(FeatureMethods, RefusePairsWithTheReason) {
  const auto map = [](int64_t side) { return Variable(student_wave({2, 4, side, side})); };
  const nn::Features three = pyramid({map(8), map(4), map(2)}), two = pyramid({map(8), map(4)}),
                     odd = pyramid({map(8), map(5), map(2)}), none = logits(map(1));
  EXPECT_NE(refusal("reviewkd", three, two).find("4 levels, the teacher 3"), std::string::npos);
  EXPECT_NE(refusal("reviewkd", three, odd).find("whole ratio"), std::string::npos);
  for (const char* m : {"reviewkd", "semckd", "simkd", "crd", "sskd"})
    EXPECT_NE(
        refusal(m, logits(Variable(student_wave({2, 10}))), logits(Variable(teacher_wave({2, 10}))))
            .find("student has no"),
        std::string::npos)
        << m;
}

// --- SemCKD --------------------------------------------------------------------------------------

TEST(SemCkd, GoldenValue) {
  const auto method = create_method("semckd", "weight", 1.0);
  EXPECT_TRUE(method->drop_last());
  Bench b;
  const Variable s1(student_wave({8, 3, 8, 8}), true), s2(student_wave({8, 4, 4, 4}), true);
  const nn::Features s = pyramid({s1, s2}), t = pyramid({Variable(teacher_wave({8, 2, 8, 8})),
                                                         Variable(teacher_wave({8, 3, 2, 2}))});
  b.prepare(*method, s, t, 8);
  fill_modules(*method->auxiliary());
  const Variable loss = b.loss(*method, s, t);
  EXPECT_CLOSE(loss.item(), 0.4256058);
  loss.backward();
  EXPECT_CLOSE(norm_of(s1.grad()), 0.0156721);
  EXPECT_CLOSE(norm_of(s2.grad()), 0.0452781);
}

TEST(SemCkd, Gradients) {
  const auto method = create_method("semckd", "weight", 1.0);
  Bench b;
  const Tensor m1 = student_wave({4, 2, 4, 4}), m2 = student_wave({4, 3, 2, 2});
  const nn::Features t =
      pyramid({Variable(teacher_wave({4, 2, 2, 2})), Variable(teacher_wave({4, 3, 2, 2}))});
  b.prepare(*method, pyramid({Variable(m1), Variable(m2)}), t, 4);
  const Variable v1(m1, true), v2(m2, true);
  expect_gradients(
      [&] {
        return b.loss(*method, pyramid({v1, v2}), t);
      },
      with_parameters({v1, v2}, *method));
}

// --- SimKD ---------------------------------------------------------------------------------------

/// A teacher whose output is its linear layer of the means of its one map.
class Reader : public nn::Network {
 public:
  explicit Reader(int64_t channels) : fc(channels, 3) {
    add("fc", fc);
    initialise(Stream(2));
    to(DType::f64);
  }
  nn::Features read(const Variable& map, bool activated) {
    const Variable pooled = global_avg_pool(activated ? relu(map) : map);
    return {{map, map, pooled}, fc(pooled), pooled};
  }
  nn::Features forward_features(const Variable& x, bool) override { return read(x, false); }
  nn::Linear fc;
};

struct SimBench {
  Reader teacher{4};
  NoNetwork student;
  data::Dataset train;
  std::unique_ptr<Method> method = create_method("simkd");
  void prepare(const nn::Features& s, const nn::Features& t) {
    const Pair p{student, teacher, s, t, train, Stream(1), 8, {}};
    method->check(p);
    method->prepare(p);
  }
};

TEST(SimKd, GoldenValueGradientsAndWhatIsDeployed) {
  SimBench b;
  const Variable s(student_wave({8, 3, 8, 8}), true);
  const Variable target(teacher_wave({8, 4, 4, 4}));
  const auto seen = [](const Variable& v) { return nn::Features{{v, v, v}, v, v}; };
  const nn::Features t = b.teacher.read(target, false);
  b.prepare(seen(s), t);
  fill_modules(*b.method->auxiliary());
  EXPECT_EQ(b.method->weights().hard_weight, 0);
  EXPECT_EQ(b.method->weights().soft_weight, 0);
  const data::Batch batch;
  const auto loss_of = [&](const nn::Features& f) {
    return b.method->loss({f, t, {b.student, f, batch, {}, {}, {}}, b.teacher});
  };
  const nn::Features f = seen(s);
  const Variable loss = loss_of(f);
  EXPECT_CLOSE(loss.item(), 1.068011);
  loss.backward();
  EXPECT_CLOSE(norm_of(s.grad()), 0.480764);
  EXPECT_CLOSE(s.grad().at(0), -0.00276467);
  const Tensor predicted =
      b.method->prediction({f, t, {b.student, f, batch, {}, {}, {}}, b.teacher});
  EXPECT_EQ(predicted.shape(), (Shape{8, 3}));
  const Variable v(student_wave({2, 3, 4, 4}), true), few(teacher_wave({2, 4, 4, 4}));
  const nn::Features teacher_few = b.teacher.read(few, false);
  expect_gradients(
      [&] {
        const nn::Features g = seen(v);
        return b.method->loss({g, teacher_few, {b.student, g, batch, {}, {}, {}}, b.teacher});
      },
      with_parameters({v}, *b.method));
}

TEST(SimKd, TakesTheTargetThatTheClassifierReads) {
  SimBench b;
  const Variable s(student_wave({8, 3, 4, 4})), map(teacher_wave({8, 4, 4, 4}));
  const nn::Features f{{s, s, s}, s, s};
  const data::Batch batch;
  const auto loss_with = [&](const nn::Features& t) {
    SimBench other;
    other.prepare(f, t);
    fill_modules(*other.method->auxiliary());
    return other.method->loss({f, t, {other.student, f, batch, {}, {}, {}}, other.teacher}).item();
  };
  const double activated = loss_with(b.teacher.read(map, true)),
               after = loss_with(b.teacher.read(relu(map), false));
  EXPECT_DOUBLE_EQ(activated, after) << "the map in front of its activation, and behind it";
  nn::Features wrong = b.teacher.read(map, false);
  wrong.output = wrong.output * 2.0;
  EXPECT_THROW(loss_with(wrong), Error);
}

// --- SSKD ----------------------------------------------------------------------------------------

struct SskdBench {
  Variable zs{student_wave({12, 7}, 2), true}, hs{student_wave({12, 5}), true};
  Variable zt{teacher_wave({12, 7}, 3)}, ht{teacher_wave({12, 5})};
  Tensor labels = Tensor::of<int64_t>({2, 0, 5});
  Tensor one_hot = identity(7, zs.data()), unit = identity(3, zs.data()),
         iota = Tensor::of<double>({0, 1, 2, 3, 4, 5, 6, 7, 8});
  sskd::Terms terms(const Variable& z, const Variable& h) const {
    return sskd::terms({z, h}, {zt, ht}, labels, {}, one_hot, unit, iota);
  }
  static Variable total(const sskd::Terms& t) {
    return t.normal * 0.9 + t.turned * 2.7 + t.similarity * 10.0;
  }
};

TEST(Sskd, GoldenValues) {
  const SskdBench b;
  const Variable ce = cross_entropy(train::first_views(b.zs, 4), b.labels);
  EXPECT_CLOSE(ce.item(), 3.065172);
  const sskd::Terms t = b.terms(b.zs, b.hs);
  EXPECT_CLOSE(t.normal.item(), 0.8702586);
  EXPECT_CLOSE(t.turned.item(), 0.819519);
  EXPECT_CLOSE(t.similarity.item(), 0.3666725);
  const Variable total = ce * 0.1 + SskdBench::total(t);
  EXPECT_CLOSE(total.item(), 6.969177);
  total.backward();
  EXPECT_CLOSE(norm_of(b.zs.grad()), 0.522943);
  EXPECT_CLOSE(norm_of(b.hs.grad()), 1.37627);
}

TEST(Sskd, GoldenRanksAndKeptRows) {
  const SskdBench b;
  const auto turned = [](const Variable& x) {
    return slice(reshape(x, {3, 4, x.size(1)}), 1, 1, 4);
  };
  const Variable classes = reshape(index_select(Variable(b.one_hot), b.labels), {3, 1, 7});
  EXPECT_EQ(sskd::ranks(turned(b.zt), classes).data().to_vector<double>(),
            (std::vector<double>{2, 4, 4, 0, 6, 6, 6, 1, 0}));
  const Variable a = sskd::similarities(b.ht);
  const Variable r = sskd::ranks(reshape(a, {3, 3, 3}), reshape(Variable(b.unit), {3, 1, 3}));
  EXPECT_EQ(r.data().to_vector<double>(), (std::vector<double>{1, 2, 2, 1, 1, 2, 0, 2, 2}));
  EXPECT_EQ(sskd::kept_rows(r, 0.75, b.iota).data().to_vector<double>(),
            (std::vector<double>{1, 1, 1, 1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(sskd::kept_rows(r, 1, b.iota).data().to_vector<double>(), std::vector<double>(9, 1));
  EXPECT_EQ(sskd::kept_rows(r, 0, b.iota).data().to_vector<double>(),
            (std::vector<double>{0, 0, 0, 0, 0, 0, 1, 0, 0}));
}

TEST(Sskd, Gradients) {
  const SskdBench b;
  const auto report = gradcheck(
      [&](const Variables& v) { return SskdBench::total(b.terms(v[0], v[1])); }, {b.zs, b.hs});
  EXPECT_TRUE(report.ok) << report.message;
}

TEST(Views, AreTheQuarterTurnsOfTheFlippedImage) {
  Tensor image = Tensor::empty({1, 3, 3, 1}, DType::u8);
  for (uint8_t i = 0; i < 9; ++i) image.data<uint8_t>()[i] = i;
  const auto views = [&](bool flip, uint64_t seed) {
    return data::quarter_turns(image, {0}, flip, Stream(seed)).to_vector<uint8_t>();
  };
  const std::vector<uint8_t> plain = {0, 1, 2, 3, 4, 5, 6, 7, 8, 2, 5, 8, 1, 4, 7, 0, 3, 6,
                                      8, 7, 6, 5, 4, 3, 2, 1, 0, 6, 3, 0, 7, 4, 1, 8, 5, 2};
  EXPECT_EQ(views(false, 1), plain);
  const std::vector<uint8_t> mirrored = {2, 1, 0, 5, 4, 3, 8, 7, 6, 0, 3, 6, 1, 4, 7, 2, 5, 8,
                                         6, 7, 8, 3, 4, 5, 0, 1, 2, 8, 5, 2, 7, 4, 1, 6, 3, 0};
  int flipped = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const auto v = views(true, seed);
    EXPECT_TRUE(v == plain || v == mirrored);
    flipped += v == mirrored;
  }
  EXPECT_GT(flipped, 8);
  EXPECT_LT(flipped, 32);
}

}  // namespace
}  // namespace limbeck::kd
