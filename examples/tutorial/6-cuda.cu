// Station 6: a convolution on the device cuda, tile by tile, and which thread computed what.
//   y[r, c] = sum over i, j of x[r + i - 1, c + j - 1] w[i, j], one image, one channel
#include <cmath>
#include <cstdio>

#include "autograd/functions.h"
#include "ops_cuda/launch.h"

using namespace limbeck;
using namespace limbeck::cuda;

namespace {

constexpr int tile_rows = 4, tile_columns = 16, threads = tile_rows * tile_columns;

__global__ void tiled_convolution(const float* x, const float* w, float* y, int* who, int height,
                                  int width) {
  SHARED(float, tile, [tile_rows + 2][tile_columns + 2]);
  const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
  const int top = static_cast<int>(blockIdx.y) * tile_rows,
            left = static_cast<int>(blockIdx.x) * tile_columns;
  for (int k = thread; k < (tile_rows + 2) * (tile_columns + 2); k += threads) {
    const int i = k / (tile_columns + 2), j = k % (tile_columns + 2);
    const int r = top + i - 1, c = left + j - 1;
    tile[i][j] = r >= 0 && r < height && c >= 0 && c < width ? x[r * width + c] : 0;
  }
  __syncthreads();  // others have written what this thread reads
  const int row = thread / tile_columns, column = thread % tile_columns;
  float sum = 0;
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) sum += tile[row + i][column + j] * w[3 * i + j];
  const int r = top + row, c = left + column;
  if (r >= height || c >= width) return;
  y[r * width + c] = sum;
  const int block = static_cast<int>(blockIdx.y * gridDim.x + blockIdx.x);
  who[r * width + c] = 10000 * block + 100 * warp + lane;
}

Tensor random(const Shape& shape, uint64_t seed) {
  const Tensor t = Tensor::empty(shape);
  Stream(seed).fill_uniform(t, -1, 1);
  return t;
}

}  // namespace

int main() {
  constexpr int height = 8, width = 32;
  constexpr Device gpu{DeviceKind::cuda};
  const Tensor x = random({1, height, width, 1}, 1), w = random({1, 3, 3, 1}, 2);
  const Tensor y = Tensor::empty(x.shape(), DType::f32, gpu),
               who = Tensor::empty({height, width}, DType::i32, gpu), on_device = x.to(gpu),
               filter = w.to(gpu);
  const dim3 grid(width / tile_columns, height / tile_rows);
  LAUNCH(tiled_convolution, grid, threads, 0, stream_of(y))
  (on_device.data<float>(), filter.data<float>(), y.data<float>(), who.data<int>(), height, width);

  const Tensor expected = conv2d(x, w, {}, {.padding = {1, 1}}).data(), found = y.to(cpu),
               owners = who.to(cpu);
  double worst = 0;
  for (int64_t i = 0; i < y.numel(); ++i)
    worst = std::max(worst, std::abs(found.at(i) - expected.at(i)));
  std::printf("%u x %u blocks of %d threads; as conv2d on the CPU: %s\n", grid.y, grid.x, threads,
              worst < 1e-5 ? "yes" : "no");
  for (int r = 0; r < height; ++r) {
    std::printf("row %d:", r);
    for (int c = 0; c < width; c += tile_columns) {
      const int first = owners.data<int>()[r * width + c],
                last = owners.data<int>()[r * width + c + tile_columns - 1];
      std::printf("  block %d warp %d lanes %2d to %2d", first / 10000, first / 100 % 100,
                  first % 100, last % 100);
    }
    std::printf("\n");
  }
}
