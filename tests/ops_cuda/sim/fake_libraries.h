// The stand-ins of tests/ops_cuda/fake/, which this test program opens as cuBLAS and cuDNN unless
// the environment names others.
#pragma once
#include "tests/ops_cuda/fake/fake.h"

namespace limbeck {

fake::State& fake_cublas();
fake::State& fake_cudnn();

}  // namespace limbeck
