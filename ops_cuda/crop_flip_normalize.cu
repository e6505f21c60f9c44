// crop_flip_normalize: bytes of a batch to standardised floats, cropped and flipped; contract in
// ops/crop_flip_normalize.cpp.
//   y[n,h,w,c] = (b / 255 - mean_c) / deviation_c,  b = images[n, h + dy, (flip ? W-1-w : w) + dx,
//                                                   c], 0 outside the image
// images u8 [N,H,W,C], draws i32 [N,3], mean and deviation T [C], y T [N,H,W,C] (overwritten).
// Deterministic; both kernels give the bits of the host's conversion, because division rounds alike
// everywhere and nothing can be contracted. Bytes: 1 read + sizeof(T) written an element, 3 FLOPs.
// Source: torchvision's transforms.
//
// Naive: a thread per element, two divisions each. Tuned: the store is what costs, so a thread
// writes 16 bytes, finds its place with one chain of integer divisions for four elements, and looks
// the value up: a block computes the 256 results of each channel once into shared memory (1 KiB a
// channel) and then walks over many elements.
#include <algorithm>

#include "ops_cuda/launch.h"
#include "ops_cuda/register.h"

namespace limbeck::cuda {
namespace {

struct Sizes {
  int64_t n;  // elements
  int H, W, C;
};

/// Where an element is: walks in memory order.
struct Place {
  int64_t image;
  int h, w, c;
  __device__ Place(int64_t i, const Sizes& s) {
    c = static_cast<int>(i % s.C), i /= s.C;
    w = static_cast<int>(i % s.W), i /= s.W;
    h = static_cast<int>(i % s.H), image = i / s.H;
  }
  __device__ void next(const Sizes& s) {
    if (++c < s.C) return;
    c = 0;
    if (++w < s.W) return;
    w = 0;
    if (++h < s.H) return;
    h = 0, ++image;
  }
};

/// The byte that is shown there.
__device__ uint8_t byte_at(const uint8_t* images, const int32_t* draws, const Place& p,
                           const Sizes& s) {
  const int32_t* draw = draws + p.image * 3;
  const int h = p.h + draw[0], w = (draw[2] ? s.W - 1 - p.w : p.w) + draw[1];
  if (h < 0 || h >= s.H || w < 0 || w >= s.W) return 0;
  return images[((p.image * s.H + h) * s.W + w) * s.C + p.c];
}

template <class T>
__global__ void crop_flip_naive(const uint8_t* images, const int32_t* draws, const T* mean,
                                const T* deviation, T* y, Sizes s) {
  const int64_t i = global_index();
  if (i >= s.n) return;
  const Place p(i, s);
  y[i] = (static_cast<T>(byte_at(images, draws, p, s)) / T(255) - mean[p.c]) / deviation[p.c];
}

constexpr int most_channels = 16;  // the table of 16 KiB lets several blocks share an SM
constexpr int per_thread = 4, threads = 256;

__global__ void crop_flip_by_table(const uint8_t* images, const int32_t* draws, const float* mean,
                                   const float* deviation, float* y, Sizes s) {
  SHARED_DYN(float, table);
  for (int k = static_cast<int>(threadIdx.x); k < 256 * s.C; k += threads)
    table[k] = (static_cast<float>(k % 256) / 255.0f - mean[k / 256]) / deviation[k / 256];
  __syncthreads();
  const int64_t step = static_cast<int64_t>(gridDim.x) * threads * per_thread;
  for (int64_t first = global_index() * per_thread; first < s.n; first += step) {
    Place p(first, s);
    if (first + per_thread <= s.n) {
      Vector<float, per_thread> v;
      for (int k = 0; k < per_thread; ++k, p.next(s))
        v[k] = table[p.c * 256 + byte_at(images, draws, p, s)];
      store_vector(y + first, v);
    } else {
      for (int64_t i = first; i < s.n; ++i, p.next(s))
        y[i] = table[p.c * 256 + byte_at(images, draws, p, s)];
    }
  }
}

Sizes sizes_of(const Tensor& images) {
  return {images.numel(), static_cast<int>(images.size(1)), static_cast<int>(images.size(2)),
          static_cast<int>(images.size(3))};
}

template <class T>
void forward(const ForwardCall& call) {
  const Sizes s = sizes_of(call.in[0]);
  if (s.n == 0) return;
  LAUNCH(crop_flip_naive<T>, blocks_for(s.n), 256, 0, stream_of(call.out[0]))
  (call.in[0].data<uint8_t>(), call.in[1].data<int32_t>(), call.in[2].data<T>(),
   call.in[3].data<T>(), call.out[0].data<T>(), s);
}

bool supports(const Tensors& in, const Attrs&) {
  return in[0].defined() && in[0].size(3) <= most_channels;
}

void forward_by_table(const ForwardCall& call) {
  const Sizes s = sizes_of(call.in[0]);
  if (s.n == 0) return;
  // Each block fills its own table, so no more blocks than keep a large GPU busy.
  const int64_t blocks = std::min<int64_t>(ceil_div(s.n, threads * per_thread), 1024);
  LAUNCH(crop_flip_by_table, static_cast<unsigned>(blocks), threads,
         static_cast<size_t>(s.C) * 256 * sizeof(float), stream_of(call.out[0]))
  (call.in[0].data<uint8_t>(), call.in[1].data<int32_t>(), call.in[2].data<float>(),
   call.in[3].data<float>(), call.out[0].data<float>(), s);
}

const RegisterNaive naive("crop_flip_normalize", {forward<float>}, {forward<double>});
const RegisterTuned tuned("crop_flip_normalize", forward_by_table, nullptr, supports);

}  // namespace
}  // namespace limbeck::cuda
