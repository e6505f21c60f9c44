// scatter_rows; contract in ops/scatter_rows.cpp.
//   memory[index[j], :] = values[j, :], in place; of values for one row the last stays
// memory [m, row], index i64 [n], values [n, row]. One thread per word of up to 16 bytes of values;
// it looks through the later indices for its own and leaves the writing to the last: n^2 row / 2
// index reads from the cache in all, no order between threads to rely on, the same bits in every
// run. No shared memory. Bytes: 2 sizeof(T) an element of values, and 8 a row. An index outside the
// memory is reported (ops_cuda/fault.h) and not written. Source: elementary.
#include "ops_cuda/fault.h"
#include "ops_cuda/register.h"
#include "ops_cuda/words.h"

namespace limbeck::cuda {
namespace {

template <class Word>
__global__ void scatter_rows_kernel(Word* memory, int64_t m, const int64_t* index, int64_t n,
                                    const Word* values, int64_t row, FaultReport fault) {
  const int64_t i = global_index();
  if (i >= n * row) return;
  const int64_t j = i / row, at = index[j];
  if (!in_range(fault, j, at, m)) return;
  for (int64_t later = j + 1; later < n; ++later)
    if (index[later] == at) return;
  memory[at * row + i % row] = values[i];
}

template <class Word>
void launch_scatter_rows(const Tensor& memory, const Tensor& index, const Tensor& values) {
  const int64_t n = values.bytes() / static_cast<int64_t>(sizeof(Word));
  LAUNCH(scatter_rows_kernel<Word>, blocks_for(n), 256, 0, stream_of(memory))
  (words<Word>(memory), memory.size(0), index.data<int64_t>(), index.numel(), words<Word>(values),
   n / index.numel(), fault_of(memory, "scatter_rows"));
}

void scatter_rows(const ForwardCall& c) {
  const Tensor &memory = c.in[0], &index = c.in[1], &values = c.in[2];
  if (values.numel() == 0) return;
  const int64_t row_bytes = values.bytes() / index.numel();
  dispatch_words(widest_word({row_bytes}, {&memory, &values}),
                 [&](auto w) { launch_scatter_rows<decltype(w)>(memory, index, values); });
}

const RegisterNaive scatter_rows_op("scatter_rows", scatter_rows);

}  // namespace
}  // namespace limbeck::cuda
