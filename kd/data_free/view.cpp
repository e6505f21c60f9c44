#include "kd/data_free/view.h"

#include <algorithm>
#include <cmath>

#include "autograd/functions.h"
#include "ops/random.h"

namespace limbeck::kd::data_free {
namespace {

/// Rows or columns (axis 1 or 2) of images in another order.
Variable reordered(const Variable& images, int64_t axis, const Tensor& index) {
  const std::vector<int64_t> order =
      axis == 1 ? std::vector<int64_t>{1, 0, 2, 3} : std::vector<int64_t>{2, 1, 0, 3};
  return permute(index_select(permute(images, order), index), order);
}

/// 0 .. n - 1, begun `shift` further on.
Tensor rolled(int64_t n, int64_t shift) {
  std::vector<int64_t> index(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) index[static_cast<size_t>(i)] = (i + shift + n) % n;
  return Tensor::of(index);
}

Tensor reversed(int64_t n) {
  std::vector<int64_t> index(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) index[static_cast<size_t>(i)] = n - 1 - i;
  return Tensor::of(index);
}

}  // namespace

Variable local_view(const Variable& images, const Stream& stream) {
  constexpr double least_area = 0.25;
  const int64_t side = images.size(1);
  Stream part = stream.fork("local");
  const double share = std::sqrt(part.uniform(least_area, 1));
  const auto size = std::max<int64_t>(1, std::llround(share * static_cast<double>(side)));
  const int64_t top = part.below(side - size + 1), left = part.below(side - size + 1);
  const Variable cut = slice(slice(images, 1, top, top + size), 2, left, left + size);
  return resize_bilinear(cut, {side, side});
}

Views::Views(const ViewSettings& settings, const std::vector<double>& black, Device device)
    : s_(settings), black_(Tensor::of(black).to(DType::f32).to(device)) {}

/// Shifts of the roll for the whole batch, flips and crops for every image.
Tensors Views::draw(const Stream& stream, int64_t images, int64_t side) const {
  Tensors drawn(5);
  if (s_.roll > 0) {
    Stream shift = stream.fork("roll");
    for (size_t axis = 0; axis < 2; ++axis)
      drawn[axis] = rolled(side, shift.below(2 * s_.roll + 1) - s_.roll);
  }
  if (s_.flip) {
    Stream flips = stream.fork("flip");
    Tensor mask = Tensor::empty({images, 1, 1, 1}, DType::u8);
    for (uint8_t& m : mask.span<uint8_t>()) m = static_cast<uint8_t>(flips.below(2));
    drawn[2] = mask, drawn[3] = reversed(side);
  }
  if (s_.crop_padding > 0)
    drawn[4] = draw_diffaugment(place_at(places_of({stream.fork("crop")}), 0), images,
                                {.shift_h = s_.crop_padding,
                                 .shift_w = s_.crop_padding,
                                 .corners_h = side,
                                 .corners_w = side,
                                 .color = false,
                                 .translation = true});
  return drawn;
}

Variable Views::operator()(const Variable& images, const Tensors& drawn) const {
  Variable x = images;
  if (drawn[0].defined()) x = reordered(reordered(x, 1, drawn[0]), 2, drawn[1]);
  if (drawn[2].defined()) x = where(drawn[2], reordered(x, 2, drawn[3]), x);
  if (drawn[4].defined()) {
    const Variable black{black_};
    const std::vector<int64_t> no_cut{0, 0};
    x = apply1("diffaugment", {x - black, Variable(drawn[4])}, {{"cutout", no_cut}}) + black;
  }
  return x;
}

}  // namespace limbeck::kd::data_free
