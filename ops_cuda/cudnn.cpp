// conv2d and conv_transpose2d by cuDNN, under the kernel name "cudnn"; formulas in conv2d.cu. Our
// tensors are cuDNN's NHWC, our weights [O, kh, kw, C/G] its NHWC filters. Of the algorithms that
// its heuristics offer, the first one that is deterministic, fits the workspace and does not refuse
// a trial serves; where a direction has none the kernel does not support the call. The bias is
// added, and its gradient summed, by our own kernels. Images in f32: without TF32, or in TF32, as
// execution().products says. Images in bf16: tensor cores with f32 sums; cuDNN wants all three
// tensors in one type, so weights are rounded to bf16 for each call, and so is their gradient,
// which then becomes f32 again.
#include "ops_cuda/cudnn.h"

#include <algorithm>
#include <array>
#include <bit>
#include <compare>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <utility>

#include "ops/convolution_calls.h"
#include "ops_cuda/column_sums.h"
#include "ops_cuda/copy.h"
#include "ops_cuda/precision.h"
#include "ops_cuda/row_bias.h"
#include "ops_cuda/vendor.h"

namespace limbeck::cuda::cudnn {
namespace {

constexpr size_t oldest_version = 8000;  // 8.0: fma_math, which makes f32 mean f32

std::string unfit();

VendorLibrary& library() {
  static auto* l =
      new VendorLibrary("cuDNN", "LIMBECK_CUDNN", {"libcudnn.so.9", "libcudnn.so.8"}, unfit);
  return *l;
}

/// The functions of one direction.
template <class First_, class Second_, class Result_>
struct Direction {
  using First = First_;
  using Second = Second_;
  using Result = Result_;
  const char* name;
  GetAlgorithm<First, Second, Result>* algorithm;
  GetWorkspaceSize<First, Second, Result>* workspace;
  Convolve<First, Second, Result>* convolve;

  Direction(const char* name_, const char* algorithm_, const char* workspace_) : name(name_) {
    library().find(algorithm, algorithm_);
    library().find(workspace, workspace_);
    library().find(convolve, name_);
  }
};
using Forward = Direction<TensorDescriptor, FilterDescriptor, TensorDescriptor>;  // x, w -> y
using BackwardData =
    Direction<FilterDescriptor, TensorDescriptor, TensorDescriptor>;  // w, dy -> dx
using BackwardFilter =
    Direction<TensorDescriptor, TensorDescriptor, FilterDescriptor>;  // x, dy -> dw

struct Functions {
  Create* create;
  GetErrorString* words;
  SetStream* set_stream;
  CreateTensor* create_tensor;
  CreateFilter* create_filter;
  CreateConvolution* create_convolution;
  DestroyTensor* destroy_tensor;
  DestroyFilter* destroy_filter;
  DestroyConvolution* destroy_convolution;
  SetTensor4d* set_tensor;
  SetFilter4d* set_filter;
  SetConvolution2d* set_convolution;
  SetGroupCount* set_groups;
  SetMathType* set_math;
  Forward forward{"cudnnConvolutionForward", "cudnnGetConvolutionForwardAlgorithm_v7",
                  "cudnnGetConvolutionForwardWorkspaceSize"};
  BackwardData backward_data{"cudnnConvolutionBackwardData",
                             "cudnnGetConvolutionBackwardDataAlgorithm_v7",
                             "cudnnGetConvolutionBackwardDataWorkspaceSize"};
  BackwardFilter backward_filter{"cudnnConvolutionBackwardFilter",
                                 "cudnnGetConvolutionBackwardFilterAlgorithm_v7",
                                 "cudnnGetConvolutionBackwardFilterWorkspaceSize"};

  Functions() {
    library().find(create, "cudnnCreate");
    library().find(words, "cudnnGetErrorString");
    library().find(set_stream, "cudnnSetStream");
    library().find(create_tensor, "cudnnCreateTensorDescriptor");
    library().find(create_filter, "cudnnCreateFilterDescriptor");
    library().find(create_convolution, "cudnnCreateConvolutionDescriptor");
    library().find(destroy_tensor, "cudnnDestroyTensorDescriptor");
    library().find(destroy_filter, "cudnnDestroyFilterDescriptor");
    library().find(destroy_convolution, "cudnnDestroyConvolutionDescriptor");
    library().find(set_tensor, "cudnnSetTensor4dDescriptor");
    library().find(set_filter, "cudnnSetFilter4dDescriptor");
    library().find(set_convolution, "cudnnSetConvolution2dDescriptor");
    library().find(set_groups, "cudnnSetConvolutionGroupCount");
    library().find(set_math, "cudnnSetConvolutionMathType");
  }
};

const Functions& functions() {
  static const Functions f;  // tried again after an error
  return f;
}

/// What cuDNN calls NOT_SUPPORTED: nothing is wrong, but this call is not for it.
struct NotSupported : Error {
  using Error::Error;
};

/// 3000, or up to 3999 with a reason, in cuDNN 9; 9 in cuDNN 8.
bool is_not_supported(Status status) { return status / 1000 == 3 || status == 9; }

void check(Status status, const char* call) {
  if (status == success) return;
  const std::string text = cat("cuDNN: ", call, ": ", functions().words(status), " (status ",
                               static_cast<int>(status), ")");
  if (is_not_supported(status)) throw NotSupported(text);
  throw Error(text);
}

size_t version() {
  GetVersion* get = nullptr;
  library().find(get, "cudnnGetVersion");
  return get();
}

std::string unfit() {
  if (version() < oldest_version)
    return cat(description(), " is too old: version ", oldest_version / 1000, " or newer serves");
  functions();  // an error names the first one that is not there
  return {};
}

VendorHandles<Handle>& handles() {
  const auto create = [] {
    Handle made = nullptr;
    check(functions().create(&made), "cudnnCreate");
    return made;
  };
  const auto set_stream = [](Handle handle, cudaStream_t stream) {
    check(functions().set_stream(handle, stream), "cudnnSetStream");
  };
  static auto* h = new VendorHandles<Handle>("cuDNN", create, set_stream);
  return *h;
}

int narrow(int64_t v) { return static_cast<int>(v); }

/// What is multiplied, and how; sums are f32.
struct Numbers {
  DataType type;
  bool tensor_cores;
  auto operator<=>(const Numbers&) const = default;
};
Numbers numbers_of(DType images) {
  return images == DType::bf16 ? Numbers{data_bfloat16, true}
                               : Numbers{data_float, execution().products == Precision::tf32};
}

template <class Descriptor>
struct Operand {
  Descriptor descriptor = nullptr;
  int64_t bytes = 0;
};

/// Descriptors of one convolution.
struct Descriptors {
  Operand<TensorDescriptor> x, y;
  Operand<FilterDescriptor> w;
  ConvolutionDescriptor convolution = nullptr;

  Descriptors() = default;
  Descriptors(const Descriptors&) = delete;
  ~Descriptors() {
    const Functions& f = functions();
    for (const auto& t : {x, y})
      if (t.descriptor) f.destroy_tensor(t.descriptor);
    if (w.descriptor) f.destroy_filter(w.descriptor);
    if (convolution) f.destroy_convolution(convolution);
  }
  /// Throws where cuDNN refuses, and then destroys what was made.
  Descriptors(const Conv2dSizes& s, const Numbers& numbers) : Descriptors() {
    const Functions& f = functions();
    check(f.create_tensor(&x.descriptor), "cudnnCreateTensorDescriptor");
    check(f.create_tensor(&y.descriptor), "cudnnCreateTensorDescriptor");
    check(f.create_filter(&w.descriptor), "cudnnCreateFilterDescriptor");
    check(f.create_convolution(&convolution), "cudnnCreateConvolutionDescriptor");
    check(f.set_tensor(x.descriptor, nhwc, numbers.type, narrow(s.n), narrow(s.c), narrow(s.h),
                       narrow(s.w)),
          "cudnnSetTensor4dDescriptor");
    check(f.set_tensor(y.descriptor, nhwc, numbers.type, narrow(s.n), narrow(s.o), narrow(s.oh),
                       narrow(s.ow)),
          "cudnnSetTensor4dDescriptor");
    check(f.set_filter(w.descriptor, numbers.type, nhwc, narrow(s.o), narrow(s.c_per_group()),
                       narrow(s.kh), narrow(s.kw)),
          "cudnnSetFilter4dDescriptor");
    const int64_t size = numbers.type == data_bfloat16 ? 2 : 4;
    x.bytes = size * s.n * s.h * s.w * s.c;
    y.bytes = size * s.n * s.oh * s.ow * s.o;
    w.bytes = size * s.o * s.kh * s.kw * s.c_per_group();
    check(f.set_convolution(convolution, narrow(s.pad_h), narrow(s.pad_w), narrow(s.stride_h),
                            narrow(s.stride_w), narrow(s.dilation_h), narrow(s.dilation_w),
                            cross_correlation, data_float),
          "cudnnSetConvolution2dDescriptor");
    check(f.set_groups(convolution, narrow(s.groups)), "cudnnSetConvolutionGroupCount");
    check(f.set_math(convolution, numbers.tensor_cores ? default_math : fma_math),
          "cudnnSetConvolutionMathType");
  }
};

constexpr size_t largest_workspace = size_t{256} << 20;

// Which operands a direction takes.
void assign(const Descriptors& d, Operand<TensorDescriptor>& first,
            Operand<FilterDescriptor>& second, Operand<TensorDescriptor>& result) {
  first = d.x, second = d.w, result = d.y;
}
void assign(const Descriptors& d, Operand<FilterDescriptor>& first,
            Operand<TensorDescriptor>& second, Operand<TensorDescriptor>& result) {
  first = d.w, second = d.y, result = d.x;
}
void assign(const Descriptors& d, Operand<TensorDescriptor>& first,
            Operand<TensorDescriptor>& second, Operand<FilterDescriptor>& result) {
  first = d.x, second = d.y, result = d.w;
}

/// How cuDNN computes one direction of a convolution.
template <class D>
struct Plan {
  std::shared_ptr<const Descriptors> descriptors;  // of which the next four are
  Operand<typename D::First> first;
  Operand<typename D::Second> second;
  Operand<typename D::Result> result;
  ConvolutionDescriptor convolution;
  Algorithm algorithm = -1;
  int64_t workspace_bytes = 0;

  explicit Plan(std::shared_ptr<const Descriptors> d)
      : descriptors(std::move(d)), convolution(descriptors->convolution) {
    assign(*descriptors, first, second, result);
  }
};

template <class D>
Status convolve_by(const Plan<D>& plan, const D& direction, Handle handle, const Tensor& first,
                   const Tensor& second, const Tensor& result) {
  const Tensor workspace = plan.workspace_bytes
                               ? Tensor::empty({plan.workspace_bytes}, DType::u8, result.device())
                               : Tensor();
  const float one = 1, zero = 0;
  return direction.convolve(handle, &one, plan.first.descriptor, first.raw(),
                            plan.second.descriptor, second.raw(), plan.convolution, plan.algorithm,
                            workspace.raw(), static_cast<size_t>(plan.workspace_bytes), &zero,
                            plan.result.descriptor, result.raw());
}

void fill_zero(const Tensor& t) {
  if (t.numel())
    cuda_check(cudaMemsetAsync(t.raw(), 0, static_cast<size_t>(t.bytes()), stream_of(t)));
}

/// Whether an algorithm that cuDNN offered does it, too: some are refused only when they are
/// called.
template <class D>
bool passes_trial(const Plan<D>& plan, const D& direction, Handle handle, int device) {
  const auto memory = [&](int64_t bytes) {
    const Tensor t = Tensor::empty({bytes}, DType::u8, Device{DeviceKind::cuda, device});
    fill_zero(t);
    return t;
  };
  const Status status = convolve_by(plan, direction, handle, memory(plan.first.bytes),
                                    memory(plan.second.bytes), memory(plan.result.bytes));
  if (is_not_supported(status)) return false;
  check(status, direction.name);
  return true;
}

/// Throws NotSupported where there is none.
template <class D>
Plan<D> make_plan(const D& direction, const Conv2dSizes& s, const Numbers& numbers, int device,
                  Handle handle) {
  Plan<D> plan(std::make_shared<const Descriptors>(s, numbers));
  const auto first = plan.first.descriptor;
  const auto second = plan.second.descriptor;
  const auto result = plan.result.descriptor;
  std::array<AlgorithmPerformance, 16> offers{};
  int count = 0;
  check(direction.algorithm(handle, first, second, plan.convolution, result,
                            static_cast<int>(offers.size()), &count, offers.data()),
        direction.name);
  for (int i = 0; i < count; ++i) {
    const AlgorithmPerformance& offer = offers[static_cast<size_t>(i)];
    size_t bytes = 0;
    if (offer.status != success || offer.determinism != deterministic) continue;
    // In f32 the descriptor keeps saying that nothing but fused multiply-adds will do.
    if (numbers.tensor_cores)
      check(functions().set_math(plan.convolution, offer.math), "cudnnSetConvolutionMathType");
    if (direction.workspace(handle, first, second, plan.convolution, result, offer.algorithm,
                            &bytes) != success)
      continue;
    if (bytes > largest_workspace) continue;
    plan.algorithm = offer.algorithm;
    plan.workspace_bytes = static_cast<int64_t>(bytes);
    if (passes_trial(plan, direction, handle, device)) return plan;
  }
  throw NotSupported(cat("cuDNN: ", direction.name, ": none of the ", count,
                         " algorithms that it offers is deterministic, needs at most ",
                         largest_workspace >> 20, " MiB and does not refuse the call"));
}

/// What was planned, or why nothing can be; one entry for each kind of call, kept for ever.
template <class D>
struct Planned {
  std::optional<Plan<D>> plan;
  std::string problem;
};

template <class D>
const Planned<D>& plan_for(const D& direction, const Conv2dSizes& s, const Numbers& numbers,
                           int device, Handle handle) {
  using Sizes = std::array<int64_t, sizeof(Conv2dSizes) / sizeof(int64_t)>;
  static auto& plans = *new std::map<std::tuple<Sizes, int, Numbers>,
                                     Planned<D>>;  // never destroyed, like the library
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  const auto key = std::tuple(std::bit_cast<Sizes>(s), device, numbers);
  if (const auto found = plans.find(key); found != plans.end()) return found->second;
  require_eager("cuDNN, for sizes that are new to it",
                device);  // the trial would become part of the step
  Planned<D> planned;
  try {
    planned.plan = make_plan(direction, s, numbers, device, handle);
  } catch (const NotSupported& e) {
    planned.problem = e.what();
  }
  return plans.emplace(key, std::move(planned)).first->second;
}

template <class D>
void run(const D& direction, const Conv2dSizes& s, const Tensor& first, const Tensor& second,
         const Tensor& result) {
  const int device = result.device().index;
  const auto [lock, handle] = handles().lease(device);
  const Planned<D>& planned = plan_for(direction, s, numbers_of(result.dtype()), device, handle);
  LIMBECK_CHECK(planned.plan, planned.problem);
  check(convolve_by(*planned.plan, direction, handle, first, second, result), direction.name);
}

// --- the operators -------------------------------------------------------------------------------
Tensor in_type_of(const Tensor& images, const Tensor& w) {
  return w.dtype() == images.dtype() ? w : w.to(images.dtype());
}

void convolve(const Conv2dSizes& s, const Tensor& x, const Tensor& w, const Tensor& b,
              const Tensor& y) {
  run(functions().forward, s, x, in_type_of(x, w), y);
  if (b) add_row_bias(y, s.n * s.oh * s.ow, s.o, b.data<float>());
}

void backward_data(const Conv2dSizes& s, const Tensor& dy, const Tensor& w, const Tensor& b,
                   const Tensor& dx) {
  run(functions().backward_data, s, in_type_of(dy, w), dy, dx);
  if (b) add_row_bias(dx, s.n * s.h * s.w, s.c, b.data<float>());
}

void backward_weight(const Conv2dSizes& s, const Tensor& x, const Tensor& dy, const Tensor& dw) {
  if (dw.dtype() == dy.dtype()) return run(functions().backward_filter, s, x, dy, dw);
  const Tensor rounded = Tensor::empty(dw.shape(), dy.dtype(), dw.device());
  run(functions().backward_filter, s, x, dy, rounded);
  convert_elements(dw.raw(), dw.dtype(), rounded.raw(), rounded.dtype(), dw.numel(), stream_of(dw));
}

/// Whether cuDNN has an algorithm for all three directions; only it can tell, by trial. Makes the
/// plans, and the handle.
bool offers_algorithms(const Conv2dSizes& s, const Numbers& numbers, int device) {
  const auto [lock, handle] = handles().lease(device);
  const Functions& f = functions();
  return plan_for(f.forward, s, numbers, device, handle).plan &&
         plan_for(f.backward_data, s, numbers, device, handle).plan &&
         plan_for(f.backward_filter, s, numbers, device, handle).plan;
}

/// cuDNN describes no tensor without elements; sizes fit its integers; and its formula for the
/// output gives ours: a transposed convolution may have pixels that no window reads.
bool fits(const Conv2dSizes& s) {
  constexpr double limit = std::numeric_limits<int>::max();
  const double x = double(s.n) * double(s.h) * double(s.w) * double(s.c),
               y = double(s.n) * double(s.oh) * double(s.ow) * double(s.o);
  const double w = double(s.o) * double(s.kh) * double(s.kw) * double(s.c_per_group()),
               window = double(s.dilation_h) * double(s.kh) + double(s.dilation_w) * double(s.kw);
  if (x == 0 || y == 0 || w == 0) return false;
  if (std::max({x, y, w, window, double(s.stride_h), double(s.stride_w), double(s.h + 2 * s.pad_h),
                double(s.w + 2 * s.pad_w)}) > limit)
    return false;
  const auto positions = [](int64_t size, int64_t pad, int64_t taps, int64_t dilation,
                            int64_t stride) {
    return (size + 2 * pad - dilation * (taps - 1) - 1) / stride + 1;
  };
  return positions(s.h, s.pad_h, s.kh, s.dilation_h, s.stride_h) == s.oh &&
         positions(s.w, s.pad_w, s.kw, s.dilation_w, s.stride_w) == s.ow;
}

/// `x` says on which device; of tensors that are still on the CPU the first one is asked.
bool serves(const Conv2dSizes& s, const Tensor& x) {
  if (x.dtype() == DType::f32 && execution().products == Precision::bf16)
    return false;  // left to our kernels
  return fits(s) && missing().empty() &&
         offers_algorithms(s, numbers_of(x.dtype()), x.device() == cpu ? 0 : x.device().index);
}

template <class S>
using Calls = ConvolutionCalls<convolve, backward_data, backward_weight, sum_columns<S>>;

template <class S>
Kernel conv2d_by_cudnn() {
  return {.op = "conv2d",
          .device = DeviceKind::cuda,
          .name = "cudnn",
          .dtype = dtype_of<S>,
          .forward = Calls<S>::forward,
          .backward = Calls<S>::backward,
          .priority = -1,
          .supports = [](const Tensors& in,
                         const Attrs& a) { return serves(Calls<S>::sizes(in, a), in[0]); },
          .missing = missing,
          .library = description};
}
template <class S>
Kernel conv_transpose2d_by_cudnn() {
  return {
      .op = "conv_transpose2d",
      .device = DeviceKind::cuda,
      .name = "cudnn",
      .dtype = dtype_of<S>,
      .forward = Calls<S>::transpose_forward,
      .backward = Calls<S>::transpose_backward,
      .priority = -1,
      .supports = [](const Tensors& in,
                     const Attrs& a) { return serves(Calls<S>::transpose_sizes(in, a), in[0]); },
      .missing = missing,
      .library = description};
}
const RegisterKernel conv2d(conv2d_by_cudnn<float>()), conv2d_bf16(conv2d_by_cudnn<bfloat16>());
const RegisterKernel conv_transpose2d(conv_transpose2d_by_cudnn<float>()),
    conv_transpose2d_bf16(conv_transpose2d_by_cudnn<bfloat16>());

}  // namespace

std::string missing() { return library().missing(); }

std::string description() {
  const size_t v = version(), scale = v >= 90000 ? 10000 : 1000;  // 8907 is 8.9.7, 91900 is 9.19.0
  return cat("cuDNN ", v / scale, ".", v % scale / 100, ".", v % 100, " (", library().file(), ")");
}

}  // namespace limbeck::cuda::cudnn
