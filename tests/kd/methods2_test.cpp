// DKD, DIST, standardised logits, CRD, ReviewKD, SemCKD, SimKD, SSKD, TAKD: golden values of the
// official modules (inputs as in methods_test.cpp), gradient checks, refusals, resume.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/gradcheck.h"
#include "kd/distillation.h"
#include "nn/layers.h"
#include "tests/kd/method_settings.h"
#include "train/supervised.h"

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

/// Inputs of a step, by hand.
struct Bench {
  data::Dataset train;
  data::Batch batch;
  Tensor rows, places = places_of({Stream(9)}), clock = Tensor::of<double>({0, 100});
  NoNetwork networks[2];

  Pair pair(const nn::Features& s, const nn::Features& t, int64_t images) {
    return {networks[0], networks[1], s, t, train, Stream(1), images, {}};
  }
  void prepare(Method& m, const nn::Features& s, const nn::Features& t, int64_t images) {
    const Pair p = pair(s, t, images);
    m.check(p);
    m.prepare(p);
    if (m.auxiliary()) m.auxiliary()->to(DType::f64);
  }
  Variable loss(Method& m, const nn::Features& s, const nn::Features& t) {
    const train::Step step{networks[0], s, batch, rows, places, clock};
    return m.loss({s, t, step, networks[1]});
  }
};

template <class T>
void set(NamedSettings& all, const std::string& method, const std::string& key, const T& value) {
  SetField<T>(all.at(method), key, value);
}

nn::Features logits(const Variable& v) { return {{}, v, {}}; }

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

}  // namespace
}  // namespace limbeck::kd
