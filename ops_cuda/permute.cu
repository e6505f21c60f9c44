// permute and channel_shuffle: rearrangements; contract in ops/permute.cpp.
//   permute:          y.dim(i) = x.dim(order[i]);             dx = permute(dy, inverse order)
//   channel_shuffle:  y[.., i g + j] = x[.., j C/g + i];      dx = channel_shuffle(dy, C/g)
// x, y: any element type, moved as words of its size; y is overwritten. One thread per element of
// y, which reads x at a stride (the reads of a warp do not coalesce where the last dimension
// moves). Where it stays, words of up to 16 bytes. channel_shuffle, where channels are a multiple
// of 16 bytes: a thread collects 16 bytes of y, with two divisions for all of them. No shared
// memory; deterministic. Bytes: 2 an element and byte; no FLOPs. Source: elementary; Zhang et al.,
// ShuffleNet, CVPR 2018, section 3.1.
#include <algorithm>

#include "ops_cuda/index.h"
#include "ops_cuda/register.h"
#include "ops_cuda/words.h"

namespace limbeck::cuda {
namespace {

template <class Word>
__global__ void permute_kernel(const Word* x, Nest at, Word* y, int64_t n) {
  const int64_t i = global_index();
  if (i < n) y[i] = x[at.at(i)];
}

template <class Word>
void launch_permute(const Tensor& x, const Nest& at, const Tensor& y) {
  const int64_t n = y.bytes() / static_cast<int64_t>(sizeof(Word));
  LAUNCH(permute_kernel<Word>, blocks_for(n), 256, 0, stream_of(y))
  (words<Word>(x), at, words<Word>(y), n);
}

/// `at` in elements; in wider words where runs of elements stay together.
void rearrange(const Tensor& x, Nest at, const Tensor& y) {
  if (y.numel() == 0) return;
  const int last = at.rank - 1;
  int64_t elements = 1;
  if (at.rank > 0 && at.stride[last] == 1) {
    const int64_t size = size_of(y.dtype());
    int64_t word = widest_word({at.size[last] * size}, {&x, &y});
    for (int d = 0; d < last; ++d) word = std::min(word, widest_word({at.stride[d] * size}, {}));
    elements = word / size;
    at.size[last] /= elements;
    for (int d = 0; d < last; ++d) at.stride[d] /= elements;
  }
  dispatch_words(elements * size_of(y.dtype()),
                 [&](auto w) { launch_permute<decltype(w)>(x, at, y); });
}

void permute(const Tensor& x, const Tensor& y, const std::vector<int64_t>& order) {
  Nest at;
  for (const int64_t d : order)
    at.add(x.size(static_cast<int>(d)), x.shape().numel(static_cast<int>(d) + 1, x.rank()));
  rearrange(x, at, y);
}

void permute_forward(const ForwardCall& c) {
  permute(c.in[0], c.out[0], c.attrs.integers("order"));
}
void permute_backward(const BackwardCall& c) {
  if (!c.din[0].defined()) return;
  const std::vector<int64_t> order = c.attrs.integers("order");
  std::vector<int64_t> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  permute(c.dout[0], c.din[0], inverse);
}

template <class Word>
__global__ void shuffle_kernel(const Word* x, Word* y, int64_t n, int32_t groups,
                               int32_t per_group) {
  constexpr int V = 16 / sizeof(Word);
  const int64_t first = global_index() * V, channels = int64_t{groups} * per_group;
  if (first >= n) return;
  const int64_t row = first / channels * channels;
  int32_t i = static_cast<int32_t>(first - row) / groups,
          j = static_cast<int32_t>(first - row) % groups;
  Vector<Word, V> value;
  for (int v = 0; v < V; ++v) {
    value[v] = x[row + int64_t{j} * per_group + i];
    if (++j == groups) j = 0, ++i;
  }
  store_vector(y + first, value);
}

template <class Word>
void launch_shuffle(const Tensor& x, const Tensor& y, int64_t groups) {
  LAUNCH(shuffle_kernel<Word>, blocks_for(y.bytes() / 16), 256, 0, stream_of(y))
  (words<Word>(x), words<Word>(y), y.numel(), static_cast<int32_t>(groups),
   static_cast<int32_t>(y.size(-1) / groups));
}

void shuffle(const Tensor& x, const Tensor& y, int64_t groups) {
  if (x.numel() == 0) return;
  const int64_t channels = x.size(-1);
  if (channels < (int64_t{1} << 31) && widest_word({channels * size_of(x.dtype())}, {&y}) == 16) {
    dispatch_words(x.dtype(), [&](auto w) { launch_shuffle<decltype(w)>(x, y, groups); });
    return;
  }
  Nest at;
  at.add(x.numel() / channels, channels);
  at.add(channels / groups, 1);
  at.add(groups, channels / groups);
  rearrange(x, at, y);
}

void shuffle_forward(const ForwardCall& c) {
  shuffle(c.in[0], c.out[0], c.attrs.integer("groups", 1));
}
void shuffle_backward(const BackwardCall& c) {
  if (c.din[0].defined() && c.dout[0].numel() > 0)
    shuffle(c.dout[0], c.din[0], c.dout[0].size(-1) / c.attrs.integer("groups", 1));
}

const RegisterNaive permute_op("permute", {permute_forward, permute_backward});
const RegisterNaive shuffle_op("channel_shuffle", {shuffle_forward, shuffle_backward});
const RegisterTuned permute_bf16("permute", permute_forward, permute_backward, nullptr,
                                 DType::bf16);
const RegisterTuned shuffle_bf16("channel_shuffle", shuffle_forward, shuffle_backward, nullptr,
                                 DType::bf16);

}  // namespace
}  // namespace limbeck::cuda
