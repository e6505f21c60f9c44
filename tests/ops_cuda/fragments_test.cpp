// Which lane holds which element of a tensor-core fragment, by a source that is not ours: the
// layouts of NVIDIA's CuTe as data, our instructions against them. Through the shim this tests the
// emulation, on a GPU the instructions themselves.
#include "tests/ops_cuda/fragments.h"

#include <gtest/gtest.h>

#include <bit>
#include <utility>
#include <vector>

namespace limbeck {
namespace {

const Device gpu{DeviceKind::cuda, 0};

/// A map (lane, value) -> element: the lane is split into (lane % 4, lane / 4), the value into
/// digits, the first one fastest; each part counts with its stride. Elements of an M x N matrix are
/// numbered down its columns.
struct Layout {
  int lane_strides[2];
  std::vector<std::pair<int, int>> values;  // size, stride
  int operator()(int lane, int value) const {
    int element = lane % 4 * lane_strides[0] + lane / 4 * lane_strides[1];
    for (const auto& [size, stride] : values) element += value % size * stride, value /= size;
    return element;
  }
};

/// CUTLASS, include/cute/atom/mma_traits_sm80.hpp: MMA_Traits of SM80_16x8x16_F32BF16BF16F32_TN,
/// SM80_16x8x8_F32BF16BF16F32_TN and SM80_16x8x8_F32TF32TF32F32_TN. A is [16, K], B [8, K], C [16,
/// 8].
struct Instruction {
  cuda::FragmentProduct product;
  int k, per_word;
  Layout a, b, c;
};
const Layout c_layout{{32, 1}, {{2, 16}, {2, 8}}};
const Instruction bf16_k16{
    cuda::FragmentProduct::bf16_k16, 16,      2, {{32, 1}, {{2, 16}, {2, 8}, {2, 128}}},
    {{16, 1}, {{2, 8}, {2, 64}}},    c_layout};
const Instruction bf16_k8{cuda::FragmentProduct::bf16_k8,
                          8,
                          2,
                          {{32, 1}, {{2, 16}, {2, 8}}},
                          {{16, 1}, {{2, 8}}},
                          c_layout};
const Instruction tf32_k8{cuda::FragmentProduct::tf32_k8,
                          8,
                          1,
                          {{16, 1}, {{2, 8}, {2, 64}}},
                          {{8, 1}, {{2, 32}}},
                          c_layout};

/// The registers of all lanes that hold a matrix of `elements` numbers (down its columns).
Tensor registers(const Layout& layout, const std::vector<float>& elements, int per_word) {
  const int words = static_cast<int>(elements.size()) / per_word / 32;
  std::vector<int32_t> all(static_cast<size_t>(32 * words));
  for (int lane = 0; lane < 32; ++lane)
    for (int word = 0; word < words; ++word) {
      const auto bits = [&](int i) {
        return std::bit_cast<uint32_t>(
            elements[static_cast<size_t>(layout(lane, word * per_word + i))]);
      };
      // bf16 is the upper half of a float; these numbers fit.
      const uint32_t packed = per_word == 1 ? bits(0) : bits(0) >> 16 | (bits(1) & 0xffff0000u);
      all[static_cast<size_t>(lane * words + word)] = static_cast<int32_t>(packed);
    }
  return Tensor::of(all, {32, words}).to(gpu);
}

std::vector<float> small_integers(int n, int factor, int modulus) {
  std::vector<float> v;
  for (int i = 0; i < n; ++i) v.push_back(static_cast<float>(i * factor % modulus - modulus / 2));
  return v;
}

void check(const Instruction& i) {
  const std::vector<float> a = small_integers(16 * i.k, 7, 13), b = small_integers(8 * i.k, 5, 11);
  const Tensor c = Tensor::full({32, 4}, 1).to(gpu);
  cuda::multiply_fragments(i.product, registers(i.a, a, i.per_word), registers(i.b, b, i.per_word),
                           c);
  const Tensor found = c.to(cpu);
  for (int lane = 0; lane < 32; ++lane)
    for (int value = 0; value < 4; ++value) {
      const int m = i.c(lane, value) % 16, n = i.c(lane, value) / 16;
      float sum = 1;
      for (int k = 0; k < i.k; ++k)
        sum += a[static_cast<size_t>(m + 16 * k)] * b[static_cast<size_t>(n + 8 * k)];
      EXPECT_EQ(found.data<float>()[lane * 4 + value], sum)
          << "lane " << lane << ", register " << value;
    }
}

TEST(CudaFragments, ProductsReadAndWriteThemAsCuteSays) {
  check(bf16_k16);
  check(bf16_k8);
  check(tf32_k8);
}

/// CUTLASS, include/cute/atom/copy_traits_sm75.hpp: DstLayout of SM75_U32x4_LDSM_N and
/// SM75_U16x8_LDSM_T, in bits of the 32 rows of 128 bits; one value is a 16-bit one.
TEST(CudaFragments, MatricesAreLoadedAsCuteSays) {
  const Layout plain{{32, 128},
                     {{2, 16}, {4, 1024}}};  // lane * 32 = lane % 4 * 32 + lane / 4 * 128
  const Layout transposed{{256, 16}, {{2, 128}, {4, 1024}}};
  std::vector<int32_t> words(128);
  for (int i = 0; i < 128; ++i)
    words[static_cast<size_t>(i)] = 2 * i | (2 * i + 1) << 16;  // the 16-bit values 0, 1, 2, ..
  const Tensor x = Tensor::of(words, {32, 4}).to(gpu);
  for (const bool turn : {false, true}) {
    const Tensor r = Tensor::zeros({32, 4}, DType::i32, gpu);
    cuda::load_fragments(turn, x, r);
    const Tensor found = r.to(cpu);
    for (int lane = 0; lane < 32; ++lane)
      for (int value = 0; value < 8; ++value) {
        const uint32_t word = static_cast<uint32_t>(found.data<int32_t>()[lane * 4 + value / 2]);
        EXPECT_EQ(static_cast<int>(word >> (16 * (value % 2)) & 0xffff),
                  (turn ? transposed : plain)(lane, value) / 16)
            << turn << ": lane " << lane << ", value " << value;
      }
  }
}

}  // namespace
}  // namespace limbeck
