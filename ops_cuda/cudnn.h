// The part of cuDNN's interface that convolutions use (ops_cuda/cudnn.cpp). The declarations are
// ours; ops_cuda/native/vendor_headers.cpp compares them with NVIDIA's headers where those are
// installed. These functions are in cuDNN 8 and 9.
#pragma once
#include <cstddef>
#include <string>

#include "ops_cuda/runtime.h"

namespace limbeck::cuda::cudnn {

using Handle = struct HandleRecord*;
using TensorDescriptor = struct TensorRecord*;
using FilterDescriptor = struct FilterRecord*;
using ConvolutionDescriptor = struct ConvolutionRecord*;
enum Status : int { success = 0 };
enum DataType : int { data_float = 0, data_bfloat16 = 9 };
enum Format : int { nhwc = 1 };
enum Mode : int { cross_correlation = 1 };
enum Math : int { default_math = 0, fma_math = 3 };  ///< default: TF32 is allowed
enum Determinism : int { non_deterministic = 0, deterministic = 1 };
using Algorithm = int;

/// The three directions have one structure each, all alike.
struct AlgorithmPerformance {
  Algorithm algorithm;
  Status status;
  float time;
  size_t memory;
  Determinism determinism;
  Math math;
  int reserved[3];
};

using Create = Status(Handle*);
using GetVersion = size_t();
using GetErrorString = const char*(Status);
using SetStream = Status(Handle, cudaStream_t);
using CreateTensor = Status(TensorDescriptor*);
using CreateFilter = Status(FilterDescriptor*);
using CreateConvolution = Status(ConvolutionDescriptor*);
using SetTensor4d = Status(TensorDescriptor, Format, DataType, int n, int c, int h, int w);
using DestroyTensor = Status(TensorDescriptor);
using DestroyFilter = Status(FilterDescriptor);
using DestroyConvolution = Status(ConvolutionDescriptor);
/// Format nhwc: memory [k, h, w, c], where c counts the channels of one group.
using SetFilter4d = Status(FilterDescriptor, DataType, Format, int k, int c, int h, int w);
using SetConvolution2d = Status(ConvolutionDescriptor, int pad_h, int pad_w, int stride_h,
                                int stride_w, int dilation_h, int dilation_w, Mode, DataType);
using SetGroupCount = Status(ConvolutionDescriptor, int);
using SetMathType = Status(ConvolutionDescriptor, Math);

// First and Second are the descriptors of the two factors, Result the descriptor of what is
// written.
template <class First, class Second, class Result>
using GetAlgorithm = Status(Handle, First, Second, ConvolutionDescriptor, Result, int wanted,
                            int* found, AlgorithmPerformance*);
template <class First, class Second, class Result>
using GetWorkspaceSize = Status(Handle, First, Second, ConvolutionDescriptor, Result, Algorithm,
                                size_t*);
template <class First, class Second, class Result>
using Convolve = Status(Handle, const void* alpha, First, const void* first, Second,
                        const void* second, ConvolutionDescriptor, Algorithm, void* workspace,
                        size_t workspace_bytes, const void* beta, Result, void* result);

/// Why it cannot run here, or empty (VendorLibrary::missing).
std::string missing();
/// "cuDNN 9.19.0 (libcudnn.so.9)".
std::string description();

}  // namespace limbeck::cuda::cudnn
