// Random draws of the operator table: contracts and references. place i64 [2] = {key, first block}
// of a Philox stream (tensor/philox.h); block k stands for Philox(key, first + k). No gradient: a
// place has none. The numbers are those of Stream (tensor/random.h).
//
//   draw_normal      y [shape] f32: elements 2k and 2k + 1 are the Box-Muller pair of block k,
//                    times deviation plus mean, in f64, then rounded
//   draw_integers    y [shape] i64: element i is uniform in [low, high) from block i
//   draw_diffaugment y [images, 7] f32: parameter j of image n from block 7n + j, in the order of
//   ops/diffaugment.cpp
//     brightness U - 1/2, saturation 2U, contrast U + 1/2 (0, 1, 1 without color); shifts th, tw
//     uniform on -s..s (0 without translation);
//     corner oh, ow uniform on 0..corners-1
// Sources: Salmon et al. 2011 (Philox); Box and Muller 1958; DiffAugment_pytorch.py.
#include "ops/random.h"

#include <cstdint>

#include "ops/checks.h"
#include "tensor/philox.h"

namespace limbeck {

Shape shape_attribute(const char* op, const Attrs& attrs) {
  const std::vector<int64_t> sizes = attrs.integers("shape");
  for (const int64_t s : sizes) checked_size(op, "shape", s, 0);
  return Shape(sizes);
}

DiffAugmentRanges diffaugment_ranges(const Attrs& attrs) {
  const auto shift = size_pair("draw_diffaugment", attrs, "shift", 0, 0),
             corners = size_pair("draw_diffaugment", attrs, "corners", 1, 1);
  return {shift.first,
          shift.second,
          corners.first,
          corners.second,
          attrs.flag("color", true),
          attrs.flag("translation", true)};
}

Tensor draw_normal(const Tensor& place, const Shape& shape, double mean, double deviation) {
  static const Op& op = find_op("draw_normal");
  return run_forward(op, {place},
                     {{"shape", shape.vec()}, {"mean", mean}, {"deviation", deviation}})[0];
}

Tensor draw_integers(const Tensor& place, const Shape& shape, int64_t low, int64_t high) {
  static const Op& op = find_op("draw_integers");
  return run_forward(op, {place}, {{"shape", shape.vec()}, {"low", low}, {"high", high}})[0];
}

Tensor draw_diffaugment(const Tensor& place, int64_t images, const DiffAugmentRanges& r) {
  static const Op& op = find_op("draw_diffaugment");
  return run_forward(op, {place},
                     {{"images", images},
                      {"shift", std::vector<int64_t>{r.shift_h, r.shift_w}},
                      {"corners", std::vector<int64_t>{r.corners_h, r.corners_w}},
                      {"color", r.color},
                      {"translation", r.translation}})[0];
}

}  // namespace limbeck

namespace limbeck::random_op {
namespace {

void check_place(const char* op, const Tensor& place) {
  LIMBECK_CHECK(place.defined() && place.dtype() == DType::i64 && place.shape() == Shape({2}), op,
                ": 'place' must be i64[2], found ", place.defined() ? describe(place) : "nothing");
}

struct Place {
  uint64_t key, first;
  explicit Place(const Tensor& t)
      : key(static_cast<uint64_t>(t.data<int64_t>()[0])),
        first(static_cast<uint64_t>(t.data<int64_t>()[1])) {}
  PhiloxBlock block(int64_t k) const { return philox(key, first + static_cast<uint64_t>(k)); }
  int64_t integer(int64_t k, int64_t range) const {
    return static_cast<int64_t>(
        integer_below(key, first + static_cast<uint64_t>(k), static_cast<uint64_t>(range)));
  }
  double uniform(int64_t k) const {
    const PhiloxBlock b = block(k);
    return uniform53(b[0], b[1]);
  }
};

std::vector<TensorSpec> infer_normal(const Tensors& in, const Attrs& attrs) {
  check_place("draw_normal", in[0]);
  return {{shape_attribute("draw_normal", attrs), DType::f32}};
}

void normal(const ForwardCall& c) {
  const Place place(c.in[0]);
  const double mean = c.attrs.number("mean", 0), deviation = c.attrs.number("deviation", 1);
  const auto y = c.out[0].span<float>();
  for (size_t i = 0; i < y.size(); ++i) {
    const NormalPair pair = normal_pair(place.block(static_cast<int64_t>(i / 2)));
    y[i] = static_cast<float>(mean + deviation * (i % 2 ? pair.second : pair.first));
  }
}

std::vector<TensorSpec> infer_integers(const Tensors& in, const Attrs& attrs) {
  check_place("draw_integers", in[0]);
  const int64_t low = attrs.integer("low", 0), high = attrs.integer("high", 2);
  LIMBECK_CHECK(low < high && (low >= 0 || high <= INT64_MAX + low),
                "draw_integers: expected low < high < low + 2^63, found ", low, " and ", high);
  return {{shape_attribute("draw_integers", attrs), DType::i64}};
}

void integers(const ForwardCall& c) {
  const Place place(c.in[0]);
  const int64_t low = c.attrs.integer("low", 0), high = c.attrs.integer("high", 2);
  const auto y = c.out[0].span<int64_t>();
  for (size_t i = 0; i < y.size(); ++i)
    y[i] = low + place.integer(static_cast<int64_t>(i), high - low);
}

std::vector<TensorSpec> infer_diffaugment(const Tensors& in, const Attrs& attrs) {
  check_place("draw_diffaugment", in[0]);
  diffaugment_ranges(attrs);
  const int64_t images = size_attribute("draw_diffaugment", attrs, "images", 0, 0);
  return {{{images, 7}, DType::f32}};
}

void diffaugment(const ForwardCall& c) {
  const Place place(c.in[0]);
  const DiffAugmentRanges r = diffaugment_ranges(c.attrs);
  float* p = c.out[0].data<float>();
  for (int64_t block = 0; block < c.out[0].numel(); block += 7, p += 7) {
    p[0] = r.color ? static_cast<float>(place.uniform(block) - 0.5) : 0.0f;
    p[1] = r.color ? static_cast<float>(2 * place.uniform(block + 1)) : 1.0f;
    p[2] = r.color ? static_cast<float>(place.uniform(block + 2) + 0.5) : 1.0f;
    p[3] = r.translation
               ? static_cast<float>(place.integer(block + 3, 2 * r.shift_h + 1) - r.shift_h)
               : 0.0f;
    p[4] = r.translation
               ? static_cast<float>(place.integer(block + 4, 2 * r.shift_w + 1) - r.shift_w)
               : 0.0f;
    p[5] = static_cast<float>(place.integer(block + 5, r.corners_h));
    p[6] = static_cast<float>(place.integer(block + 6, r.corners_w));
  }
}

OpCase make_case(Attrs attrs) {
  return {.inputs = {{{2}, 0, 1 << 30, DType::i64}}, .attrs = std::move(attrs)};
}
OpCase shaped(const std::vector<int64_t>& shape, Attrs attrs = {}) {
  return make_case(attrs.set("shape", shape));
}

OpCase diffaugment_case(int64_t images, std::vector<int64_t> shift, std::vector<int64_t> corners,
                        bool color = true, bool translation = true) {
  return make_case({{"images", images},
                    {"shift", std::move(shift)},
                    {"corners", std::move(corners)},
                    {"color", color},
                    {"translation", translation}});
}

const RegisterOp normal_op({
    .name = "draw_normal",
    .formula = "y[2k], y[2k+1] = mean + deviation * (Box-Muller pair of block k)\nno gradient",
    .source = "Salmon et al. 2011; Box and Muller 1958",
    .inputs = {{"place", false}},
    .outputs = {{"y", false}},
    .infer = infer_normal,
    .forward = normal,
    .cases = {shaped({5, 7}), shaped({1}), shaped({}), shaped({0, 3}), shaped({1000}),
              shaped({33}, {{"mean", 2.5}, {"deviation", 0.25}})},
    .bench_cases = {shaped({64, 128}), shaped({256, 120}), shaped({1 << 22})},
});

// The last case rejects a quarter of the blocks.
const RegisterOp integers_op({
    .name = "draw_integers",
    .formula = "y[i] = low + uniform integer below high - low from block i\nno gradient",
    .source = "Salmon et al. 2011",
    .inputs = {{"place", false}},
    .outputs = {{"y", false}},
    .infer = infer_integers,
    .forward = integers,
    .cases = {shaped({64}, {{"high", int64_t{10}}}),
              shaped({3, 5}, {{"low", int64_t{-4}}, {"high", int64_t{5}}}),
              shaped({1}, {{"high", int64_t{1}}}), shaped({0}),
              shaped({700}, {{"high", int64_t{3} << 61}})},
    .bench_cases = {shaped({64}, {{"high", int64_t{100}}}),
                    shaped({1 << 20}, {{"high", int64_t{100}}})},
});

const RegisterOp diffaugment_op({
    .name = "draw_diffaugment",
    .formula = "y[n] = U - 1/2, 2U, U + 1/2, shifts on -s..s, corners on 0..c-1, from blocks "
               "7n..7n+6\nno gradient",
    .source = "Zhao et al. 2020, DiffAugment_pytorch.py",
    .inputs = {{"place", false}},
    .outputs = {{"parameters", false}},
    .infer = infer_diffaugment,
    .forward = diffaugment,
    .cases = {diffaugment_case(3, {4, 4}, {33, 33}), diffaugment_case(1, {1, 2}, {9, 14}),
              diffaugment_case(2, {8, 8}, {65, 65}, false),
              diffaugment_case(2, {8, 8}, {65, 65}, true, false),
              diffaugment_case(0, {4, 4}, {33, 33}), diffaugment_case(130, {4, 4}, {33, 33})},
    .bench_cases = {diffaugment_case(128, {4, 4}, {33, 33})},
});

}  // namespace
}  // namespace limbeck::random_op
