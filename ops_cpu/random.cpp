// draw_normal on the CPU: Stream::fill_normal, on all threads; contract in ops/random.cpp. 4 bytes
// an element, which the logarithm, sine and cosine of a pair outweigh. The other draws are a few
// hundred numbers a step: the reference serves them.
#include "tensor/random.h"
#include "ops/op.h"

namespace limbeck::cpu_random {
namespace {

void normal(const ForwardCall& c) {
  const int64_t* place = c.in[0].data<int64_t>();
  Stream(static_cast<uint64_t>(place[0]), static_cast<uint64_t>(place[1]))
      .fill_normal(c.out[0], c.attrs.number("mean", 0), c.attrs.number("deviation", 1));
}

const RegisterKernel draw_normal({.op = "draw_normal", .name = "cpu", .forward = normal});

}  // namespace
}  // namespace limbeck::cpu_random
