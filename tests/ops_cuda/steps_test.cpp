// Steps of many tensors in one launch have the bits of the steps of one tensor.
#include "ops/steps.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tensor/random.h"
#include "tests/ops_cuda/orders.h"

namespace limbeck {
namespace {

constexpr Device device{DeviceKind::cuda};

// More tensors than one launch takes; sizes with and without a tail, empty, of several blocks, and
// a slice whose address suits no vector.
std::vector<Tensors> random_lists(size_t arrays, uint64_t seed) {
  const int64_t sizes[] = {1, 4, 0, 37, 1024, 5, 4096, 1023, 2500, 64};
  std::vector<Tensors> lists;
  for (uint64_t i = 0; i < 70; ++i) {
    Tensors tensors;
    for (size_t a = 0; a < arrays; ++a) {
      const bool sliced = i == 7;
      const Tensor t = Tensor::empty({sizes[i % 10] + sliced});
      Stream(seed).fork("list", i * 8 + a).fill_uniform(t, a == 3 ? 0.1f : -1.0f, 1);
      const Tensor there = t.to(device);
      tensors.push_back(sliced ? there.rows(1, there.size(0)) : there);
    }
    lists.push_back(tensors);
  }
  return lists;
}

void expect_equal_bits(const std::string& op_name, size_t arrays, const Tensor& scalars,
                       const Attrs& attrs) {
  const Op& op = find_op(op_name);
  const auto one_by_one = random_lists(arrays, 1);
  for (Tensors in : one_by_one) {
    in.push_back(scalars);
    run_forward(op, in, attrs);
  }
  const auto compare = [&](const char* order) {
    const auto together = random_lists(arrays, 1);
    const uint64_t version = together[0][0].version();
    run_steps(op, together, scalars, attrs);
    EXPECT_GT(together[0][0].version(), version) << "changed tensors must say so";
    for (size_t i = 0; i < together.size(); ++i)
      for (size_t a = 0; a < arrays; ++a) {
        const Tensor x = together[i][a].to(cpu), y = one_by_one[i][a].to(cpu);
        EXPECT_TRUE(x.bytes() == 0 || std::memcmp(x.raw(), y.raw(), size_t(x.bytes())) == 0)
            << op_name << ", " << order << " order: array " << a << " of tensor " << i << ", "
            << x.shape();
      }
  };
  compare("default");
  for_each_order(compare);
}

Tensor on_device(const std::vector<float>& values) { return Tensor::of(values).to(device); }

TEST(CudaSteps, Sgd) {
  expect_equal_bits(
      "sgd_step", 3, on_device({0.05f}),
      {{"momentum", 0.9}, {"weight_decay", 5e-4}, {"nesterov", true}, {"first", false}});
}
TEST(CudaSteps, Adam) {
  expect_equal_bits("adam_step", 4, on_device({2e-4f, 3}),
                    {{"beta1", 0.5}, {"beta2", 0.999}, {"eps", 1e-8}});
  expect_equal_bits("adam_step", 4, on_device({2e-4f, 3}),
                    {{"weight_decay", 0.1}, {"decoupled", true}});
}
TEST(CudaSteps, Ema) { expect_equal_bits("ema_step", 2, on_device({0.999f}), {}); }

TEST(CudaSteps, WrongShapesAreNamed) {
  const Tensor a = Tensor::zeros({3}).to(device), b = Tensor::zeros({4}).to(device);
  EXPECT_THROW(run_steps(find_op("ema_step"), {{a, a}, {a, b}}, on_device({0.5f}), {}), Error);
}

}  // namespace
}  // namespace limbeck
