// Trainings with settings of their own on one device (ops/execution.h), in one thread and in two:
// steps as usual, recorded and replayed.
#include "tests/train/trainings.h"

namespace limbeck {
namespace {

constexpr Device gpu{DeviceKind::cuda, 0};

Execution in(Precision products, DType activations) {
  Execution e;
  e.products = products;
  e.activations = activations;
  return e;
}

TEST(CudaExecution, TwoTrainingsHaveTheBitsOfEachAlone) {
  expect_the_bits_of_each_alone(gpu, in(Precision::f32, DType::f32),
                                in(Precision::bf16, DType::bf16));
}

}  // namespace
}  // namespace limbeck
