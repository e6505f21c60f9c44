// One warp's tensor-core product and ldmatrix, with the registers of every lane as data:
// tests/ops_cuda/fragments_test.cpp.
#pragma once
#include "tensor/tensor.h"

namespace limbeck::cuda {

enum class FragmentProduct { bf16_k16, bf16_k8, tf32_k8 };

/// a [32, registers] and b [32, registers] i32 words, c [32, 4] f32: the registers of each lane; c
/// += a b. On the device cuda.
void multiply_fragments(FragmentProduct product, const Tensor& a, const Tensor& b, const Tensor& c);
/// x [32, 4] i32: 32 rows of eight 16-bit values, lane i passes the address of row i; r [32, 4]
/// i32: what each lane receives.
void load_fragments(bool transposed, const Tensor& x, const Tensor& r);

}  // namespace limbeck::cuda
