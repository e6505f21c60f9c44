#include "tensor/random.h"

#include <gtest/gtest.h>

#include <omp.h>
#include <algorithm>
#include <cmath>

namespace limbeck {
namespace {

TEST(Philox, KnownAnswers) {
  // Random123's kat_vectors for philox4x32-10.
  EXPECT_EQ(philox(0, 0, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Stream, MomentsOfNormalAndUniform) {
  const Tensor t = Tensor::empty({200001});
  Stream s(3);
  s.fill_normal(t, 1, 2);
  double mean = 0, square = 0;
  for (float x : t.span<float>()) mean += x, square += double{x} * x;
  mean /= static_cast<double>(t.numel());
  square /= static_cast<double>(t.numel());
  EXPECT_NEAR(mean, 1, 0.02);
  EXPECT_NEAR(square - mean * mean, 4, 0.05);
}

TEST(Stream, SameNumbersForAnyThreadCount) {
  const Tensor a = Tensor::empty({100003}), b = Tensor::empty({100003});
  const int threads = omp_get_max_threads();
  omp_set_num_threads(1);
  Stream(7).fill_normal(a);
  omp_set_num_threads(3);
  Stream(7).fill_normal(b);
  omp_set_num_threads(threads);
  EXPECT_EQ(a.to_vector<float>(), b.to_vector<float>());
}

TEST(Stream, ForksAreIndependentOfDrawsAndDiffer) {
  Stream a(5), b(5);
  b.uniform();
  EXPECT_EQ(a.fork("z"), b.fork("z"));
  EXPECT_NE(a.fork("z").key(), a.fork("y").key());
  EXPECT_NE(a.fork("z", 0).key(), a.fork("z", 1).key());
}

TEST(Stream, PermutationHoldsEveryIndexOnce) {
  auto p = Stream(1).permutation(1000);
  EXPECT_FALSE(std::is_sorted(p.begin(), p.end()));
  std::sort(p.begin(), p.end());
  for (int64_t i = 0; i < 1000; ++i) EXPECT_EQ(p[static_cast<size_t>(i)], i);
}

TEST(Stream, BelowIsUniform) {
  Stream s(2);
  std::array<int, 7> count{};
  for (int i = 0; i < 70000; ++i) ++count[static_cast<size_t>(s.below(7))];
  for (int c : count) EXPECT_NEAR(c, 10000, 400);
}

// Element i is a function of (key, offset, i) even where blocks are rejected (here a quarter of
// them), and below() walks through the same numbers.
TEST(Stream, IntegersDependOnTheirPlaceOnly) {
  const int64_t range = int64_t{3} << 61;
  const Tensor all = Tensor::empty({200}, DType::i64), tail = Tensor::empty({120}, DType::i64);
  Stream(4, 10).fill_integers(all, 0, range);
  Stream behind(4, 90);
  behind.fill_integers(tail, 0, range);
  EXPECT_EQ(all.rows(80, 200).to_vector<int64_t>(), tail.to_vector<int64_t>());
  EXPECT_EQ(behind.offset(), 210u);
  Stream one(4, 10);
  int64_t rejected = 0;
  for (int64_t i = 0; i < 200; ++i) {
    const PhiloxBlock b = philox(4, one.offset());
    rejected +=
        one.below(range) != static_cast<int64_t>((static_cast<uint64_t>(b[0]) << 32 | b[1]) %
                                                 static_cast<uint64_t>(range));
    EXPECT_EQ(all.at(i),
              static_cast<double>(Stream(4, 10 + static_cast<uint64_t>(i)).below(range)));
  }
  EXPECT_GT(rejected, 30);
  EXPECT_LT(rejected, 70);
  EXPECT_THROW(one.fill_integers(all, 3, 3), Error);
}

TEST(Stream, PlacesSayWhereStreamsStand) {
  Stream a(7), b = a.fork("b");
  a.uniform();
  const Tensor places = places_of({a, b});
  EXPECT_EQ(places.shape(), Shape({2, 2}));
  EXPECT_EQ(place_at(places, 0).to_vector<int64_t>(), (std::vector<int64_t>{7, 1}));
  EXPECT_EQ(place_at(places, 1).to_vector<int64_t>(),
            (std::vector<int64_t>{static_cast<int64_t>(b.key()), 0}));
  EXPECT_EQ(b.reserve(3).to_vector<int64_t>(), place_at(places, 1).to_vector<int64_t>());
}

}  // namespace
}  // namespace limbeck
