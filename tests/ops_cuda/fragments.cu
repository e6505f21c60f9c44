#include "tests/ops_cuda/fragments.h"

#include <type_traits>

#include "ops_cuda/instructions.h"

namespace limbeck::cuda {
namespace {

__device__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         std::integral_constant<FragmentProduct, FragmentProduct::bf16_k16>) {
  mma_bf16_k16(c, a, b);
}
__device__ void multiply(float (&c)[4], const uint32_t (&a)[2], const uint32_t (&b)[1],
                         std::integral_constant<FragmentProduct, FragmentProduct::bf16_k8>) {
  mma_bf16_k8(c, a, b);
}
__device__ void multiply(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                         std::integral_constant<FragmentProduct, FragmentProduct::tf32_k8>) {
  mma_tf32_k8(c, a, b);
}

template <FragmentProduct product, int A, int B>
__global__ void multiply_kernel(const int32_t* a, const int32_t* b, float* c) {
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t fa[A], fb[B];
  float fc[4];
  for (int i = 0; i < A; ++i) fa[i] = static_cast<uint32_t>(a[lane * A + i]);
  for (int i = 0; i < B; ++i) fb[i] = static_cast<uint32_t>(b[lane * B + i]);
  for (int i = 0; i < 4; ++i) fc[i] = c[lane * 4 + i];
  multiply(fc, fa, fb, std::integral_constant<FragmentProduct, product>());
  for (int i = 0; i < 4; ++i) c[lane * 4 + i] = fc[i];
}

template <bool transposed>
__global__ void load_kernel(const int32_t* x, int32_t* r) {
  SHARED(uint4, rows, [32]);
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 4; ++i) reinterpret_cast<int32_t*>(&rows[lane])[i] = x[lane * 4 + i];
  __syncthreads();
  uint32_t words[4];
  if constexpr (transposed)
    load_matrices_transposed(words, &rows[lane]);
  else
    load_matrices(words, &rows[lane]);
  for (int i = 0; i < 4; ++i) r[lane * 4 + i] = static_cast<int32_t>(words[i]);
}

template <FragmentProduct product, int A, int B>
void launch(const Tensor& a, const Tensor& b, const Tensor& c) {
  LIMBECK_CHECK(a.numel() == 32 * A && b.numel() == 32 * B && c.numel() == 32 * 4,
                "multiply_fragments: sizes");
  LAUNCH((multiply_kernel<product, A, B>), 1, 32, 0, stream_of(c))
  (a.data<int32_t>(), b.data<int32_t>(), c.data<float>());
}

}  // namespace

void multiply_fragments(FragmentProduct product, const Tensor& a, const Tensor& b,
                        const Tensor& c) {
  switch (product) {
    case FragmentProduct::bf16_k16: return launch<FragmentProduct::bf16_k16, 4, 2>(a, b, c);
    case FragmentProduct::bf16_k8: return launch<FragmentProduct::bf16_k8, 2, 1>(a, b, c);
    case FragmentProduct::tf32_k8: return launch<FragmentProduct::tf32_k8, 4, 2>(a, b, c);
  }
}

void load_fragments(bool transposed, const Tensor& x, const Tensor& r) {
  if (transposed)
    LAUNCH(load_kernel<true>, 1, 32, 0, stream_of(r))(x.data<int32_t>(), r.data<int32_t>());
  else
    LAUNCH(load_kernel<false>, 1, 32, 0, stream_of(r))(x.data<int32_t>(), r.data<int32_t>());
}

}  // namespace limbeck::cuda
