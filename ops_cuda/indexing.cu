// index_select and embedding; contract in ops/indexing.cpp.
//   y[j, :] = x[index[j], :];     dx[i, :] = sum of dy[j, :] over the j with index[j] = i, in the
//                                 order of j
// x [rows, row], index i64 [m], y [m, row]; outputs are overwritten. One thread per element
// written, or for whole rows per word of up to 16 bytes (index_select also in bf16, with sums in
// float). The gradient of a row reads all indices instead of adding with atomics: m rows * row
// index reads from the cache, the same bits in every run. No shared memory. Bytes: 2 sizeof(T) an
// element of y, and 8 an index. An index outside x is reported (ops_cuda/fault.h). Source:
// elementary.
#include "ops_cuda/fault.h"
#include "ops_cuda/long_sum.h"
#include "ops_cuda/register.h"
#include "ops_cuda/words.h"

namespace limbeck::cuda {
namespace {

template <class Word>
__global__ void select_rows_kernel(const Word* x, int64_t rows, int64_t row, const int64_t* index,
                                   Word* y, int64_t n, FaultReport fault) {
  const int64_t i = global_index();
  if (i >= n) return;
  const int64_t j = i / row;
  if (in_range(fault, j, index[j], rows)) y[i] = x[index[j] * row + i % row];
}

template <class Word>
void launch_select_rows(const char* op, const Tensor& x, int64_t row_bytes, const Tensor& index,
                        const Tensor& y) {
  constexpr int64_t word = sizeof(Word);
  LAUNCH(select_rows_kernel<Word>, blocks_for(y.bytes() / word), 256, 0, stream_of(y))
  (words<Word>(x), x.size(0), row_bytes / word, index.data<int64_t>(), words<Word>(y),
   y.bytes() / word, fault_of(y, op));
}

void select_rows(const char* op, const ForwardCall& c) {
  const Tensor &x = c.in[0], &y = c.out[0];
  if (y.numel() == 0) return;
  const int64_t row_bytes = x.shape().numel(1, x.rank()) * size_of(x.dtype());
  dispatch_words(widest_word({row_bytes}, {&x, &y}),
                 [&](auto w) { launch_select_rows<decltype(w)>(op, x, row_bytes, c.in[1], y); });
}

/// Sums in T of elements stored as S.
template <class T, class S>
__global__ void add_rows_kernel(const S* dy, const int64_t* index, int64_t m, int64_t row, S* dx,
                                int64_t n) {
  const int64_t i = global_index();
  if (i >= n) return;
  LongSum<T> sum;
  for (int64_t j = 0; j < m; ++j)
    if (index[j] == i / row) sum.add(T(dy[j * row + i % row]));
  dx[i] = S(sum.value());
}

template <class T, class S = T>
void add_rows(const BackwardCall& c) {
  const Tensor& dx = c.din[0];
  if (!dx.defined() || dx.numel() == 0) return;
  LAUNCH((add_rows_kernel<T, S>), blocks_for(dx.numel()), 256, 0, stream_of(dx))
  (c.dout[0].data<S>(), c.in[1].data<int64_t>(), c.in[1].numel(), dx.shape().numel(1, dx.rank()),
   dx.data<S>(), dx.numel());
}

const char index_select_name[] = "index_select", embedding_name[] = "embedding";
template <const char* op>
void rows_forward(const ForwardCall& c) {
  select_rows(op, c);
}

const RegisterNaive index_select_op("index_select",
                                    {rows_forward<index_select_name>, add_rows<float>},
                                    {rows_forward<index_select_name>, add_rows<double>});
const RegisterTuned index_select_bf16("index_select", rows_forward<index_select_name>,
                                      add_rows<float, bfloat16>, nullptr, DType::bf16);
const RegisterNaive embedding_op("embedding", {rows_forward<embedding_name>, add_rows<float>},
                                 {rows_forward<embedding_name>, add_rows<double>});

}  // namespace
}  // namespace limbeck::cuda
