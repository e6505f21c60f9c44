// Station 5: one convolution by its definition, by window sums in registers, and by Winograd's
// F(4x4, 3x3). `5-convolution time` also says how long each takes here.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <string>

#include "ops_cpu/conv2d.h"
#include "ops_cpu/conv2d_winograd.h"
#include "tensor/random.h"

using namespace limbeck;

namespace {

using Convolution = std::function<void(const float* x, const float* w, float* y)>;

struct Way {
  const char* name;
  double multiplications;
  Convolution run;
};

/// Of y from the exact result, as a part of its largest element.
double largest_difference(const Tensor& y, const Tensor& exact) {
  double difference = 0, largest = 0;
  for (int64_t i = 0; i < y.numel(); ++i) {
    difference = std::max(difference, std::abs(y.at(i) - exact.at(i)));
    largest = std::max(largest, std::abs(exact.at(i)));
  }
  return difference / largest;
}

double milliseconds(const std::function<void()>& run) {
  const auto begin = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

}  // namespace

int main(int argc, char** argv) {
  const bool timed = argc > 1 && std::string(argv[1]) == "time";
  const int64_t images = timed ? 16 : 1;
  const Tensor x = Tensor::empty({images, 16, 16, 32}), w = Tensor::empty({32, 3, 3, 32});
  Stream stream(5);
  stream.fill_uniform(x, -1, 1);
  stream.fill_uniform(w, -1, 1);
  const Conv2dSizes s = conv2d_sizes(x.shape(), w.shape(), {{"padding", 1}});
  const double products = s.flops() / 2, tiles = static_cast<double>(s.n * s.oh * s.ow) / 16;

  const Tensor exact = Tensor::empty({s.n, s.oh, s.ow, s.o}, DType::f64);
  conv2d_forward_reference<double>(s, x.to(DType::f64).data<double>(),
                                   w.to(DType::f64).data<double>(), nullptr, exact.data<double>());
  const Way ways[] = {
      {"definition", products,
       [&](auto* in, auto* k, auto* out) {
         conv2d_forward_reference<float>(s, in, k, nullptr, out);
       }},
      {"window sums", products,
       [&](auto* in, auto* k, auto* out) { conv2d_forward_cpu(s, in, k, nullptr, out); }},
      {"Winograd", tiles * 36 * static_cast<double>(s.c * s.o),
       [&](auto* in, auto* k, auto* out) { winograd_forward_cpu(s, in, k, nullptr, out); }}};
  std::printf("x %s, w %s, padding 1\n", to_string(x.shape()).c_str(),
              to_string(w.shape()).c_str());
  for (const Way& way : ways) {
    const Tensor y = Tensor::empty(exact.shape());
    const auto run = [&] { way.run(x.data<float>(), w.data<float>(), y.data<float>()); };
    run();
    std::printf("%-12s %9.0f multiplications, largest difference below 1e%.0f\n", way.name,
                way.multiplications, std::ceil(std::log10(largest_difference(y, exact))));
    if (timed) std::printf("%14.2f ms\n", milliseconds(run));
  }
  std::printf("one tile: 4 x 4 outputs of 6 x 6 inputs, 36 products instead of 144\n");
}
