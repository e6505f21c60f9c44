// sgd_step, adam_step and ema_step of many tensors in one launch per 64 of them; f32. Formulas in
// ops/optimizer_steps.cpp, the arithmetic of an element in ops_cuda/optimizer_steps.h: the bits of
// the kernels of one tensor. The list of tensors is an argument of the kernel (3 KiB of the 4 KiB
// that arguments may have): nothing is copied to the device, and a captured graph keeps the list.
// Threads: a block takes 1024 elements of one tensor, which it finds by bisection in the list of
// first blocks; four elements a thread by 16-byte accesses, where the address allows. Shared
// memory: the scalars of the step. Deterministic. Bytes an element: sgd 20, adam 28, ema 12.
// Source: PyTorch's multi-tensor optimisers have the same idea.
#include "ops/steps.h"
#include "ops_cuda/optimizer_steps.h"
#include "ops_cuda/pointers.h"

namespace limbeck::cuda {
namespace {

constexpr int most_tensors = 64, per_thread = 4, threads = 256, per_block = per_thread * threads;

/// P arrays for each tensor.
template <int P>
struct List {
  float* data[most_tensors][P];
  int64_t size[most_tensors];
  uint32_t first_block[most_tensors + 1];
  uint64_t aligned;  // bit t: the arrays of tensor t can be read in vectors
  int count;
};

struct SgdStep {
  static constexpr int arrays = 3;
  using Now = float;
  Sgd sgd;
  const float* lr;
  __device__ static bool writes(int array) { return array != 1; }
  __device__ Now now() const { return lr[0]; }
  __device__ void operator()(Now lr_now, float (&x)[arrays]) const {
    sgd.step<float>(x[0], x[1], x[2], lr_now);
  }
};
struct AdamStep {
  static constexpr int arrays = 4;
  using Now = Adam::Now<float>;
  Adam adam;
  const float* hyper;
  __device__ static bool writes(int array) { return array != 1; }
  __device__ Now now() const { return adam.now<float>(hyper[0], hyper[1]); }
  __device__ void operator()(Now now, float (&x)[arrays]) const {
    adam.step<float>(x[0], x[1], x[2], x[3], now);
  }
};
struct EmaStep {
  static constexpr int arrays = 2;
  using Now = float;
  const float* decay;
  __device__ static bool writes(int array) { return array == 0; }
  __device__ Now now() const { return decay[0]; }
  __device__ void operator()(Now a, float (&x)[arrays]) const {
    const float b = 1 - a;
    x[0] = a * x[0] + b * x[1];
  }
};

template <class Step>
__global__ void __launch_bounds__(threads) step_all(List<Step::arrays> list, Step step) {
  constexpr int P = Step::arrays;
  SHARED(typename Step::Now, now, [1]);
  if (threadIdx.x == 0) now[0] = step.now();
  __syncthreads();
  int t = 0;
  for (int half = most_tensors / 2; half > 0; half /= 2)
    if (t + half < list.count && list.first_block[t + half] <= blockIdx.x) t += half;
  const int64_t at = static_cast<int64_t>(blockIdx.x - list.first_block[t]) * per_block +
                     threadIdx.x * per_thread,
                size = list.size[t];
  if (at >= size) return;
  if (((list.aligned >> t) & 1) != 0 && at + per_thread <= size) {
    Vector<float, per_thread> x[P];
    for (int p = 0; p < P; ++p) x[p] = load_vector<per_thread>(list.data[t][p] + at);
    for (int i = 0; i < per_thread; ++i) {
      float element[P];
      for (int p = 0; p < P; ++p) element[p] = x[p][i];
      step(now[0], element);
      for (int p = 0; p < P; ++p) x[p][i] = element[p];
    }
    for (int p = 0; p < P; ++p)
      if (Step::writes(p)) store_vector(list.data[t][p] + at, x[p]);
    return;
  }
  for (int64_t i = at; i < at + per_thread && i < size; ++i) {
    float element[P];
    for (int p = 0; p < P; ++p) element[p] = list.data[t][p][i];
    step(now[0], element);
    for (int p = 0; p < P; ++p)
      if (Step::writes(p)) list.data[t][p][i] = element[p];
  }
}

template <class Step>
void run(const std::vector<Tensors>& each, const Tensor& scalars, const Step& step) {
  List<Step::arrays> list{};
  uint32_t blocks = 0;
  const auto launch = [&] {
    if (list.count == 0) return;
    LAUNCH(step_all<Step>, blocks, threads, 0, stream_of(scalars))(list, step);
    list = {};
    blocks = 0;
  };
  for (const Tensors& tensors : each) {
    const int64_t size = tensors[0].numel();
    if (size == 0) continue;
    const int64_t more = ceil_div(size, per_block);
    LIMBECK_CHECK(more < 0x7fffffff, "optimiser step of ", describe(tensors[0]), ": too large");
    if (list.count == most_tensors || blocks + more > 0x7fffffff) launch();
    const int t = list.count++;
    bool aligned = true;
    for (int p = 0; p < Step::arrays; ++p) {
      list.data[t][p] = tensors[static_cast<size_t>(p)].template data<float>();
      aligned = aligned && aligned_for(per_thread, list.data[t][p]);
    }
    list.size[t] = size;
    list.first_block[t] = blocks;
    list.aligned |= uint64_t{aligned} << t;
    blocks += static_cast<uint32_t>(more);
    list.first_block[t + 1] = blocks;
  }
  launch();
}

const RegisterSteps sgd("sgd_step", DeviceKind::cuda,
                        [](const std::vector<Tensors>& each, const Tensor& lr, const Attrs& attrs) {
                          run(each, lr, SgdStep{Sgd(attrs), lr.data<float>()});
                        });
const RegisterSteps adam("adam_step", DeviceKind::cuda,
                         [](const std::vector<Tensors>& each, const Tensor& hyper,
                            const Attrs& attrs) {
                           run(each, hyper, AdamStep{Adam(attrs), hyper.data<float>()});
                         });
const RegisterSteps ema("ema_step", DeviceKind::cuda,
                        [](const std::vector<Tensors>& each, const Tensor& decay, const Attrs&) {
                          run(each, decay, EmaStep{decay.data<float>()});
                        });

}  // namespace
}  // namespace limbeck::cuda
