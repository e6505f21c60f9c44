// Dropout; contract in ops/dropout.cpp.
//   forward  y[i] = u[i] >= p ? x[i] / (1 - p) : 0     backward  dx[i] = u[i] >= p ? dy[i] / (1 -
//                                                      p) : 0
// u[i] is word i % 4 of Philox block rng[1] + i / 4 under key rng[0], read on the device: a
// captured graph replays with new numbers. x, y, dy, dx [n], rng i64 [2]; y and dx are overwritten.
// The bits are the CPU's; the mask is drawn again in backward, never stored. Threads: one per
// Philox block of four elements; tuned (f32, bf16 with arithmetic in float): a 16- or 8-byte access
// for each block, 16 bytes a thread. No shared memory. Bytes: 2 sizeof(T) an element, and about 10
// multiplications. Deterministic. Source: Srivastava et al. 2014; Salmon et al. 2011 (Philox).
#include "ops_cuda/elements.h"
#include "ops_cuda/pointers.h"
#include "ops_cuda/register.h"
#include "tensor/philox.h"

namespace limbeck::cuda {
namespace {

struct Mask {
  float p;
  double scale;
  explicit Mask(const Attrs& attrs)
      : p(static_cast<float>(attrs.number("p", 0.5))),
        scale(attrs.number("p", 0.5) < 1 ? 1 / (1 - attrs.number("p", 0.5)) : 0) {}
  __device__ static PhiloxBlock bits(const int64_t* rng, int64_t block) {
    return philox(static_cast<uint64_t>(rng[0]),
                  static_cast<uint64_t>(rng[1]) + static_cast<uint64_t>(block));
  }
  template <class T>
  __device__ T operator()(uint32_t bits, T x) const {
    return uniform_from_bits(bits) >= p ? x * static_cast<T>(scale) : T(0);
  }
};

template <class T>
__global__ void naive(const T* x, T* y, const int64_t* rng, int64_t n, Mask mask) {
  const int64_t block = global_index();
  if (block * 4 >= n) return;
  const PhiloxBlock bits = Mask::bits(rng, block);
  for (int64_t i = block * 4; i < n && i < block * 4 + 4; ++i)
    y[i] = mask(bits[static_cast<size_t>(i % 4)], x[i]);
}

template <class S>
__global__ void tuned(const S* x, S* y, const int64_t* rng, int64_t n, bool vectors, Mask mask) {
  constexpr int V = per_thread<S>;
  const Chunk<V> chunk(n, vectors);
  if (chunk.first >= n) return;
  for (int64_t first = chunk.first; first < chunk.end; first += 4) {
    const PhiloxBlock bits = Mask::bits(rng, first / 4);
    if (chunk.whole) {
      auto value = load_floats<4>(x + first);
      for (int i = 0; i < 4; ++i) value[i] = mask(bits[static_cast<size_t>(i)], value[i]);
      store_floats(y + first, value);
    } else {
      for (int i = 0; i < 4 && first + i < n; ++i)
        y[first + i] = S(mask(bits[static_cast<size_t>(i)], static_cast<float>(x[first + i])));
    }
  }
}

template <class T>
void launch(const Tensor& from, const Tensor& rng, const Attrs& attrs, const Tensor& to) {
  if (from.numel() == 0) return;
  LAUNCH(naive<T>, blocks_for(ceil_div(from.numel(), 4)), 256, 0, stream_of(from))
  (from.data<T>(), to.data<T>(), rng.data<int64_t>(), from.numel(), Mask(attrs));
}

template <class S>
void launch_tuned(const Tensor& from, const Tensor& rng, const Attrs& attrs, const Tensor& to) {
  const int64_t n = from.numel();
  if (n == 0) return;
  const S* x = from.data<S>();
  S* y = to.data<S>();
  LAUNCH(tuned<S>, blocks_for_chunks<S>(n), 256, 0, stream_of(from))
  (x, y, rng.data<int64_t>(), n, aligned_for(4, x, y), Mask(attrs));
}

template <class T>
void forward(const ForwardCall& c) {
  launch<T>(c.in[0], c.in[1], c.attrs, c.out[0]);
}
template <class T>
void backward(const BackwardCall& c) {
  if (c.din[0].defined()) launch<T>(c.dout[0], c.in[1], c.attrs, c.din[0]);
}
template <class S>
void forward_tuned(const ForwardCall& c) {
  launch_tuned<S>(c.in[0], c.in[1], c.attrs, c.out[0]);
}
template <class S>
void backward_tuned(const BackwardCall& c) {
  if (c.din[0].defined()) launch_tuned<S>(c.dout[0], c.in[1], c.attrs, c.din[0]);
}

const RegisterNaive dropout("dropout", LIMBECK_TYPES(forward, backward));
const RegisterTuned dropout_tuned("dropout", forward_tuned<float>, backward_tuned<float>);
const RegisterTuned dropout_bf16("dropout", forward_tuned<bfloat16>, backward_tuned<bfloat16>,
                                 nullptr, DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
