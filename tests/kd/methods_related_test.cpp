// DIST, CMKD-R, CCKD, CKD-R, HKD: golden values, ranks beside brute force, gradient checks,
// refusals.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kd/few_calls.h"
#include "kd/ranks.h"
#include "kd/terms.h"
#include "tests/data/temporary.h"
#include "tests/kd/bench.h"
#include "tests/kd/method_fixtures.h"

namespace limbeck::kd {
namespace {

const Tensor S = student_input({4, 10}, 3), T = teacher_input({4, 10}, 4);
const std::vector<int64_t> Y = {1, 0, 9, 3};

struct Found {
  double value, norm, first;
};
/// A method's term of S beside T in the epoch, with its gradient with respect to S.
Found found(Method& method, const std::vector<int64_t>& labels = Y, double epoch = 0) {
  Bench b;
  b.batch.labels = Tensor::of(labels);
  b.clock = Tensor::of<double>({0, epoch});
  const Variable s(S, true);
  b.prepare(method, logits(s), logits(Variable(T)), 4);
  const Variable loss = b.loss(method, logits(s), logits(Variable(T)));
  loss.backward();
  return {loss.item(), norm(s.grad()), s.grad().at(0)};
}
void expect_found(const Found& f, double value, double gradient, double first, const char* what) {
  EXPECT_NEAR(f.value, value, 1e-5 * std::abs(value)) << what;
  EXPECT_NEAR(f.norm, gradient, 1e-5 * gradient) << what;
  EXPECT_NEAR(f.first, first, 2e-5 * std::abs(first)) << what;
}

/// A method with some settings of its own.
struct Set {
  NamedSettings all = default_method_settings();
  std::string name;
  explicit Set(std::string method) : name(std::move(method)) {}
  template <class V>
  Set& with(const std::string& key, const V& value) {
    SetField<V>(all.at(name), key, value);
    return *this;
  }
  std::unique_ptr<Method> make() const { return create_method(name, all); }
};

void expect_logit_gradients(Method& method, const std::string& what, double epoch = 0) {
  Bench b;
  b.batch.labels = Tensor::of(Y);
  b.clock = Tensor::of<double>({0, epoch});
  const Variable t(random_input({4, 6}, 2));
  b.batch.labels = Tensor::of<int64_t>({1, 0, 5, 3});
  const Tensor s = random_input({4, 6}, 1);
  b.prepare(method, logits(Variable(s)), logits(t), 4);
  const auto report =
      gradcheck([&](const Variables& v) { return b.loss(method, logits(v[0]), logits(t)); },
                {Variable(s, true)});
  EXPECT_TRUE(report.ok) << what << ": " << report.message;
}

TEST(Dist, GoldenValues) {
  const auto part = [](double temperature, double beta, double gamma) {
    return found(*Set("dist")
                      .with("temperature", temperature)
                      .with("beta", beta)
                      .with("gamma", gamma)
                      .make());
  };
  expect_found(part(1, 1, 0), 1.039410, 0.107784, -0.0325552, "inter, T 1");
  expect_found(part(1, 0, 1), 1.033513, 0.0958189, 0.00173901, "intra, T 1");
  expect_found(part(4, 1, 0), 17.15522, 0.784575, -0.445226, "inter, T 4");
  expect_found(part(4, 0, 1), 17.83159, 1.20593, -0.0715188, "intra, T 4");
}

TEST(Dist, OneImageHasNoGradientFromItsColumns) {
  const auto method = Set("dist").with("beta", 0.0).make();
  const Variable s(student_input({1, 10}, 3), true), t(teacher_input({1, 10}, 4));
  Bench b;
  b.prepare(*method, logits(s), logits(t), 1);
  const Variable loss = b.loss(*method, logits(s), logits(t));
  EXPECT_DOUBLE_EQ(loss.item(), 2 * 16);
  loss.backward();
  for (const double g : s.grad().to_vector<double>()) EXPECT_EQ(g, 0);
}

// --- ranks, CMKD-R -------------------------------------------------------------------------------

/// Counting, entry by entry.
std::vector<double> counted_ranks(const std::vector<double>& x) {
  std::vector<double> ranks;
  for (const double a : x) {
    double below = 0, equal = 0;
    for (const double b : x) below += b < a, equal += b == a;
    ranks.push_back(below + (equal + 1) / 2);
  }
  return ranks;
}

TEST(Ranks, AreThoseOfCountingWithAndWithoutTies) {
  for (const int64_t k : {1, 2, 5, 17}) {
    Tensor x = random_input({6, k}, static_cast<uint64_t>(k));
    for (int64_t i = 0; i < 3 * k; ++i)  // half of the rows have ties
      x.data<double>()[i] = std::round(x.data<double>()[i]);
    const Tensor ranks = exact_ranks(Variable(x)).data();
    const Tensor soft = soft_ranks(Variable(x), 1e-9).data();
    for (int64_t row = 0; row < 6; ++row) {
      const auto expected = counted_ranks(x.rows(row, row + 1).to_vector<double>());
      for (int64_t i = 0; i < k; ++i) {
        EXPECT_DOUBLE_EQ(ranks.at(row * k + i), expected[static_cast<size_t>(i)]);
        EXPECT_NEAR(soft.at(row * k + i), expected[static_cast<size_t>(i)], 1e-6);
      }
    }
  }
}

TEST(Ranks, GoldenValues) {
  const double row[] = {5.042119, 7.037172, 8.413061, 8.778075, 8.208072,
                        6.634048, 4.634889, 3.105146, 2.001198, 1.146219};
  const Variable s(S, true);
  const Variable ranks = soft_ranks(s, 0.5);
  for (int64_t i = 0; i < 10; ++i) EXPECT_NEAR(ranks.data().at(i), row[i], 1e-5);
  const Variable truth = exact_ranks(Variable(T));
  const Variable raw = affine(mean(correlation(ranks, truth, 1)), -1, 1);
  EXPECT_NEAR(raw.item(), 1.080784, 1e-5);
  raw.backward();
  EXPECT_NEAR(norm(s.grad()), 0.061691, 1e-6);
  EXPECT_NEAR(s.grad().at(0), -0.0268689, 1e-6);
  s.zero_grad();
  const Variable rows = correlation(soft_ranks(standardised_rows(s), 0.1), truth, 1);
  const double rho[] = {0.711932, 0.703315, -0.878082, -0.872057};
  for (int64_t i = 0; i < 4; ++i) EXPECT_NEAR(rows.data().at(i), rho[i], 1e-5);
  affine(mean(rows), -1, 1).backward();
  EXPECT_NEAR(norm(s.grad()), 0.0747034, 1e-6);
  EXPECT_NEAR(s.grad().at(0), -0.0196942, 1e-6);
  const double spearman[] = {0.733333, 0.660606, -0.866667, -0.842424};
  const Tensor exact = correlation(exact_ranks(Variable(S)), truth, 1).data();
  for (int64_t i = 0; i < 4; ++i) EXPECT_NEAR(exact.at(i), spearman[i], 1e-6);
}

Variable projected(const Variable& x, double eps) {
  return projected_ranks(x, eps, descending_ranks(x.size(1), x.data()));
}

TEST(Ranks, ProjectedGoldenValues) {
  const double row[] = {5.39636, 7.10578, 8.19451, 8.51519, 8.02443, 6.78864, 4.97509, 3, 2, 1};
  const Tensor ranks = projected(Variable(S), 0.5).data();
  for (int64_t i = 0; i < 10; ++i) EXPECT_NEAR(ranks.at(i), row[i], 1e-5);
  const Variable truth = exact_ranks(Variable(T));
  const auto part = [&](double eps) {
    const Variable s(S, true);
    const Variable distance = affine(mean(correlation(projected(s, eps), truth, 1)), -1, 1);
    distance.backward();
    return Found{distance.item(), norm(s.grad()), s.grad().at(0)};
  };
  expect_found(part(0.5), 1.073956, 0.0632672, -0.0296413, "eps 0.5");
  expect_found(part(1), 1.063554, 0.0447313, -0.0233866, "eps 1");
  const Found sharp = part(0.1);
  EXPECT_NEAR(sharp.value, 1.076169, 1e-6);
  EXPECT_NEAR(sharp.norm, 0.0664947, 1e-6);
  EXPECT_EQ(sharp.first, 0);  // its gaps are above eps
}

/// y is the point of a convex hull nearest to x if it lies in the hull and no corner is at an acute
/// angle: both are checked with all orders of the ranks.
void expect_projection(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<double> corner(x.size()), falling = y;
  std::iota(corner.begin(), corner.end(), 1.0);
  std::sort(falling.rbegin(), falling.rend());
  double above = 0, most = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    above += falling[i], most += static_cast<double>(x.size() - i);
    EXPECT_LE(above, most + 1e-9) << "the " << i + 1 << " largest";
  }
  EXPECT_NEAR(above, most, 1e-9);
  do {
    double angle = 0;
    for (size_t i = 0; i < x.size(); ++i) angle += (x[i] - y[i]) * (corner[i] - y[i]);
    EXPECT_LE(angle, 1e-9);
  } while (std::next_permutation(corner.begin(), corner.end()));
}

TEST(Ranks, ProjectedAreTheNearestPointAmongAllOrders) {
  for (const int64_t k : {1, 2, 3, 5, 6})
    for (const double eps : {0.05, 0.5, 2.0}) {
      Tensor x = random_input({6, k}, static_cast<uint64_t>(k));
      for (int64_t i = 0; i < 3 * k; ++i)  // half of the rows have ties
        x.data<double>()[i] = std::round(x.data<double>()[i]);
      const Tensor ranks = projected(Variable(x), eps).data();
      for (int64_t row = 0; row < 6; ++row) {
        std::vector<double> wanted = x.rows(row, row + 1).to_vector<double>();
        for (double& v : wanted) v /= eps;
        expect_projection(wanted, ranks.rows(row, row + 1).to_vector<double>());
      }
    }
}

TEST(Ranks, ProjectedAreExactWhereGapsAreAboveEps) {
  const Tensor x = random_input({6, 17}, 3);
  const Variable seen(x, true);
  const Variable ranks = projected(seen, 1e-6);
  const Tensor exact = exact_ranks(Variable(x)).data();
  for (int64_t i = 0; i < x.numel(); ++i) EXPECT_NEAR(ranks.data().at(i), exact.at(i), 1e-6);
  sum(ranks * Variable(random_input({6, 17}, 4))).backward();
  for (const double g : seen.grad().to_vector<double>()) EXPECT_EQ(g, 0);
}

TEST(Ranks, ProjectedHaveTheirGradient) {
  const Variable weights(random_input({5, 7}, 2));
  for (const double eps : {0.1, 0.5, 2.0}) {
    const auto report =
        gradcheck([&](const Variables& v) { return sum(square(projected(v[0], eps)) * weights); },
                  {Variable(random_input({5, 7}, 1), true)});
    EXPECT_TRUE(report.ok) << eps << ": " << report.message;
  }
}

TEST(Cmkd, GoldenValues) {
  const auto method = Set("cmkd").make();
  Bench b;
  const Variable s(S, true), t(T);
  b.prepare(*method, logits(s), logits(t), 4);
  const Variable total = cross_entropy(s, Tensor::of(Y)) + b.loss(*method, logits(s), logits(t));
  total.backward();
  expect_found({total.item(), norm(s.grad()), s.grad().at(0)}, 6.885222, 0.581663, -0.0253731,
               "with the labels' loss");
}

TEST(Cmkd, MixesTheTwoAsItsSettingsSay) {
  const auto value = [](const char* mixture) {
    return found(*Set("cmkd").with("mixture", std::string(mixture)).with("beta", 1.0).make()).value;
  };
  const double both = 1.035958 + 1.083723;  // mean P and mean S
  EXPECT_NEAR(value("halves"), both / 2, 1e-5);
  EXPECT_NEAR(value("difficulty") + value("reversed"), both, 1e-5);
  EXPECT_GT(std::abs(value("difficulty") - value("reversed")), 1e-3);
}

TEST(Cmkd, Gradients) {
  for (const char* mixture : {"difficulty", "reversed", "halves"})
    for (const char* space : {"logits", "probabilities"})
      for (const char* ranks : {"pairwise", "projection"})
        expect_logit_gradients(*Set("cmkd")
                                    .with("mixture", std::string(mixture))
                                    .with("space", std::string(space))
                                    .with("ranks", std::string(ranks))
                                    .with("softness", 0.5)
                                    .with("beta_intra", 1.0)
                                    .make(),
                               cat(mixture, " ", space, " ", ranks));
}

/// On logits of deviation 1, so that eps is in deviations; only the term of ranks changes.
TEST(Cmkd, ProjectsWhereItIsAskedTo) {
  const auto value = [](const char* mixture) {
    return found(*Set("cmkd")
                      .with("mixture", std::string(mixture))
                      .with("ranks", std::string("projection"))
                      .with("beta", 1.0)
                      .with("eps", 0.25)
                      .make())
        .value;
  };
  const Variable rows = standardised_rows(Variable(S)), truth = exact_ranks(Variable(T));
  const double s = 1 - mean(correlation(projected(rows, 0.25), truth, 1)).item();
  EXPECT_NEAR(value("halves"), (1.035958 + s) / 2, 1e-6);
  EXPECT_NEAR(value("difficulty") + value("reversed"), 1.035958 + s, 1e-6);
}

// --- CCKD ----------------------------------------------------------------------------------------

Found cckd(const char* form, double temperature, const std::vector<int64_t>& labels = Y,
           double epoch = 0) {
  return found(*Set("cckd").with("form", std::string(form)).with("temperature", temperature).make(),
               labels, epoch);
}

TEST(Cckd, GoldenValues) {
  expect_found(cckd("l", 1), 4.677542, 0.495333, -0.010538, "l, T 1");
  expect_found(cckd("t", 1), 4.677542, 0.495333, -0.010538, "t, T 1");
  expect_found(cckd("l", 4), 4.494805, 0.480049, 0.0102295, "l, T 4");
  expect_found(cckd("t", 4), 2.664602, 0.109582, 0.00430888, "t, T 4");
}

TEST(Cckd, UsesTheImagesThatTheStudentDoesNotKnowWell) {
  const std::vector<int64_t> right = {3, 9, 0, 7};  // margins 0.037, 0.210, 0.091, 0.035
  const Found none = cckd("t_reg", 1, right, 0);
  EXPECT_EQ(none.value, 0);
  EXPECT_EQ(none.norm, 0);
  expect_found(cckd("t_reg", 1, right, 10), 1.252434, 0.431531, 0.00549507, "one dropped");
  expect_found(cckd("t_reg", 1, right, 50), 1.270575, 0.334198, 0.0041213, "all");
  // All of Y are wrong: used from the first epoch on.
  EXPECT_DOUBLE_EQ(cckd("t_reg", 1, Y, 0).value, cckd("t", 1).value);
}

TEST(Cckd, Gradients) {
  for (const char* form : {"l", "t", "t_reg"})
    for (const double temperature : {1.0, 4.0})
      expect_logit_gradients(
          *Set("cckd").with("form", std::string(form)).with("temperature", temperature).make(),
          form, 20);
}

/// Rows 2, 0, 1 of a set whose row 2 is a fake: of that the target is l onehot + (1 - l) p_t.
struct WithFakes {
  Bench b;
  Tensor s = random_input({3, 6}, 1), t = random_input({3, 6}, 2);
  std::unique_ptr<Method> method;
  WithFakes(const char* form, bool swap, int64_t first_fake = 2)
      : method(Set("cckd")
                   .with("form", std::string(form))
                   .with("temperature", 2.0)
                   .with("swap_for_fakes", swap)
                   .make()) {
    b.batch.labels = Tensor::of<int64_t>({1, 0, 5});
    b.rows = Tensor::of<int64_t>({2, 0, 1});
    const nn::Features student = logits(Variable(s)), teacher = logits(Variable(t));
    Pair p = b.pair(student, teacher, 3);
    p.first_fake = first_fake;
    method->prepare(p);
  }
  Variable of(const Variable& student) {
    return b.loss(*method, logits(student), logits(Variable(t)));
  }
};

/// By the definition, image after image.
TEST(Cckd, SwapsTheTargetsOfFakes) {
  WithFakes f("t", true);
  const Tensor p = softmax(Variable(f.t) * 0.5).data(), q = log_softmax(Variable(f.s) * 0.5).data();
  double expected = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t label = f.b.batch.labels.data<int64_t>()[i];
    const double l = p.at(i * 6 + label), teacher = i == 0 ? 1 - l : l;
    for (int64_t c = 0; c < 6; ++c)
      expected -= (teacher * p.at(i * 6 + c) + (1 - teacher) * (c == label)) * q.at(i * 6 + c) / 3;
  }
  EXPECT_NEAR(f.of(Variable(f.s)).item(), expected, 1e-12);
}

TEST(Cckd, WithoutFakesThereIsNothingToSwap) {
  for (const char* form : {"l", "t", "t_reg"}) {
    const auto value = [&](bool swap, int64_t first_fake) {
      WithFakes f(form, swap, first_fake);
      f.b.clock = Tensor::of<double>({0, 1000});
      return f.of(Variable(f.s)).item();
    };
    EXPECT_EQ(value(true, 3), value(false, 3)) << form;
    EXPECT_EQ(value(false, 1), value(false, 3)) << form;
    EXPECT_GT(std::abs(value(true, 1) - value(false, 1)), 1e-3) << form;
  }
}

TEST(Cckd, GradientsWithSwappedTargets) {
  for (const char* form : {"l", "t", "t_reg"}) {
    WithFakes f(form, true);
    const auto report =
        gradcheck([&](const Variables& v) { return f.of(v[0]); }, {Variable(f.s, true)});
    EXPECT_TRUE(report.ok) << form << ": " << report.message;
  }
}

// --- CKD-R ---------------------------------------------------------------------------------------

TEST(Ckd, GoldenValues) {
  expect_found(found(*Set("ckd").with("temperature", 1.0).make()), 4.200629, 0.491395, -0.076023,
               "kl, T 1");
  expect_found(found(*Set("ckd").make()), 8.846304, 0.990348, -0.077221, "kl, T 4");
  expect_found(found(*Set("ckd").with("form", std::string("mse")).make()), 31.39143, 2.89328,
               -0.184078, "mse");
}

/// The same from the definition: every ordered pair of group means.
TEST(Ckd, ComparesTheMeansOfGroups) {
  const Tensor s = random_input({7, 3}, 1), t = random_input({7, 3}, 2);
  const auto group = [](const Tensor& x, int64_t g) {
    std::vector<double> z(3, 0.0);
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t c = 0; c < 3; ++c) z[static_cast<size_t>(c)] += x.at((2 * g + i) * 3 + c) / 2;
    return z;
  };
  double squares = 0;
  for (int64_t i = 0; i < 3; ++i)
    for (int64_t j = 0; j < 3; ++j)
      for (size_t c = 0; c < 3; ++c) {
        const double d = group(t, i)[c] - group(t, j)[c] - group(s, i)[c] + group(s, j)[c];
        squares += d * d / (3 * 2 * 3);
      }
  const auto method = Set("ckd").with("form", std::string("mse")).with("group", int64_t{2}).make();
  Bench b;
  b.prepare(*method, logits(Variable(s)), logits(Variable(t)), 7);
  EXPECT_NEAR(b.loss(*method, logits(Variable(s)), logits(Variable(t))).item(), squares, 1e-12);
}

/// A teacher that has seen all images of the batch says what it says otherwise; of those that it
/// has not seen nothing is asked, as if they were not there.
TEST(Ckd, WithFewCallsComparesWhatTheTeacherHasSeen) {
  const test::TemporaryFolder folder;
  const Tensor s = random_input({5, 3}, 1), t = random_input({5, 3}, 2);
  const auto rows = [](const Tensor& x, std::vector<int64_t> which) {
    return index_select(Variable(x), Tensor::of(which)).data();
  };
  for (const char* form : {"kl", "mse"}) {
    const auto term = [&](const std::vector<int64_t>& known) {
      TensorFile file;
      file.add("rows", Tensor::of(known));
      file.add("logits", rows(t, known).to(DType::f32));
      write_safetensors(folder.file("logits.safetensors"), file);
      const auto method =
          Set("ckd").with("form", std::string(form)).with("teacher_calls", int64_t{9}).make();
      EXPECT_EQ(method->weights().soft_weight, 0);
      Bench b;
      b.train = labelled(5, 3);
      const nn::Features f = logits(Variable(s)), nothing = logits(Variable(Tensor::zeros({5, 3})));
      Pair p = b.pair(f, nothing, 5);
      p.directory_of = [&](const std::string&) { return folder.path(); };
      method->prepare(p);
      method->auxiliary()->to(DType::f64);
      b.rows = Tensor::of<int64_t>({0, 1, 2, 3, 4});
      return b.loss(*method, f, nothing).item();
    };
    const auto plain = [&](const std::vector<int64_t>& known) {
      const auto method = Set("ckd").with("form", std::string(form)).make();
      Bench b;
      const Variable own(rows(s, known)), theirs(rows(t, known));
      return b.loss(*method, logits(own), logits(theirs)).item() +
             distillation_loss(own, theirs.data(), 4).item();
    };
    EXPECT_NEAR(term({0, 1, 2, 3, 4}), plain({0, 1, 2, 3, 4}), 1e-5) << form;
    EXPECT_NEAR(term({1, 3, 4}), plain({1, 3, 4}), 1e-5) << form;
    EXPECT_NEAR(term({2}), distillation_loss(Variable(rows(s, {2})), rows(t, {2}), 4).item(), 1e-5)
        << form;
  }
  TensorFile wrong;
  wrong.add("rows", Tensor::of<int64_t>({7}));
  wrong.add("logits", Tensor::zeros({1, 3}));
  write_safetensors(folder.file("logits.safetensors"), wrong);
  test::expect_error([&] { KnownLogits(5, 3).read(folder.path()); },
                     {"logits.safetensors", "row 7", "5 training images"});
}

TEST(Ckd, HasNoTermWhereThereIsNothingToCompare) {
  for (const int64_t group : {1, 4})
    for (const char* form : {"kl", "mse"}) {
      const auto method = Set("ckd").with("form", std::string(form)).with("group", group).make();
      const Variable s(random_input({group == 1 ? 1 : 7, 3}, 1), true),
          t(random_input({group == 1 ? 1 : 7, 3}, 2));
      Bench b;
      const Variable loss = b.loss(*method, logits(s), logits(t));
      EXPECT_EQ(loss.item(), 0);
      loss.backward();
      for (const double g : s.grad().to_vector<double>()) EXPECT_EQ(g, 0);
    }
}

TEST(Ckd, Gradients) {
  for (const char* form : {"kl", "mse"})
    for (const int64_t group : {1, 2})
      expect_logit_gradients(
          *Set("ckd").with("form", std::string(form)).with("group", group).make(), form);
}

// --- HKD -----------------------------------------------------------------------------------------

/// A stem that is not looked at, a map of one pixel, the pooled vector.
nn::Features levels(const Variable& map, const Variable& pooled) {
  const Variable pixel = reshape(map, {map.size(0), 1, 1, map.size(1)});
  return {{pixel, pixel, pooled}, slice(pooled, 1, 0, 2), pooled};
}

struct HkdBench : Bench {
  std::unique_ptr<Method> method;
  explicit HkdBench(Set set = Set("hkd")) : method(set.with("weight", 32.0).make()) {
    clock = Tensor::of<double>({0, 0});
  }
  Variable at(const nn::Features& s, const nn::Features& t, int64_t epochs = 50) {
    Pair p = pair(s, t, 4);
    p.epochs = epochs;
    method->prepare(p);
    return loss(*method, s, t);
  }
};

TEST(Hkd, GoldenValuesOfALevel) {
  // Weight 32 of four images is 1 of 128. Equal vectors have no loss.
  const Variable a(student_input({4, 6}), true), b(teacher_input({4, 10})),
      c(student_input({4, 6}, 3), true), d(teacher_input({4, 10}, 4)),
      equal(random_input({4, 3}, 1));
  HkdBench pooled(Set("hkd").with("maps_weight", 0.0));
  const Variable last = pooled.at(levels(a, a), levels(b, b));
  last.backward();
  expect_found({last.item(), norm(a.grad()), a.grad().at(0)}, 0.06037909, 0.128285, 0.0261413,
               "pooled vectors");
  HkdBench maps(Set("hkd").with("maps_weight", 1.0));
  const Variable map = maps.at(levels(c, equal), levels(d, equal));
  map.backward();
  expect_found({map.item(), norm(c.grad()), c.grad().at(0)}, 0.07591597, 0.0507663, 0.0142186,
               "maps");
}

TEST(Hkd, TheMapsFadeWithTheShareOfTheTraining) {
  const Variable c(student_input({4, 6}, 3)), d(teacher_input({4, 10}, 4)),
      equal(random_input({4, 3}, 1));
  HkdBench b;
  const auto at = [&](double epoch, int64_t epochs) {
    b.clock = Tensor::of<double>({0, epoch});
    return b.at(levels(c, equal), levels(d, equal), epochs).item();
  };
  const double level = 0.07591597;
  EXPECT_NEAR(at(0, 50), 100 * level, 1e-4);
  EXPECT_NEAR(at(5, 50), 16.807 * level, 1e-4);
  EXPECT_NEAR(at(24, 240), 16.807 * level, 1e-4);
}

TEST(Hkd, Gradients) {
  HkdBench b(Set("hkd").with("maps_weight", 3.0));
  const Variable map(random_input({4, 5}, 3)), vector(random_input({4, 3}, 4));
  const auto report =
      gradcheck([&](const Variables& v) { return b.at(levels(v[0], v[1]), levels(map, vector)); },
                {Variable(random_input({4, 6}, 1), true), Variable(random_input({4, 4}, 2), true)});
  EXPECT_TRUE(report.ok) << report.message;
}

TEST(Hkd, EqualAndEmptyRowsAreFinite) {
  const Variable s(Tensor::of<double>({1, 2, 1, 2, 0, 0, 0, 0}, {4, 2}), true),
      t(random_input({4, 3}, 1));
  HkdBench b;
  const Variable loss = b.at(levels(s, s), levels(t, t));
  EXPECT_TRUE(std::isfinite(loss.item()));
  loss.backward();
  for (const double g : s.grad().to_vector<double>()) EXPECT_TRUE(std::isfinite(g)) << g;
}

TEST(Hkd, KnowsLargerNetworksAndRefusesOthers) {
  const auto method = create_method("hkd");
  EXPECT_NO_THROW(method->check_names("resnet110", "resnet20"));
  test::expect_error([&] { method->check_names("resnet110", "MobileNetV2"); },
                     {"MobileNetV2", "methods.hkd.auxiliary"});
  EXPECT_NO_THROW(Set("hkd")
                      .with("auxiliary", std::string("teacher"))
                      .make()
                      ->check_names("resnet110", "MobileNetV2"));
  EXPECT_TRUE(Set("hkd").with("auxiliary", std::string("teacher")).make()->preparations().empty());
  EXPECT_EQ(method->preparations().size(), 1u);
}

TEST(RelatedMethods, RefuseWhatTheyCannotServe) {
  const auto zeros = [](int64_t c) { return logits(Variable(Tensor::zeros({2, c}))); };
  for (const char* name : {"cckd", "cmkd", "ckd"}) {
    test::expect_error([&] { prepare(*create_method(name), zeros(1), zeros(1)); },
                       {name, "one output"});
    test::expect_error([&] { prepare(*create_method(name), zeros(10), zeros(100)); },
                       {name, "does not match"});
  }
  EXPECT_NO_THROW(prepare(*Set("ckd").with("form", std::string("mse")).make(), zeros(1), zeros(1)));
  const auto refused = [](const char* method, const char* key, const auto& value) {
    test::expect_error([&] { Set(method).with(key, value).make(); },
                       {cat("methods.", method, ".", key)});
  };
  refused("cckd", "form", std::string("T"));
  refused("cckd", "alpha", -1.0);
  refused("cmkd", "space", std::string("logit"));
  refused("cmkd", "mixture", std::string("half"));
  refused("cmkd", "softness", 0.0);
  refused("cmkd", "ranks", std::string("sorted"));
  refused("cmkd", "eps", 0.0);
  refused("cmkd", "eps", std::nan(""));
  refused("cmkd", "beta", -1.0);
  refused("ckd", "form", std::string("l2"));
  refused("ckd", "group", int64_t{0});
  refused("ckd", "weight", -1.0);
  refused("ckd", "teacher_calls", int64_t{-1});
  test::expect_error(
      [] { Set("ckd").with("teacher_calls", int64_t{5}).with("group", int64_t{2}).make(); },
      {"methods.ckd.group", "teacher_calls"});
  test::expect_error(
      [] {
        Set("ckd")
            .with("teacher_calls", int64_t{5})
            .with("teacher_bn", std::string("adapt"))
            .make();
      },
      {"methods.ckd.teacher_bn", "teacher_calls"});
  refused("hkd", "auxiliary", std::string("resnet21"));
  refused("hkd", "auxiliary_share", 0.0);
  refused("hkd", "decay", 1.5);
}

}  // namespace
}  // namespace limbeck::kd
