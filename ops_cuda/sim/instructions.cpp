#include "ops_cuda/sim/instructions.h"

#include <bit>

namespace limbeck::cuda::sim_detail {
namespace {

float half_of(uint32_t word, int which) {
  return std::bit_cast<float>(which ? word & 0xffff0000u : word << 16);
}
float tf32_of(uint32_t word) { return std::bit_cast<float>(word & 0xffffe000u); }

/// PerWord is 2 for bf16 and 1 for tf32. The lanes' registers are gathered first, as
/// ops_cuda/instructions.h describes them.
template <int K, int PerWord>
void multiply(void* const* lanes) {
  constexpr int row_words = 2;  // A interleaves rows g and g + 8
  const auto part = [&](int lane) -> const Product& { return *static_cast<Product*>(lanes[lane]); };
  const auto value = [](uint32_t word, int k) {
    return PerWord == 2 ? half_of(word, k % 2) : tf32_of(word);
  };
  float a[16][K], b[8][K];
  for (int k = 0; k < K; ++k) {
    const int quad = k / PerWord % 4, step = k / (4 * PerWord);
    for (int row = 0; row < 16; ++row)
      a[row][k] = value(part(row % 8 * 4 + quad).a[step * row_words + row / 8], k);
    for (int column = 0; column < 8; ++column)
      b[column][k] = value(part(column * 4 + quad).b[step], k);
  }
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 8; ++column) {
      float& out = part(row % 8 * 4 + column / 2).c[row / 8 * 2 + column % 2];
      float sum = out;
      for (int k = 0; k < K; ++k) sum += a[row][k] * b[column][k];
      out = sum;
    }
}

}  // namespace

void multiply_bf16_k16(void* const* lanes, unsigned) { multiply<16, 2>(lanes); }
void multiply_bf16_k8(void* const* lanes, unsigned) { multiply<8, 2>(lanes); }
void multiply_tf32_k8(void* const* lanes, unsigned) { multiply<8, 1>(lanes); }

}  // namespace limbeck::cuda::sim_detail
