// Our declarations of cuBLAS and cuDNN against NVIDIA's headers, where those are installed: the
// values, the layout of the one struct, and for each function the number and the kinds of its
// arguments. Nothing here runs.
#include <cstddef>
#include <type_traits>

#include "ops_cuda/cublas.h"
#include "ops_cuda/cudnn.h"

#if defined(__GNUC__)
#pragma GCC diagnostic ignored \
    "-Wdeprecated-declarations"  // cuDNN marks its convolution functions so
#endif

namespace limbeck::cuda {
namespace {

/// Passed alike: pointers as pointers, enums and integers of one size and signedness, floats as
/// floats.
template <class Ours, class Theirs>
constexpr bool same_kind() {
  if constexpr (std::is_pointer_v<Ours> || std::is_pointer_v<Theirs>)
    return std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>;
  else
    return sizeof(Ours) == sizeof(Theirs) &&
           std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs>;
}

template <class Ours, class Theirs>
struct SameCall : std::false_type {};
template <class R, class... P, class S, class... Q>
struct SameCall<R(P...), S(Q...)> {
  static constexpr bool kinds() {
    if constexpr (sizeof...(P) == sizeof...(Q))
      return (same_kind<R, S>() && ... && same_kind<P, Q>());
    return false;
  }
  static constexpr bool value = kinds();
};
static_assert(SameCall<int(float*, long long), int(void*, size_t)>::value);
static_assert(!SameCall<int(float*, int), int(void*, size_t)>::value &&
              !SameCall<int(int), int(int, int)>::value && !SameCall<int(int), int(float)>::value);

}  // namespace
}  // namespace limbeck::cuda

#define SAME_CALL(ours, theirs) \
  static_assert(::limbeck::cuda::SameCall<ours, decltype(theirs)>::value, #theirs)
#define SAME_VALUE(ours, theirs) \
  static_assert(static_cast<int>(ours) == static_cast<int>(theirs), #theirs)

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
namespace limbeck::cuda::cublas {
SAME_VALUE(success, CUBLAS_STATUS_SUCCESS);
SAME_VALUE(op_n, CUBLAS_OP_N);
SAME_VALUE(op_t, CUBLAS_OP_T);
SAME_VALUE(default_math, CUBLAS_DEFAULT_MATH);
SAME_VALUE(tf32_tensor_op_math, CUBLAS_TF32_TENSOR_OP_MATH);
SAME_VALUE(major_version, MAJOR_VERSION);
SAME_VALUE(minor_version, MINOR_VERSION);
SAME_VALUE(patch_level, PATCH_LEVEL);
SAME_CALL(Create, cublasCreate_v2);
SAME_CALL(GetProperty, cublasGetProperty);
SAME_CALL(GetStatusString, cublasGetStatusString);
SAME_CALL(SetStream, cublasSetStream_v2);
SAME_CALL(SetWorkspace, cublasSetWorkspace_v2);
SAME_CALL(SetMathMode, cublasSetMathMode);
SAME_CALL(SgemmStridedBatched, cublasSgemmStridedBatched);
SAME_VALUE(real_f32, CUDA_R_32F);
SAME_VALUE(real_bf16, CUDA_R_16BF);
SAME_VALUE(compute_f32, CUBLAS_COMPUTE_32F);
SAME_VALUE(default_algorithm, CUBLAS_GEMM_DEFAULT);
// Their C++ header overloads this name: the conversion picks the function that the library exports.
using TheirGemm = cublasStatus_t(cublasHandle_t, cublasOperation_t, cublasOperation_t, int, int,
                                 int, const void*, const void*, cudaDataType, int, long long,
                                 const void*, cudaDataType, int, long long, const void*, void*,
                                 cudaDataType, int, long long, int, cublasComputeType_t,
                                 cublasGemmAlgo_t);
static_assert(sizeof(static_cast<TheirGemm*>(&cublasGemmStridedBatchedEx)) &&
              ::limbeck::cuda::SameCall<GemmStridedBatchedEx, TheirGemm>::value);
}  // namespace limbeck::cuda::cublas
#endif

#if __has_include(<cudnn.h>)
#include <cudnn.h>
namespace limbeck::cuda::cudnn {
SAME_VALUE(success, CUDNN_STATUS_SUCCESS);
SAME_VALUE(data_float, CUDNN_DATA_FLOAT);
SAME_VALUE(data_bfloat16, CUDNN_DATA_BFLOAT16);
SAME_VALUE(nhwc, CUDNN_TENSOR_NHWC);
SAME_VALUE(cross_correlation, CUDNN_CROSS_CORRELATION);
SAME_VALUE(default_math, CUDNN_DEFAULT_MATH);
SAME_VALUE(fma_math, CUDNN_FMA_MATH);
SAME_VALUE(non_deterministic, CUDNN_NON_DETERMINISTIC);
SAME_VALUE(deterministic, CUDNN_DETERMINISTIC);

template <class Theirs>
constexpr bool same_layout() {
  return sizeof(AlgorithmPerformance) == sizeof(Theirs) &&
         offsetof(AlgorithmPerformance, algorithm) == offsetof(Theirs, algo) &&
         offsetof(AlgorithmPerformance, status) == offsetof(Theirs, status) &&
         offsetof(AlgorithmPerformance, time) == offsetof(Theirs, time) &&
         offsetof(AlgorithmPerformance, memory) == offsetof(Theirs, memory) &&
         offsetof(AlgorithmPerformance, determinism) == offsetof(Theirs, determinism) &&
         offsetof(AlgorithmPerformance, math) == offsetof(Theirs, mathType) &&
         offsetof(AlgorithmPerformance, reserved) == offsetof(Theirs, reserved);
}
static_assert(same_layout<cudnnConvolutionFwdAlgoPerf_t>() &&
              same_layout<cudnnConvolutionBwdDataAlgoPerf_t>() &&
              same_layout<cudnnConvolutionBwdFilterAlgoPerf_t>());

SAME_CALL(Create, cudnnCreate);
SAME_CALL(GetVersion, cudnnGetVersion);
SAME_CALL(GetErrorString, cudnnGetErrorString);
SAME_CALL(SetStream, cudnnSetStream);
SAME_CALL(CreateTensor, cudnnCreateTensorDescriptor);
SAME_CALL(CreateFilter, cudnnCreateFilterDescriptor);
SAME_CALL(CreateConvolution, cudnnCreateConvolutionDescriptor);
SAME_CALL(DestroyTensor, cudnnDestroyTensorDescriptor);
SAME_CALL(DestroyFilter, cudnnDestroyFilterDescriptor);
SAME_CALL(DestroyConvolution, cudnnDestroyConvolutionDescriptor);
SAME_CALL(SetTensor4d, cudnnSetTensor4dDescriptor);
SAME_CALL(SetFilter4d, cudnnSetFilter4dDescriptor);
SAME_CALL(SetConvolution2d, cudnnSetConvolution2dDescriptor);
SAME_CALL(SetGroupCount, cudnnSetConvolutionGroupCount);
SAME_CALL(SetMathType, cudnnSetConvolutionMathType);

// First, Second, Result of the three directions as in cudnn.cpp.
using T = TensorDescriptor;
using F = FilterDescriptor;
template <class A, class B, class C>
struct Calls {
  using Algorithms = GetAlgorithm<A, B, C>;
  using Workspace = GetWorkspaceSize<A, B, C>;
  using Run = Convolve<A, B, C>;
};
using Forward = Calls<T, F, T>;
using BackwardData = Calls<F, T, T>;
using BackwardFilter = Calls<T, T, F>;
SAME_CALL(Forward::Algorithms, cudnnGetConvolutionForwardAlgorithm_v7);
SAME_CALL(Forward::Workspace, cudnnGetConvolutionForwardWorkspaceSize);
SAME_CALL(Forward::Run, cudnnConvolutionForward);
SAME_CALL(BackwardData::Algorithms, cudnnGetConvolutionBackwardDataAlgorithm_v7);
SAME_CALL(BackwardData::Workspace, cudnnGetConvolutionBackwardDataWorkspaceSize);
SAME_CALL(BackwardData::Run, cudnnConvolutionBackwardData);
SAME_CALL(BackwardFilter::Algorithms, cudnnGetConvolutionBackwardFilterAlgorithm_v7);
SAME_CALL(BackwardFilter::Workspace, cudnnGetConvolutionBackwardFilterWorkspaceSize);
SAME_CALL(BackwardFilter::Run, cudnnConvolutionBackwardFilter);
}  // namespace limbeck::cuda::cudnn
#endif
