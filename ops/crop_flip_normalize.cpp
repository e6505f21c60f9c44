// crop_flip_normalize: bytes of a batch to standardised floats, with a random crop after zero
// padding and a horizontal flip: contract and reference. It takes the place of the host's
// conversion (data/batch.cpp) where a batch travels to a device: a quarter of the bytes.
//
//   images u8 [N,H,W,C], draws i32 [N,3] = (dy, dx, flip) per image, mean and deviation [C]
//   y[n,h,w,c] = (b / 255 - mean_c) / deviation_c,  b = images[n, h + dy, w' + dx, c], 0 outside
//                                                   the image,  w' = flip ? W-1-w : w
// No gradient: bytes and draws have none. 1 byte read, sizeof(T) written, 3 FLOPs per element.
#include "ops/cases.h"
#include "ops/checks.h"
#include "ops/op.h"

namespace limbeck::crop_flip_normalize_op {
namespace {

std::vector<TensorSpec> infer(const Tensors& in, const Attrs&) {
  const Tensor &images = in[0], &draws = in[1], &mean = in[2];
  LIMBECK_CHECK(images.rank() == 4 && images.dtype() == DType::u8,
                "crop_flip_normalize: images must be u8[N, H, W, C], found ", describe(images));
  LIMBECK_CHECK(draws.dtype() == DType::i32 && draws.shape() == Shape({images.size(0), 3}),
                "crop_flip_normalize: draws must be i32[", images.size(0), ", 3], found ",
                describe(draws));
  check_floating("crop_flip_normalize", "mean", mean);
  const Shape channels{images.size(3)};
  check_shape("crop_flip_normalize", "mean", mean, mean, channels);
  check_shape("crop_flip_normalize", "deviation", in[3], mean, channels);
  return {{images.shape(), mean.dtype()}};
}

template <class T>
void forward(const ForwardCall& call) {
  const Tensor& images = call.in[0];
  const int64_t N = images.size(0), H = images.size(1), W = images.size(2), C = images.size(3);
  const T *mean = call.in[2].data<T>(), *deviation = call.in[3].data<T>();
  T* y = call.out[0].data<T>();
  for (int64_t n = 0; n < N; ++n) {
    const int32_t* draw = call.in[1].data<int32_t>() + n * 3;
    const uint8_t* image = images.data<uint8_t>() + n * H * W * C;
    for (int64_t h = 0; h < H; ++h)
      for (int64_t w = 0; w < W; ++w) {
        const int64_t from_h = h + draw[0], from_w = (draw[2] ? W - 1 - w : w) + draw[1];
        const bool inside = from_h >= 0 && from_h < H && from_w >= 0 && from_w < W;
        for (int64_t c = 0; c < C; ++c) {
          const T value = inside ? static_cast<T>(image[(from_h * W + from_w) * C + c]) : T(0);
          *y++ = (value / T(255) - mean[c]) / deviation[c];
        }
      }
  }
}

OpCase make_case(const Shape& images, int64_t reach) {
  return {
      .inputs = {
          {images, 0, 256, DType::u8},
          {{images[0], 3}, static_cast<double>(-reach), static_cast<double>(reach + 1), DType::i32},
          values({images[3]}, 0, 1),
          values({images[3]}, 0.2, 1)}};
}

const RegisterOp registered({
    .name = "crop_flip_normalize",
    .formula = "y = (b / 255 - mean_c) / deviation_c, b = images[n, h + dy, (flip ? W-1-w : w) + "
               "dx, c], 0 outside\nno gradient",
    .source = "torchvision: RandomCrop(padding), RandomHorizontalFlip, ToTensor, Normalize",
    .inputs = {{"images", false}, {"draws", false}, {"mean", false}, {"deviation", false}},
    .outputs = {{"y", false}},
    .infer = infer,
    .forward = floating<ForwardCall, [](auto t, const ForwardCall& c) { forward<decltype(t)>(c); }>,
    // Shifts of one pixel, so that a third of the images is not flipped; beyond the image; no shift
    // at all.
    .cases = {make_case({5, 6, 8, 3}, 1), make_case({3, 5, 7, 1}, 4), make_case({2, 4, 3, 5}, 6),
              make_case({1, 8, 8, 3}, 0), make_case({0, 4, 4, 3}, 1), make_case({9, 32, 32, 3}, 4),
              make_case({2, 9, 31, 2}, 1), make_case({1, 3, 3, 20}, 1)},
    .flops = [](const Tensors& in,
                const Attrs&) { return 3.0 * static_cast<double>(in[0].numel()); },
    .images = true,
    .bench_cases = {make_case({128, 32, 32, 3}, 4), make_case({64, 64, 64, 3}, 4),
                    make_case({64, 128, 128, 3}, 4)},
});

}  // namespace
}  // namespace limbeck::crop_flip_normalize_op
