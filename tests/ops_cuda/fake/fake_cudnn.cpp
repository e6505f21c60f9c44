// cuDNN's convolutions on NHWC tensors and filters, as its manual defines them. Of the algorithms
// it offers, number 0 is not deterministic, 1 does not serve, 2 wants more workspace than anybody
// has, 4 is refused when it is called, 3 serves: any other one that is run is an error. Of windows
// of one height (State::unsupported_window) it says at once that it does not support them.
#include <cstring>

#include "ops_cuda/cudnn.h"
#include "tests/ops_cuda/fake/fake.h"

namespace limbeck::cuda::cudnn {
struct HandleRecord {
  cudaStream_t stream = nullptr;
};
struct TensorRecord {
  int64_t n = 0, c = 0, h = 0, w = 0;
  DataType type = data_float;
};
struct FilterRecord {
  int64_t k = 0, c = 0, h = 0, w = 0;
  DataType type = data_float;
};
struct ConvolutionRecord {
  int64_t pad_h = 0, pad_w = 0, stride_h = 0, stride_w = 0, dilation_h = 0, dilation_w = 0,
          groups = 1;
  Math math = default_math;
};
}  // namespace limbeck::cuda::cudnn

using namespace limbeck::cuda::cudnn;

FAKE_EXPORT fake::State fake_state;
fake::State fake_state{.unsupported_window = fake::number("LIMBECK_STAND_IN_UNSUPPORTED_WINDOW",
                                                          0),  // declared above with C linkage
                       .failing_window = fake::number("LIMBECK_STAND_IN_FAILING_WINDOW", 0)};
FAKE_EXPORT const int limbeck_stand_in;  // by which ops_cuda/vendor.cpp knows it
const int limbeck_stand_in = 1;

namespace {

constexpr Status not_initialized{1001}, bad_parameter{2000}, not_supported{3000},
    not_supported_shape{3002}, execution_failed{5000};
constexpr Algorithm serving = 3, refused = 4;
constexpr size_t workspace_bytes = 1000;

bool consistent(const TensorRecord& x, const FilterRecord& w, const ConvolutionRecord& c,
                const TensorRecord& y) {
  const auto positions = [](int64_t size, int64_t pad, int64_t taps, int64_t dilation,
                            int64_t stride) {
    return (size + 2 * pad - ((taps - 1) * dilation + 1)) / stride + 1;
  };
  return x.type == y.type && x.type == w.type && x.n == y.n && w.c * c.groups == x.c &&
         w.k == y.c && w.k % c.groups == 0 &&
         y.h == positions(x.h, c.pad_h, w.h, c.dilation_h, c.stride_h) &&
         y.w == positions(x.w, c.pad_w, w.w, c.dilation_w, c.stride_w);
}

Status offer(bool consistent_sizes, const FilterRecord& w, const ConvolutionRecord& c, int wanted,
             int* found, AlgorithmPerformance* offers) {
  if (!consistent_sizes) return bad_parameter;
  if (w.h == fake_state.unsupported_window) return not_supported;
  const AlgorithmPerformance all[] = {
      {0, success, 1, 0, non_deterministic, c.math, {}},
      {1, not_supported, -1, 0, deterministic, c.math, {}},
      {2, success, 2, size_t{1} << 40, deterministic, c.math, {}},
      {refused, success, 3, 0, deterministic, c.math, {}},
      {serving, success, 4, workspace_bytes, deterministic, c.math, {}}};
  *found = std::min(wanted, fake_state.offer_nothing ? 4 : 5);
  std::copy(all, all + *found, offers);
  return success;
}

Status size_of(Algorithm algorithm, size_t* bytes) {
  if (algorithm == 1) return not_supported;
  return *bytes = algorithm == 2         ? size_t{1} << 40
                  : algorithm == serving ? workspace_bytes
                                         : 0,
         success;
}

/// Queues f(x index, w index, y index) for every product, into `result`, which beta = 0 does not
/// read. `index` picks whose sum it is.
template <class F>
Status run(Handle handle, const ConvolutionRecord& c, const TensorRecord& x, const FilterRecord& w,
           const TensorRecord& y, Algorithm algorithm, void* workspace, size_t bytes,
           const void* alpha, const void* beta, int64_t count, void* result, F&& term) {
  if (!consistent(x, w, c, y)) return bad_parameter;
  if (algorithm == refused) return not_supported_shape;
  if (!handle->stream || algorithm != serving || bytes < workspace_bytes || !workspace)
    return bad_parameter;
  ++fake_state.calls;
  fake_state.math = c.math;
  fake_state.in_bf16 = x.type == data_bfloat16;
  fake_state.workspace = bytes;
  if (fake_state.fail || w.h == fake_state.failing_window) return execution_failed;
  const double a = *static_cast<const float*>(alpha), b = *static_cast<const float*>(beta);
  limbeck::sim::enqueue(handle->stream, [=] {
    fake::wait(fake_state.delay_ms);
    std::memset(workspace, 0x5a, bytes);
    std::vector<double> sum(static_cast<size_t>(count));
    const int64_t og = w.k / c.groups;
    for (int64_t n = 0; n < y.n; ++n)
      for (int64_t oy = 0; oy < y.h; ++oy)
        for (int64_t ox = 0; ox < y.w; ++ox)
          for (int64_t ky = 0; ky < w.h; ++ky)
            for (int64_t kx = 0; kx < w.w; ++kx) {
              const int64_t ih = oy * c.stride_h - c.pad_h + ky * c.dilation_h,
                            iw = ox * c.stride_w - c.pad_w + kx * c.dilation_w;
              if (ih < 0 || ih >= x.h || iw < 0 || iw >= x.w) continue;
              for (int64_t o = 0; o < w.k; ++o)
                for (int64_t i = 0; i < w.c; ++i)
                  term(sum, ((n * x.h + ih) * x.w + iw) * x.c + o / og * w.c + i,
                       ((o * w.h + ky) * w.w + kx) * w.c + i,
                       ((n * y.h + oy) * y.w + ox) * y.c + o);
            }
    const fake::Numbers to(result, x.type == data_bfloat16);
    for (int64_t i = 0; i < count; ++i)
      to.set(i, a * sum[static_cast<size_t>(i)] + (b != 0 ? b * to[i] : 0.0));
  });
  return success;
}

int64_t count(const TensorRecord& t) { return t.n * t.c * t.h * t.w; }
int64_t count(const FilterRecord& f) { return f.k * f.c * f.h * f.w; }
template <class Descriptor>
fake::Numbers numbers(const void* p, Descriptor d) {
  return {p, d->type == data_bfloat16};
}
bool known(DataType type) { return type == data_float || type == data_bfloat16; }

}  // namespace

FAKE_EXPORT Status cudnnCreate(Handle* handle) {
  if (fake_state.fail_to_create) return not_initialized;
  ++fake_state.creations;
  return *handle = new HandleRecord, success;
}
FAKE_EXPORT size_t cudnnGetVersion() {
  return static_cast<size_t>(fake::number("LIMBECK_STAND_IN_VERSION", 91907));
}
FAKE_EXPORT const char* cudnnGetErrorString(Status status) {
  if (status == not_initialized) return "CUDNN_STATUS_NOT_INITIALIZED";
  if (status == bad_parameter) return "CUDNN_STATUS_BAD_PARAM";
  if (status == not_supported) return "CUDNN_STATUS_NOT_SUPPORTED";
  return status == not_supported_shape ? "CUDNN_STATUS_NOT_SUPPORTED_SHAPE"
                                       : "CUDNN_STATUS_EXECUTION_FAILED";
}
FAKE_EXPORT Status cudnnSetStream(Handle handle, cudaStream_t stream) {
  return handle->stream = stream, success;
}
FAKE_EXPORT Status cudnnCreateTensorDescriptor(TensorDescriptor* d) {
  return *d = new TensorRecord, success;
}
FAKE_EXPORT Status cudnnCreateFilterDescriptor(FilterDescriptor* d) {
  return *d = new FilterRecord, success;
}
FAKE_EXPORT Status cudnnCreateConvolutionDescriptor(ConvolutionDescriptor* d) {
  return *d = new ConvolutionRecord, success;
}
FAKE_EXPORT Status cudnnDestroyTensorDescriptor(TensorDescriptor d) { return delete d, success; }
FAKE_EXPORT Status cudnnDestroyFilterDescriptor(FilterDescriptor d) { return delete d, success; }
FAKE_EXPORT Status cudnnDestroyConvolutionDescriptor(ConvolutionDescriptor d) {
  return delete d, success;
}
FAKE_EXPORT Status cudnnSetTensor4dDescriptor(TensorDescriptor d, Format format, DataType type,
                                              int n, int c, int h, int w) {
  if (format != nhwc || !known(type) || std::min({n, c, h, w}) < 1) return bad_parameter;
  return *d = {n, c, h, w, type}, success;
}
FAKE_EXPORT Status cudnnSetFilter4dDescriptor(FilterDescriptor d, DataType type, Format format,
                                              int k, int c, int h, int w) {
  if (format != nhwc || !known(type) || std::min({k, c, h, w}) < 1) return bad_parameter;
  return *d = {k, c, h, w, type}, success;
}
FAKE_EXPORT Status cudnnSetConvolution2dDescriptor(ConvolutionDescriptor d, int pad_h, int pad_w,
                                                   int stride_h, int stride_w, int dilation_h,
                                                   int dilation_w, Mode mode, DataType type) {
  if (mode != cross_correlation || type != data_float ||
      std::min({stride_h, stride_w, dilation_h, dilation_w}) < 1 || std::min(pad_h, pad_w) < 0)
    return bad_parameter;
  return *d = {pad_h, pad_w, stride_h, stride_w, dilation_h, dilation_w, 1, default_math}, success;
}
FAKE_EXPORT Status cudnnSetConvolutionGroupCount(ConvolutionDescriptor d, int groups) {
  return d->groups = groups, success;
}
FAKE_EXPORT Status cudnnSetConvolutionMathType(ConvolutionDescriptor d, Math math) {
  return d->math = math, success;
}

// x, w -> y
FAKE_EXPORT Status cudnnGetConvolutionForwardAlgorithm_v7(
    Handle, TensorDescriptor x, FilterDescriptor w, ConvolutionDescriptor c, TensorDescriptor y,
    int wanted, int* found, AlgorithmPerformance* offers) {
  return offer(consistent(*x, *w, *c, *y), *w, *c, wanted, found, offers);
}
FAKE_EXPORT Status cudnnGetConvolutionForwardWorkspaceSize(Handle, TensorDescriptor,
                                                           FilterDescriptor, ConvolutionDescriptor,
                                                           TensorDescriptor, Algorithm a,
                                                           size_t* bytes) {
  return size_of(a, bytes);
}
FAKE_EXPORT Status cudnnConvolutionForward(Handle handle, const void* alpha, TensorDescriptor x,
                                           const void* x_data, FilterDescriptor w,
                                           const void* w_data, ConvolutionDescriptor c,
                                           Algorithm algorithm, void* workspace, size_t bytes,
                                           const void* beta, TensorDescriptor y, void* y_data) {
  return run(handle, *c, *x, *w, *y, algorithm, workspace, bytes, alpha, beta, count(*y), y_data,
             [xd = numbers(x_data, x), wd = numbers(w_data, w)](auto& sum, int64_t xi, int64_t wi,
                                                                int64_t yi) {
               sum[static_cast<size_t>(yi)] += xd[xi] * wd[wi];
             });
}

// w, dy -> dx
FAKE_EXPORT Status cudnnGetConvolutionBackwardDataAlgorithm_v7(
    Handle, FilterDescriptor w, TensorDescriptor dy, ConvolutionDescriptor c, TensorDescriptor dx,
    int wanted, int* found, AlgorithmPerformance* offers) {
  return offer(consistent(*dx, *w, *c, *dy), *w, *c, wanted, found, offers);
}
FAKE_EXPORT Status cudnnGetConvolutionBackwardDataWorkspaceSize(Handle, FilterDescriptor,
                                                                TensorDescriptor,
                                                                ConvolutionDescriptor,
                                                                TensorDescriptor, Algorithm a,
                                                                size_t* bytes) {
  return size_of(a, bytes);
}
FAKE_EXPORT Status cudnnConvolutionBackwardData(Handle handle, const void* alpha,
                                                FilterDescriptor w, const void* w_data,
                                                TensorDescriptor dy, const void* dy_data,
                                                ConvolutionDescriptor c, Algorithm algorithm,
                                                void* workspace, size_t bytes, const void* beta,
                                                TensorDescriptor dx, void* dx_data) {
  return run(handle, *c, *dx, *w, *dy, algorithm, workspace, bytes, alpha, beta, count(*dx),
             dx_data,
             [wd = numbers(w_data, w), dyd = numbers(dy_data, dy)](auto& sum, int64_t xi,
                                                                   int64_t wi, int64_t yi) {
               sum[static_cast<size_t>(xi)] += dyd[yi] * wd[wi];
             });
}

// x, dy -> dw
FAKE_EXPORT Status cudnnGetConvolutionBackwardFilterAlgorithm_v7(
    Handle, TensorDescriptor x, TensorDescriptor dy, ConvolutionDescriptor c, FilterDescriptor dw,
    int wanted, int* found, AlgorithmPerformance* offers) {
  return offer(consistent(*x, *dw, *c, *dy), *dw, *c, wanted, found, offers);
}
FAKE_EXPORT Status cudnnGetConvolutionBackwardFilterWorkspaceSize(Handle, TensorDescriptor,
                                                                  TensorDescriptor,
                                                                  ConvolutionDescriptor,
                                                                  FilterDescriptor, Algorithm a,
                                                                  size_t* bytes) {
  return size_of(a, bytes);
}
FAKE_EXPORT Status cudnnConvolutionBackwardFilter(Handle handle, const void* alpha,
                                                  TensorDescriptor x, const void* x_data,
                                                  TensorDescriptor dy, const void* dy_data,
                                                  ConvolutionDescriptor c, Algorithm algorithm,
                                                  void* workspace, size_t bytes, const void* beta,
                                                  FilterDescriptor dw, void* dw_data) {
  return run(handle, *c, *x, *dw, *dy, algorithm, workspace, bytes, alpha, beta, count(*dw),
             dw_data,
             [xd = numbers(x_data, x), dyd = numbers(dy_data, dy)](auto& sum, int64_t xi,
                                                                   int64_t wi, int64_t yi) {
               sum[static_cast<size_t>(wi)] += xd[xi] * dyd[yi];
             });
}
