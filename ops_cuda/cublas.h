// Matrix products by cuBLAS (ops_cuda/vendor.h), and the part of its interface that they use. The
// declarations are ours; ops_cuda/native/vendor_headers.cpp compares them with NVIDIA's header
// where that is installed.
#pragma once
#include "ops_cuda/gemm.h"

namespace limbeck::cuda::cublas {

using Handle = struct HandleRecord*;
enum Status : int { success = 0 };
enum Operation : int { op_n = 0, op_t = 1 };
enum Math : int { default_math = 0, tf32_tensor_op_math = 3 };
enum Type : int { real_f32 = 0, real_bf16 = 14 };
enum Compute : int { compute_f32 = 68 };
enum Algorithm : int { default_algorithm = -1 };
enum Property : int { major_version = 0, minor_version = 1, patch_level = 2 };

// Names as in the library: cublasCreate_v2 and so on. Scalars lie in host memory (the library's
// default).
using Create = Status(Handle*);
using GetProperty = Status(Property, int*);
using GetStatusString = const char*(Status);
using SetStream = Status(Handle, cudaStream_t);
using SetWorkspace = Status(Handle, void*, size_t);
using SetMathMode = Status(Handle, Math);
/// Column-major: C [m, n] = alpha op(A) op(B) + beta C for each of a batch. beta = 0 does not read
/// C.
using SgemmStridedBatched = Status(Handle, Operation transa, Operation transb, int m, int n, int k,
                                   const float* alpha, const float* a, int lda, long long stride_a,
                                   const float* b, int ldb, long long stride_b, const float* beta,
                                   float* c, int ldc, long long stride_c, int batch);

/// The same with types of its own for each matrix; scalars of the type of the sums.
using GemmStridedBatchedEx = Status(Handle, Operation transa, Operation transb, int m, int n, int k,
                                    const void* alpha, const void* a, Type, int lda,
                                    long long stride_a, const void* b, Type, int ldb,
                                    long long stride_b, const void* beta, void* c, Type, int ldc,
                                    long long stride_c, int batch, Compute, Algorithm);

/// Why it cannot run here, or empty (VendorLibrary::missing).
std::string missing();
/// "cuBLAS 13.1.0 (libcublas.so.13)".
std::string description();
/// Whether gemm() takes these sizes and their gradients: 32-bit sizes, and f32 data not while
/// execution().products is bf16, which is left to our kernels.
bool serves(int64_t m, int64_t n, int64_t k, int64_t items, DType data);
/// As cuda::gemm, for operands in f32 (f32 or, when that is the precision, TF32), or in bf16 with a
/// result in bf16 or f32 (sums in f32). Same bits in every run on one kind of GPU: one stream, a
/// workspace of ours, no atomics.
template <class A, class C>
void gemm(const Product<A, A, C>& p, const Tensor& c_of);

}  // namespace limbeck::cuda::cublas
