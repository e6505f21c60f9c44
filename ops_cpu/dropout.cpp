// Dropout, f32 on the CPU; formula in ops/dropout.cpp. 8 bytes an element and about 10 integer
// multiplications; the mask is drawn again in backward.
#include "ops/op.h"
#include "ops_cpu/dropout_kernels.h"
#include "ops_cpu/parallel.h"

namespace limbeck::cpu_dropout {
namespace {

constexpr int64_t grain = 16384;  // a multiple of four: parts start at whole Philox blocks

void apply_mask(const Tensor& from, const Tensor& rng, const Attrs& attrs, const Tensor& to) {
  const DropoutKernels& kernels = dropout_kernels();
  const double p = attrs.number("p", 0.5);
  const float scale = p < 1 ? float(1 / (1 - p)) : 0.0f;
  const auto key = uint64_t(rng.data<int64_t>()[0]), offset = uint64_t(rng.data<int64_t>()[1]);
  const float* x = from.data<float>();
  float* y = to.data<float>();
  parallel_ranges(from.numel(), grain, [&](int64_t begin, int64_t end) {
    kernels.mask(x + begin, y + begin, end - begin, key, offset + uint64_t(begin / 4), float(p),
                 scale);
  });
}

const RegisterKernel dropout({
    .op = "dropout",
    .name = "cpu",
    .forward = [](const ForwardCall& c) { apply_mask(c.in[0], c.in[1], c.attrs, c.out[0]); },
    .backward =
        [](const BackwardCall& c) {
          if (c.din[0].defined()) apply_mask(c.dout[0], c.in[1], c.attrs, c.din[0]);
        },
});

}  // namespace
}  // namespace limbeck::cpu_dropout
