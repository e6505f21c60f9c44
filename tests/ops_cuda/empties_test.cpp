// Tensors without elements on the device cuda: tests/ops/empties.h.
#include "tests/ops/empties.h"

namespace limbeck {
namespace {

std::vector<Kernel> cuda_kernels(const Op& op) {
  std::vector<Kernel> list;
  for (const Kernel* k : kernels_of(op.name))
    if (k->device == DeviceKind::cuda && (!k->missing || k->missing().empty())) list.push_back(*k);
  return list;
}

TEST(CudaEmpties, EveryKernelDoesAsTheDefinition) {
  int ran = 0;
  for (const Op* op : all_ops())
    for (const Kernel& kernel : cuda_kernels(*op)) ran += expect_empties_as_defined(*op, kernel);
  EXPECT_GT(ran, 100);
}

TEST(CudaEmpties, Reductions) {
  for (const char* name : {"sum", "mean", "max", "var"})
    for (const Kernel& kernel : cuda_kernels(find_op(name))) expect_empty_reductions(kernel);
}

}  // namespace
}  // namespace limbeck
