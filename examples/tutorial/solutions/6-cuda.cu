// Exercise 6: a row turned round through shared memory, with and without the barrier, in three
// orders of threads.
#include <cmath>
#include <cstdio>

#include "ops_cuda/launch.h"

using namespace limbeck;
using namespace limbeck::cuda;

namespace {

constexpr int size = 64;

template <bool with_barrier>
__global__ void reverse(const float* x, float* y) {
  SHARED(float, row, [size]);
  const int i = static_cast<int>(threadIdx.x);
  row[i] = x[i];
  if constexpr (with_barrier) __syncthreads();
  y[i] = row[size - 1 - i];
}

template <bool with_barrier>
int wrong_elements(simt::Order order) {
  simt::set_order(order);
  constexpr Device gpu{DeviceKind::cuda};
  const Tensor x = Tensor::empty({size});
  for (int i = 0; i < size; ++i) x.data<float>()[i] = static_cast<float>(i);
  const Tensor in = x.to(gpu), out = Tensor::empty({size}, DType::f32, gpu);
  LAUNCH(reverse<with_barrier>, 1, size, 0, stream_of(out))(in.data<float>(), out.data<float>());
  const Tensor y = out.to(cpu);
  int wrong = 0;
  for (int i = 0; i < size; ++i) wrong += y.at(i) != size - 1 - i;  // NaN: nobody wrote it yet
  return wrong;
}

}  // namespace

int main() {
  for (const simt::Order order :
       {simt::Order::forward, simt::Order::reverse, simt::Order::warp_depth_first})
    std::printf("%-16s with the barrier %2d of %d wrong, without it %2d\n", name_of(order),
                wrong_elements<true>(order), size, wrong_elements<false>(order));
}
