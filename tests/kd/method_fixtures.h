// Golden values of the official modules. Inputs: S(k)[i] = k sin(0.37 i + 0.5), T(k)[i] = k
// cos(0.23 i + 0.1) in PyTorch's order; weights 0.2 sin(1.7 i + 0.3), biases 0.05 sin(0.7 i); batch
// norms and log-scales as initialised. Loss and gradient norms to 1e-4.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "autograd/gradcheck.h"
#include "kd/parity_kd.h"
#include "tests/autograd/parameter_gradients.h"
#include "tests/kd/method_settings.h"

namespace limbeck::kd {

/// PyTorch's [N, C, H, W] filled by f(i) in its order, as [N, H, W, C]; [N, C] stays.
template <class F>
Tensor filled(const std::vector<int64_t>& torch_shape, F&& f) {
  Tensor t = Tensor::empty(Shape(torch_shape), DType::f64);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = f(static_cast<double>(i));
  return torch_shape.size() == 4 ? to_channels_last(t) : t;
}
inline Tensor student_input(const std::vector<int64_t>& shape, double k = 1) {
  return filled(shape, [k](double i) { return k * std::sin(0.37 * i + 0.5); });
}
inline Tensor teacher_input(const std::vector<int64_t>& shape, double k = 1) {
  return filled(shape, [k](double i) { return k * std::cos(0.23 * i + 0.1); });
}
/// Without the regularity of the golden inputs, for gradients away from kinks.
inline Tensor random_input(const std::vector<int64_t>& shape, uint64_t seed) {
  Tensor t = Tensor::empty(Shape(shape), DType::f64);
  Stream(seed).fill_normal(t, 0, 1);
  return shape.size() == 4 ? to_channels_last(t) : t;
}
inline void fill_golden(nn::Module& module) {
  module.to(DType::f64);
  TensorFile file = module.state_dict();
  for (auto& [name, t] : file.tensors) {
    const bool norm = name.find("bn") != std::string::npos || name.find("encoder.1.") == 0 ||
                      name.find("encoder.4.") == 0 || name.find("encoder.7.") == 0;
    const bool weight = t.rank() >= 2, bias = !weight && name.ends_with("bias") && !norm;
    if (!weight && !bias) continue;
    for (int64_t i = 0; i < t.numel(); ++i) {
      const double x = static_cast<double>(i);
      t.data<double>()[i] = weight ? 0.2 * std::sin(1.7 * x + 0.3) : 0.05 * std::sin(0.7 * x);
    }
  }
  module.load_state_dict(file);
}

/// The criterion of a method as it registered it for parity, on any inputs.
inline ParityOutcome criterion(const std::string& name, const Variables& student,
                               const Variables& teacher) {
  static const nlohmann::json nothing;
  ParityCase c{name, nothing, "", DType::f64, cpu, fill_golden};
  c.student.all = student, c.teacher.all = teacher;
  return run_parity_case(c);
}

inline double norm(const Tensor& t) {
  double squares = 0;
  for (const double v : t.to_vector<double>()) squares += v * v;
  return std::sqrt(squares);
}
#define EXPECT_GOLDEN(found, golden) EXPECT_NEAR(found, golden, 1e-4 * std::abs(golden))

struct Golden {
  double loss;
  std::vector<double> gradient_norms;  ///< of each input of the student
  double first_gradient = 0;           ///< of the first one; 0: not known
};
inline void expect_golden(const std::string& name, const Tensors& student, const Tensors& teacher,
                          const Golden& golden) {
  Variables s, t;
  for (const Tensor& x : student) s.emplace_back(x, true);
  for (const Tensor& x : teacher) t.emplace_back(x);
  const ParityOutcome outcome = criterion(name, s, t);
  EXPECT_GOLDEN(outcome.loss.item(), golden.loss) << name;
  outcome.loss.backward();
  for (size_t i = 0; i < golden.gradient_norms.size(); ++i)
    EXPECT_GOLDEN(norm(s[i].grad()), golden.gradient_norms[i]) << name << " input " << i;
  if (golden.first_gradient != 0) {
    EXPECT_GOLDEN(s[0].grad().at(0), golden.first_gradient) << name;
  }
}

/// The gradient with respect to the student's inputs.
inline void expect_gradients(const std::string& name, const Tensors& student,
                             const Tensors& teacher) {
  Variables s, t;
  for (const Tensor& x : student) s.emplace_back(x, true);
  for (const Tensor& x : teacher) t.emplace_back(x);
  const auto report = gradcheck([&](const Variables& v) { return criterion(name, v, t).loss; }, s);
  EXPECT_TRUE(report.ok) << name << ": " << report.message;
}

/// The gradient of a method's own term with respect to the student's features and its auxiliary
/// parameters. `features` makes those of a network of its inputs.
inline void expect_method_gradients(Method& method,
                                    const std::function<nn::Features(const Variables&)>& features,
                                    const Tensors& student, const Tensors& teacher) {
  Variables s, t;
  for (const Tensor& x : student) s.emplace_back(x, true);
  for (const Tensor& x : teacher) t.emplace_back(x);
  prepare(method, features(s), features(t));
  if (method.auxiliary()) method.auxiliary()->to(DType::f64);
  const auto report =
      gradcheck([&](const Variables& v) { return distill(method, features(v), features(t)); }, s);
  EXPECT_TRUE(report.ok) << report.message;
  if (method.auxiliary())
    test::expect_parameter_gradients(
        *method.auxiliary(), [&] { return distill(method, features(s), features(t)); }, 20);
}

/// A method alone, its own term with weight 1.
inline std::unique_ptr<Method> bare(const std::string& name) {
  NamedSettings settings = default_method_settings();
  SetField<double>(settings.at(name), "soft_weight", 0.0);
  SetField<double>(settings.at(name), "weight", 1.0);
  return create_method(name, settings);
}

/// What prepare() says of a pair; empty when it takes it.
inline std::string refusal(const std::string& name, const nn::Features& student,
                           const nn::Features& teacher) {
  try {
    prepare(*create_method(name), student, teacher);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
#define EXPECT_REFUSAL(text, ...) \
  EXPECT_NE(refusal(__VA_ARGS__).find(text), std::string::npos) << refusal(__VA_ARGS__)

}  // namespace limbeck::kd
