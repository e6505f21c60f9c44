// crop_flip_normalize on the CPU, f32: the 256 results of each channel are computed once, every
// element is one look-up. An image per thread; results do not depend on the thread count. Shares
// its loops with the data loader (tensor/image_bytes.h): the same bits.
#include "ops/op.h"
#include "ops_cpu/parallel.h"
#include "tensor/image_bytes.h"

namespace limbeck::cpu_crop_flip_normalize {
namespace {

void forward(const ForwardCall& call) {
  const Tensor& images = call.in[0];
  const int64_t h = images.size(1), w = images.size(2), c = images.size(3), image = h * w * c;
  const std::vector<float> table =
      byte_table(call.in[2].data<float>(), call.in[3].data<float>(), c);
  const uint8_t* in = images.data<uint8_t>();
  const int32_t* draws = call.in[1].data<int32_t>();
  float* out = call.out[0].data<float>();
  parallel_parts(images.size(0), images.numel(), [&](int64_t n) {
    const int32_t* d = draws + n * 3;
    standardise_image(in + n * image, out + n * image, h, w, c, {d[0], d[1], d[2]}, table.data());
  });
}

const RegisterKernel registered({.op = "crop_flip_normalize", .name = "cpu", .forward = forward});

}  // namespace
}  // namespace limbeck::cpu_crop_flip_normalize
