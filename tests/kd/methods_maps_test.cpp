// Methods that compare maps: FitNet, AT, SP, NST, VID, FT, AB, FSP, KDSVD.
#include <algorithm>
#include <numeric>

#include "tests/kd/method_fixtures.h"

namespace limbeck::kd {
namespace {

TEST(MapMethods, GoldenValues) {
  const Tensor s8 = student_input({4, 3, 8, 8}), s4 = student_input({4, 3, 4, 4}),
               t4 = teacher_input({4, 5, 4, 4}), t8 = teacher_input({4, 5, 8, 8});
  expect_golden("FitNet", {s8}, {t4}, {0.9761335, {0.74673}, 0.0313684});
  expect_golden("FitNet", {s4}, {t8}, {0.9789521, {0.209854}, -0.0114674});
  expect_golden("AT", {s8}, {t4}, {0.003827135, {0.0328833}, 0.000666146});
  expect_golden("SP", {s4}, {t4}, {0.2551761, {0.0450222}, 0.00515245});
  expect_golden("NST", {s4}, {t4}, {0.6370906, {0.127274}});
  expect_golden("FT_paraphraser_reconstruction", {}, {teacher_input({4, 8, 8, 8})},
                {0.5272998, {}});
  expect_golden("FT", {student_input({4, 6, 4, 4})}, {teacher_input({4, 8, 8, 8})},
                {0.1141837, {0.70099}, 0.0212471});
  expect_golden("AB", {student_input({4, 3, 4, 4}, 2), student_input({4, 5, 2, 2}, 2)},
                {teacher_input({4, 3, 4, 4}, 2), teacher_input({4, 5, 2, 2}, 2)},
                {0.3590729, {0.0170237, 0.0223071}});
  expect_golden("FSP", {s8, student_input({4, 5, 4, 4})}, {teacher_input({4, 3, 8, 8}), t4},
                {0.001447298, {3.90558e-4, 1.88529e-4}});
}

TEST(Vid, GoldenValueAndGradientOfTheVariances) {
  const ParityOutcome outcome = criterion("VID", {Variable(student_input({4, 3, 8, 8}), true)},
                                          {Variable(teacher_input({4, 5, 4, 4}))});
  EXPECT_GOLDEN(outcome.loss.item(), 0.8548912);
  outcome.loss.backward();
  for (const nn::Parameter& p : outcome.modules[0].module->parameters()) {
    if (p.name != "log_scale") continue;
    EXPECT_GOLDEN(p.value.data().at(0), 4.993229);
    EXPECT_GOLDEN(norm(p.value.grad()), 0.0399636);
    EXPECT_GOLDEN(p.value.grad().at(0), 0.0177743);
    return;
  }
  FAIL() << "no log_scale";
}

/// As the official code: terms add over the levels of the shorter list, from the front.
TEST(MapMethods, SumOverLevelsFromTheFront) {
  const Variable s1(student_input({2, 3, 8, 8})), s2(student_input({2, 4, 4, 4})),
      t1(teacher_input({2, 5, 4, 4})), t2(teacher_input({2, 6, 2, 2})),
      t3(teacher_input({2, 7, 2, 2}));
  for (const char* name : {"AT", "NST"}) {
    const double first = criterion(name, {s1}, {t1}).loss.item(),
                 second = criterion(name, {s2}, {t2}).loss.item();
    EXPECT_GT(second, 0) << name;
    EXPECT_NEAR(criterion(name, {s1, s2}, {t1, t2, t3}).loss.item(), first + second, 1e-12) << name;
  }
}

TEST(MapMethods, GradientsOfInputs) {
  const Tensor s = random_input({3, 2, 4, 4}, 1), t = random_input({3, 3, 2, 2}, 2),
               t_large = random_input({3, 4, 8, 8}, 3);
  for (const char* name : {"AT", "SP", "NST", "VID", "FT"}) {
    expect_gradients(name, {s}, {t});
    expect_gradients(name, {s}, {t_large});
  }
  const Tensors two{random_input({2, 3, 4, 4}, 4), random_input({2, 4, 2, 2}, 5)},
      teacher{random_input({2, 3, 4, 4}, 6), random_input({2, 4, 2, 2}, 7)};
  expect_gradients("AB", two, teacher);
  expect_gradients("FSP", two, teacher);
}

TEST(MapMethods, GradientsOfAuxiliaryParameters) {
  for (const std::vector<int64_t>& side : {std::vector<int64_t>{6, 3}, {3, 6}, {4, 4}, {5, 4}})
    for (const char* name : {"fitnet", "vid"}) {
      const bool vid = std::string(name) == "vid";
      if (vid && (side[0] == 5 || side[0] == 4)) continue;  // maps that do not divide evenly
      NamedSettings settings = default_method_settings();
      SetField<double>(settings.at(name), "soft_weight", 0.0);
      SetField<double>(settings.at(name), "weight", 1.0);
      if (!vid) SetField<int64_t>(settings.at(name), "tap", int64_t{1});
      expect_method_gradients(*create_method(name, settings), features_with_maps,
                              {random_input({3, 2, side[0], side[0]}, 8)},
                              {random_input({3, 3, side[1], side[1]}, 9)});
    }
}

TEST(MapMethods, RefusePairsWithTheReason) {
  const auto maps = [](std::vector<std::array<int64_t, 2>> channels_and_sides) {
    Variables v;
    for (const auto& [c, side] : channels_and_sides)
      v.emplace_back(Tensor::zeros({2, side, side, c}));
    return features_with_maps(v);
  };
  const nn::Features none = features_with_logits(Variable(Tensor::zeros({2, 10}))),
                     three = maps({{4, 8}, {8, 4}, {16, 2}}),
                     four = maps({{4, 8}, {8, 4}, {16, 2}, {16, 2}}),
                     wider = maps({{8, 8}, {16, 4}, {32, 2}}),
                     larger = maps({{4, 32}, {8, 16}, {16, 8}});
  for (const char* name : {"fitnet", "at", "sp", "nst", "vid", "ft", "ab", "fsp", "kdsvd"}) {
    EXPECT_REFUSAL(std::string(name) + ": the student has no map", name, none, three);
    EXPECT_REFUSAL(std::string(name) + ": the teacher has no map", name, three, none);
    EXPECT_EQ(refusal(name, three, three), "") << name;
  }
  for (const char* name : {"at", "sp", "nst", "vid", "ft"})
    EXPECT_EQ(refusal(name, three, four) + refusal(name, four, wider), "") << name;
  EXPECT_REFUSAL("fitnet: no regressor from maps of 4 x 4", "fitnet", three, larger);
  EXPECT_REFUSAL("as many levels of student and teacher, found 3 and 4", "ab", three, four);
  EXPECT_REFUSAL("ab: no regressor from maps of 8 x 8", "ab", three, larger);
  EXPECT_EQ(refusal("ab", three, wider), "");
  EXPECT_REFUSAL("as many levels of student and teacher, found 5 and 4", "fsp", four, three);
  EXPECT_REFUSAL("fsp: map 0 has 4 channels, the teacher's 8", "fsp", three, wider);
  EXPECT_REFUSAL("kdsvd: map 1 has 4 channels, the teacher's 8", "kdsvd", three, wider);
  EXPECT_REFUSAL("kdsvd: expected two levels", "kdsvd", maps({{4, 8}}), maps({{4, 8}}));
}

// --- KDSVD beside a decomposition of its own -----------------------------------------------------

using Matrix = std::vector<std::vector<double>>;

/// Right singular vectors of rows x[p][c], by Jacobi rotations of X^T X; falling singular values.
Matrix right_vectors(const Matrix& x) {
  const size_t n = x[0].size();
  Matrix a(n, std::vector<double>(n)), v(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) {
    v[i][i] = 1;
    for (size_t j = 0; j < n; ++j)
      for (const auto& row : x) a[i][j] += row[i] * row[j];
  }
  for (int sweep = 0; sweep < 60; ++sweep)
    for (size_t p = 0; p < n; ++p)
      for (size_t q = p + 1; q < n; ++q) {
        if (std::abs(a[p][q]) < 1e-300) continue;
        const double theta = 0.5 * std::atan2(2 * a[p][q], a[q][q] - a[p][p]), c = std::cos(theta),
                     s = std::sin(theta);
        const auto rotate = [&](double& left, double& right) {
          const double l = left, r = right;
          left = c * l - s * r, right = s * l + c * r;
        };
        for (size_t k = 0; k < n; ++k) rotate(a[k][p], a[k][q]);
        for (size_t k = 0; k < n; ++k) rotate(a[p][k], a[q][k]);
        for (size_t k = 0; k < n; ++k) rotate(v[k][p], v[k][q]);
      }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return a[i][i] > a[j][j]; });
  Matrix vectors;
  for (const size_t k : order) {
    vectors.emplace_back();
    for (size_t i = 0; i < n; ++i) vectors.back().push_back(v[i][k]);
  }
  return vectors;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

/// Student and teacher maps [N, H, W, C] of each level, by the formula with the decomposition.
double kdsvd_by_decomposition(const Tensors& student, const Tensors& teacher) {
  const int64_t n = student[0].size(0);
  double total = 0;
  for (int64_t b = 0; b < n; ++b) {
    std::vector<double> s_before, t_before;
    for (size_t level = 0; level < student.size(); ++level) {
      const auto rows = [&](const Tensor& map) {
        const size_t c = static_cast<size_t>(map.size(3));
        const std::vector<double> flat = map.rows(b, b + 1).to_vector<double>();
        Matrix x;
        for (size_t at = 0; at < flat.size(); at += c)
          x.emplace_back(flat.begin() + static_cast<long>(at),
                         flat.begin() + static_cast<long>(at + c));
        return x;
      };
      std::vector<double> t = right_vectors(rows(teacher[level]))[0];
      if (std::accumulate(t.begin(), t.end(), 0.0) < 0)
        for (double& x : t) x = -x;
      Matrix candidates = right_vectors(rows(student[level]));
      candidates.resize(std::min<size_t>(4, candidates.size()));
      std::vector<double> s = *std::max_element(
          candidates.begin(), candidates.end(),
          [&](const auto& x, const auto& y) { return std::abs(dot(x, t)) < std::abs(dot(y, t)); });
      if (dot(s, t) < 0)
        for (double& x : s) x = -x;
      for (size_t i = 0; level > 0 && i < s.size(); ++i)
        for (size_t j = 0; j < s_before.size(); ++j) {
          const auto k = [](double d) { return std::exp(-d * d / 8); };
          const double difference = k(s[i] - s_before[j]) - k(t[i] - t_before[j]);
          total += difference * difference;
        }
      s_before = s, t_before = t;
    }
  }
  return total / static_cast<double>(n);
}

/// Maps with well separated singular values: sums of few patterns and little noise.
Tensor separated(int64_t c, int64_t side, uint64_t seed) {
  const Tensor noise = random_input({2, c, side, side}, seed);
  const Tensor map = Tensor::empty(noise.shape(), DType::f64);
  for (int64_t i = 0; i < map.numel(); ++i) {
    const int64_t channel = i % c, pixel = i / c;
    double value = 0.02 * noise.at(i);
    for (int64_t k = 0; k < 4; ++k)
      value += std::pow(0.4, static_cast<double>(k)) *
               std::cos(0.7 * static_cast<double>((k + 1) * pixel) + static_cast<double>(seed)) *
               std::cos(1.3 * static_cast<double>((k + 1) * channel) + 0.2);
    map.data<double>()[i] = value;
  }
  return map;
}

TEST(Kdsvd, AgreesWithTheDecompositionInValueAndGradient) {
  // 5 channels over 16 pixels (by right vectors), 6 over 4 (by left ones).
  const Tensors student{separated(5, 4, 1), separated(6, 2, 2)},
      teacher{separated(5, 4, 3), separated(6, 2, 4)};
  NamedSettings settings = default_method_settings();
  SetField<int64_t>(settings.at("kdsvd"), "squarings", int64_t{9});
  const auto method = create_method("kdsvd", settings);
  Variables s{Variable(student[0], true), Variable(student[1], true)},
      t{Variable(teacher[0]), Variable(teacher[1])};
  prepare(*method, features_with_maps(s), features_with_maps(t));
  const Variable loss = distill(*method, features_with_maps(s), features_with_maps(t));
  const double expected = kdsvd_by_decomposition(student, teacher);
  EXPECT_GT(expected, 1e-4);
  EXPECT_NEAR(loss.item(), expected, 1e-6 * expected);
  loss.backward();
  for (size_t level = 0; level < 2; ++level)
    for (const int64_t i : {int64_t{0}, int64_t{7}, int64_t{23}, int64_t{40}}) {
      const auto moved = [&](double by) {
        Tensors inputs{student[0].clone(), student[1].clone()};
        inputs[level].data<double>()[i] += by;
        return kdsvd_by_decomposition(inputs, teacher);
      };
      const double numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
      EXPECT_NEAR(s[level].grad().at(i), numeric, 1e-6 + 1e-4 * std::abs(numeric))
          << "level " << level << " element " << i;
    }
}

TEST(Kdsvd, Gradients) {
  expect_method_gradients(*bare("kdsvd"), features_with_maps,
                          {separated(5, 4, 1), separated(6, 2, 2)},
                          {separated(5, 4, 3), separated(6, 2, 4)});
}

TEST(Kdsvd, MapsThatAreZeroHaveNoGradient) {
  const auto method = bare("kdsvd");
  const Variables zero{Variable(Tensor::zeros({2, 4, 4, 5}), true),
                       Variable(Tensor::zeros({2, 2, 2, 6}), true)},
      t{Variable(separated(5, 4, 3).to(DType::f32)), Variable(separated(6, 2, 4).to(DType::f32))};
  const Variable loss = distill(*method, features_with_maps(zero), features_with_maps(t));
  EXPECT_TRUE(std::isfinite(loss.item()));
  loss.backward();
  for (const Variable& v : zero)
    for (const float g : v.grad().to_vector<float>()) EXPECT_EQ(g, 0);
}

}  // namespace
}  // namespace limbeck::kd
