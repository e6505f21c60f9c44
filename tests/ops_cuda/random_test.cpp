// What a device draws is what the host draws, and a recorded step draws from the place that it is
// given.
#include "ops/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gan/diffaugment.h"
#include "nn/step_graph.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

const Device cuda0{DeviceKind::cuda, 0};

Tensor place_of(const Stream& stream) { return place_at(places_of({stream}), 0).to(cuda0); }

// Logarithm, sine and cosine of host and device may differ in the last bits of a double: after
// rounding to f32 at most one step, and rarely.
TEST(CudaRandom, NormalNumbersAreTheHosts) {
  constexpr int64_t n = 40001;
  const Tensor expected = Tensor::empty({n});
  Stream(5, 3).fill_normal(expected);
  const std::vector<float> found = draw_normal(place_of(Stream(5, 3)), {n}).to_vector<float>();
  int64_t different = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float want = expected.data<float>()[i], got = found[static_cast<size_t>(i)];
    if (got == want) continue;
    ++different;
    EXPECT_EQ(got, std::nextafter(want, got > want ? std::numeric_limits<float>::infinity()
                                                   : -std::numeric_limits<float>::infinity()))
        << i;
  }
  EXPECT_LE(different, 5);
}

TEST(CudaRandom, IntegersAreTheHosts) {
  for (const auto& [low, high] : {std::pair<int64_t, int64_t>{0, 100},
                                  {-7, 100},
                                  {0, int64_t{3} << 61}}) {  // the last one rejects a quarter
    const Tensor expected = Tensor::empty({3001}, DType::i64);
    Stream(6, 9).fill_integers(expected, low, high);
    EXPECT_EQ(draw_integers(place_of(Stream(6, 9)), {3001}, low, high).to_vector<int64_t>(),
              expected.to_vector<int64_t>())
        << low << ".." << high;
  }
}

TEST(CudaRandom, AugmentationIsTheHosts) {
  for (const char* policy : {"color,translation,cutout", "color", "translation"}) {
    const gan::DiffAugment augment(policy);
    EXPECT_EQ(augment.draw(70, 32, 30, place_of(Stream(8))).to_vector<float>(),
              augment.draw(70, 32, 30, place_at(places_of({Stream(8)}), 0)).to_vector<float>())
        << policy;
  }
}

TEST(CudaRandom, ARecordedStepDrawsFromTheNewPlace) {
  int calls = 0;
  nn::StepGraph graph(cuda0, {}, [&](const Tensors& in) {
    ++calls;
    return Tensors{draw_integers(place_at(in[0], 1), {40}, 0, 1000),
                   draw_normal(place_at(in[0], 0), {41})};
  });
  for (uint64_t step = 0; step < 6; ++step) {
    const Stream normal = Stream(1).fork("normal", step),
                 integers = Stream(1).fork("integers", step);
    const Tensors found = graph({places_of({normal, integers})});
    EXPECT_EQ(found[0].to_vector<int64_t>(),
              draw_integers(place_at(places_of({integers}), 0), {40}, 0, 1000).to_vector<int64_t>())
        << step;
    EXPECT_EQ(found[1].to_vector<float>(), draw_normal(place_of(normal), {41}).to_vector<float>())
        << step;
  }
  EXPECT_EQ(calls, 3) << "recorded by the third call";
}

}  // namespace
}  // namespace limbeck
