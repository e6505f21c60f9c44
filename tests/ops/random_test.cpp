// The operators that draw give the numbers of a Stream that stands at their place.
#include "ops/random.h"

#include <gtest/gtest.h>

#include "tensor/random.h"

namespace limbeck {
namespace {

Tensor place_of(const Stream& stream) { return place_at(places_of({stream}), 0); }

TEST(RandomOps, NormalNumbersAreThoseOfTheStream) {
  for (const uint64_t first :
       {uint64_t{0}, uint64_t{17},
        ~uint64_t{0} - 2}) {  // the last one runs over the end of the counter
    for (const char* kernel : {"reference", "cpu"}) {
      const ExecutionScope named(with(&Execution::kernel, kernel));
      const Tensor expected = Tensor::empty({3, 1333});
      Stream(5, first).fill_normal(expected, 0.5, 3);
      EXPECT_EQ(draw_normal(place_of(Stream(5, first)), {3, 1333}, 0.5, 3).to_vector<float>(),
                expected.to_vector<float>())
          << kernel << " from " << first;
    }
  }
}

TEST(RandomOps, IntegersAreThoseOfTheStream) {
  const int64_t wide = int64_t{3} << 61;  // a quarter of the blocks is rejected
  for (const auto& [low, high] :
       {std::pair<int64_t, int64_t>{0, 10}, {-7, 100}, {5, 6}, {0, wide}}) {
    const Tensor expected = Tensor::empty({500}, DType::i64);
    Stream(6, 9).fill_integers(expected, low, high);
    EXPECT_EQ(draw_integers(place_of(Stream(6, 9)), {500}, low, high).to_vector<int64_t>(),
              expected.to_vector<int64_t>())
        << low << ".." << high;
  }
}

TEST(RandomOps, WrongPlacesAndRangesAreNamed) {
  const auto error_of = [](auto&& f) -> std::string {
    try {
      f();
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  const Tensor place = place_of(Stream(1));
  EXPECT_NE(error_of([] {
              draw_normal(Tensor::zeros({2}), {3});
            }).find("draw_normal: 'place' must be i64[2], found f32"),
            std::string::npos);
  EXPECT_NE(error_of([&] { draw_integers(place, {3}, 4, 4); }).find("expected low < high"),
            std::string::npos);
  EXPECT_NE(error_of([&] { draw_integers(place, {3}, INT64_MIN, 1); }).find("expected low < high"),
            std::string::npos);
  EXPECT_NE(error_of([&] {
              draw_diffaugment(place, 2, {-1, 0, 1, 1, true, true});
            }).find("draw_diffaugment: attribute 'shift' must be from 0"),
            std::string::npos);
}

}  // namespace
}  // namespace limbeck
