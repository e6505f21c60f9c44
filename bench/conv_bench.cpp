// Convolution and matrix products of the paper's networks: forward, backward-data, backward-weight,
// in GFLOP/s of this process.
//   build/limbeck_bench --benchmark_filter=conv        (OMP_NUM_THREADS, LIMBECK_ISA choose
//                                                      threads and instruction set)
#include <benchmark/benchmark.h>

#include "ops_cpu/conv2d.h"
#include "ops_cpu/gemm.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

enum class Pass { forward, data, weight };

struct Layer {
  const char* name;
  int64_t n, size, c, o, k, stride, groups;
};

Conv2dSizes sizes_of(const Layer& l) {
  return conv2d_sizes({l.n, l.size, l.size, l.c}, {l.o, l.k, l.k, l.c / l.groups},
                      {{"stride", l.stride}, {"padding", l.k / 2}, {"groups", l.groups}});
}

void run_conv(benchmark::State& state, const Layer& layer, Pass pass) {
  const Conv2dSizes s = sizes_of(layer);
  Stream stream(1);
  const Tensor x = Tensor::empty({s.n, s.h, s.w, s.c}),
               w = Tensor::empty({s.o, s.kh, s.kw, s.c_per_group()}),
               y = Tensor::empty({s.n, s.oh, s.ow, s.o});
  for (const Tensor& t : {x, w, y}) stream.fill_uniform(t, -1, 1);
  float *const px = x.data<float>(), *const pw = w.data<float>(), *const py = y.data<float>();
  for (auto _ : state) {
    switch (pass) {
      case Pass::forward: conv2d_forward_cpu(s, px, pw, nullptr, py); break;
      case Pass::data: conv2d_backward_data_cpu(s, py, pw, nullptr, px); break;
      case Pass::weight: conv2d_backward_weight_cpu(s, px, py, pw); break;
    }
    benchmark::ClobberMemory();
  }
  state.counters["FLOP/s"] =
      benchmark::Counter(s.flops() * state.iterations(), benchmark::Counter::kIsRate);
}

void run_gemm(benchmark::State& state, bool ta, bool tb) {
  const int64_t n = state.range(0);
  Stream stream(1);
  const Tensor a = Tensor::empty({n, n}), b = Tensor::empty({n, n}), c = Tensor::empty({n, n});
  stream.fill_uniform(a, -1, 1);
  stream.fill_uniform(b, -1, 1);
  for (auto _ : state) {
    gemm({ta, tb, n, n, n, a.data<float>(), n, b.data<float>(), n, c.data<float>(), n});
    benchmark::ClobberMemory();
  }
  state.counters["FLOP/s"] =
      benchmark::Counter(2.0 * n * n * n * state.iterations(), benchmark::Counter::kIsRate);
}

const bool registered = [] {
  static const Layer layers[] = {
      {"resnet20_stem", 64, 32, 3, 16, 3, 1, 1},
      {"resnet20_16", 64, 32, 16, 16, 3, 1, 1},
      {"resnet20_16to32", 64, 32, 16, 32, 3, 2, 1},
      {"resnet20_32", 64, 16, 32, 32, 3, 1, 1},
      {"resnet20_64", 64, 8, 64, 64, 3, 1, 1},
      {"resnet8x4_64", 64, 32, 64, 64, 3, 1, 1},
      {"resnet8x4_128", 64, 16, 128, 128, 3, 1, 1},
      {"resnet8x4_64to128", 64, 32, 64, 128, 3, 2, 1},
      {"resnet8x4_256", 64, 8, 256, 256, 3, 1, 1},
      {"vgg8_512", 64, 4, 512, 512, 3, 1, 1},
      {"shortcut_1x1", 64, 32, 64, 128, 1, 2, 1},
      {"biggan_96", 16, 32, 96, 96, 3, 1, 1},
      {"biggan_to_image", 16, 32, 96, 3, 3, 1, 1},
      {"depthwise_96", 64, 16, 96, 96, 3, 1, 96},
      {"shuffle_1x1_groups3", 64, 16, 240, 60, 1, 1, 3},
      {"shufflev1_1x1_groups3_up", 64, 8, 120, 480, 1, 1, 3},
      {"shufflev2_1x1_58", 64, 16, 58, 58, 1, 1, 1},
      {"shufflev2_1x1_116", 64, 8, 116, 116, 1, 1, 1},
      {"shufflev2_depthwise_58", 64, 16, 58, 58, 3, 1, 58},
      {"shufflev2_depthwise_58_stride2", 64, 32, 58, 58, 3, 2, 58},
      {"efficientnet_depthwise5_240", 64, 8, 240, 240, 5, 1, 240},
      {"efficientnet_depthwise3_96_stride2", 64, 32, 96, 96, 3, 2, 96},
      {"efficientnet_depthwise5_144_stride2", 64, 16, 144, 144, 5, 2, 144},
      {"densenet_1x1", 64, 32, 128, 128, 1, 1, 1},
      {"densenet_3x3", 64, 32, 128, 32, 3, 1, 1},
      {"densenet_1x1_deep", 64, 4, 896, 128, 1, 1, 1},
      {"densenet_1x1_992", 64, 8, 992, 128, 1, 1, 1},
      {"densenet_transition", 64, 8, 1024, 512, 1, 1, 1},
      {"resnet50_1x1_up", 64, 16, 128, 512, 1, 1, 1},
      {"resnet50_1x1_down", 64, 8, 1024, 256, 1, 1, 1},
      {"resnet50_1x1_512", 64, 16, 512, 128, 1, 1, 1},
  };
  for (const Layer& l : layers)
    for (const auto& [name, pass] :
         {std::pair{"forward", Pass::forward}, {"data", Pass::data}, {"weight", Pass::weight}})
      benchmark::RegisterBenchmark(cat("conv2d/", l.name, "/", name).c_str(), run_conv, l, pass)
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
  for (int t = 0; t < 4; ++t)
    benchmark::RegisterBenchmark(cat("gemm/", t & 1 ? "t" : "n", t & 2 ? "t" : "n").c_str(),
                                 run_gemm, t & 1, t & 2)
        ->Arg(64)
        ->Arg(512)
        ->Arg(1024)
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
  return true;
}();

}  // namespace
}  // namespace limbeck
