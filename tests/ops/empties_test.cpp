// Tensors without elements on the CPU: tests/ops/empties.h.
#include "tests/ops/empties.h"

namespace limbeck {
namespace {

TEST(Empties, EveryCpuKernelDoesAsTheDefinition) {
  int ran = 0;
  for (const Op* op : all_ops())
    for (const Kernel& kernel : implementations(*op))
      if (kernel.device == DeviceKind::cpu) ran += expect_empties_as_defined(*op, kernel);
  EXPECT_GT(ran, 100);
}

TEST(Empties, Reductions) {
  for (const char* name : {"sum", "mean", "max", "var"}) {
    for (const DType type : {DType::f32, DType::f64})
      expect_empty_reductions(reference_kernel(find_op(name), type));
    for (const Kernel& kernel : implementations(find_op(name)))
      if (kernel.device == DeviceKind::cpu) expect_empty_reductions(kernel);
  }
}

}  // namespace
}  // namespace limbeck
