// Random numbers drawn where they are used, by operators of the table (ops/random.cpp). A place is
// i64 [2] = {key, first block} of a Philox stream (Stream::reserve, places_of), on the device that
// draws: a step that was recorded there draws new numbers when the place has changed.
#pragma once
#include "ops/op.h"

namespace limbeck {

/// f32 of this shape, the numbers of Stream::fill_normal.
Tensor draw_normal(const Tensor& place, const Shape& shape, double mean = 0, double deviation = 1);
/// i64 of this shape, uniform in [low, high), the numbers of Stream::fill_integers.
Tensor draw_integers(const Tensor& place, const Shape& shape, int64_t low, int64_t high);

/// What draw_diffaugment draws for an image: shifts uniform on -s..s, the corner of the cut uniform
/// on 0..corners-1. A part that is off has the value that changes nothing; its numbers are drawn
/// all the same, so that one part does not change another's.
struct DiffAugmentRanges {
  int64_t shift_h, shift_w, corners_h, corners_w;
  bool color, translation;
};
/// f32 [images, 7], the parameters of the operator diffaugment.
Tensor draw_diffaugment(const Tensor& place, int64_t images, const DiffAugmentRanges& ranges);
/// The ranges in an operator's attributes, checked.
DiffAugmentRanges diffaugment_ranges(const Attrs& attrs);

/// The attribute "shape".
Shape shape_attribute(const char* op, const Attrs& attrs);

}  // namespace limbeck
