#include "tests/gan/fixture.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tensor/random.h"

namespace limbeck::test {
namespace {

/// u in [0, 1) of element i of the tensor with this name hash (SplitMix64's mixer).
double uniform_at(uint64_t hash, uint64_t i) {
  uint64_t x = hash + i + 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  x ^= x >> 31;
  return static_cast<double>(x >> 40) * 0x1p-24;
}

void scale_in_place(const Tensor& t, double factor) {
  for (double& v : t.span<double>()) v *= factor;
}

double l2_of(const Tensor& t) {
  double total = 0;
  for (int64_t i = 0; i < t.numel(); ++i) total += t.at(i) * t.at(i);
  return std::sqrt(total);
}

bool one_of(const std::string& s, std::initializer_list<const char*> names) {
  for (const char* n : names)
    if (s == n) return true;
  return false;
}

Tensor filled_state(const std::string& key, const Shape& shape) {
  const std::string last = key.substr(key.rfind('.') + 1);
  const uint64_t hash = fnv1a(key);
  const Tensor t = filled_input(key, shape);
  if (last == "num_batches_tracked") t.fill(0);
  else if (one_of(last, {"running_mean", "stored_mean"})) scale_in_place(t, 0.1);
  else if (one_of(last, {"running_var", "stored_var"}))
    for (int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = 1 + 0.5 * uniform_at(hash, static_cast<uint64_t>(i));
  else if (one_of(last, {"weight_u", "weight_v", "u0"})) scale_in_place(t, 1 / l2_of(t));
  else if (last == "sv0") t.fill(1);
  else if (one_of(last, {"sigma", "gamma"})) t.fill(0.5);
  else if (shape.rank() >= 2) scale_in_place(t, std::sqrt(3.0 / static_cast<double>(shape.numel(1, shape.rank()))));
  else if (one_of(last, {"weight", "gain"}))
    for (double& v : t.span<double>()) v = 1 + 0.1 * v;
  else if (last == "bias") scale_in_place(t, 0.1);
  return t;
}

}  // namespace

Json read_fixture(const std::string& name) { return Json::parse(read_file("tests/data/fixtures/" + name)); }

Tensor filled_input(const std::string& name, const Shape& shape, double scale) {
  const Tensor t = Tensor::empty(shape, DType::f64);
  const uint64_t hash = fnv1a(name);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<double>()[i] = scale * (2 * uniform_at(hash, static_cast<uint64_t>(i)) - 1);
  return t;
}

void fill_state(nn::Module& module) {
  TensorFile file;
  for (const auto& [name, tensor] : module.state_dict().tensors) file.add(name, filled_state(name, tensor.shape()));
  module.load_state_dict(file, "fixture");
}

void expect_summary(const Tensor& t, const Json& expected, const std::string& what, double tolerance, double zero) {
  ASSERT_EQ(t.numel(), expected["n"].get<int64_t>()) << what;
  const double l2 = expected["l2"], loose = 100 * tolerance;
  double sum = 0;
  for (int64_t i = 0; i < t.numel(); ++i) sum += t.at(i);
  EXPECT_NEAR(l2_of(t), l2, tolerance * l2 + zero) << what << ": l2";
  EXPECT_NEAR(sum, expected["sum"].get<double>(), loose * (std::abs(expected["sum"].get<double>()) + l2) + zero * std::sqrt(t.numel())) << what << ": sum";
  const double typical = l2 / std::sqrt(static_cast<double>(t.numel()));
  for (size_t i = 0; i < expected["first"].size(); ++i) {
    const double e = expected["first"][i];
    EXPECT_NEAR(t.at(static_cast<int64_t>(i)), e, loose * (std::abs(e) + typical) + zero) << what << ": element " << i;
  }
}

}  // namespace limbeck::test
