// cuBLAS's column-major product, as its manual defines it: C = alpha op(A) op(B) + beta C, and beta
// = 0 does not read C.
#include <cstring>

#include "ops_cuda/cublas.h"
#include "tests/ops_cuda/fake/fake.h"

namespace limbeck::cuda::cublas {
struct HandleRecord {
  cudaStream_t stream = nullptr;
  void* workspace = nullptr;
  size_t bytes = 0;
  Math math = default_math;
};
}  // namespace limbeck::cuda::cublas

using namespace limbeck::cuda::cublas;

FAKE_EXPORT fake::State fake_state;
fake::State fake_state;                  // declared above with C linkage
FAKE_EXPORT const int limbeck_stand_in;  // by which ops_cuda/vendor.cpp knows it
const int limbeck_stand_in = 1;

namespace {
constexpr Status not_initialized{1}, invalid_value{7}, execution_failed{13};
}

FAKE_EXPORT Status cublasCreate_v2(Handle* handle) {
  if (fake_state.fail_to_create) return not_initialized;
  ++fake_state.creations;
  return *handle = new HandleRecord, success;
}
FAKE_EXPORT Status cublasGetProperty(Property property, int* value) {
  return *value = property == major_version   ? fake::number("LIMBECK_STAND_IN_VERSION", 13)
                  : property == minor_version ? 1
                                              : 7,
         success;
}
FAKE_EXPORT const char* cublasGetStatusString(Status status) {
  return status == not_initialized ? "CUBLAS_STATUS_NOT_INITIALIZED"
         : status == invalid_value ? "CUBLAS_STATUS_INVALID_VALUE"
                                   : "CUBLAS_STATUS_EXECUTION_FAILED";
}
FAKE_EXPORT Status cublasSetStream_v2(Handle handle, cudaStream_t stream) {
  handle->stream = stream;
  handle->workspace = nullptr;  // as the manual says
  handle->bytes = 0;
  return success;
}
FAKE_EXPORT Status cublasSetWorkspace_v2(Handle handle, void* workspace, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(workspace) % 256) return invalid_value;
  handle->workspace = workspace, handle->bytes = bytes;
  return success;
}
FAKE_EXPORT Status cublasSetMathMode(Handle handle, Math math) {
  return handle->math = math, success;
}

namespace {

Status multiply(Handle handle, Operation transa, Operation transb, int m, int n, int k, float alpha,
                fake::Numbers a, int lda, long long stride_a, fake::Numbers b, int ldb,
                long long stride_b, float beta, fake::Numbers c, int ldc, long long stride_c,
                int batch) {
  if (m < 0 || n < 0 || k < 0 || batch < 0 || lda < std::max(1, transa == op_n ? m : k) ||
      ldb < std::max(1, transb == op_n ? k : n) || ldc < std::max(1, m))
    return invalid_value;
  if (!handle->stream || !handle->workspace)
    return execution_failed;  // the real one would take memory of its own
  ++fake_state.calls;
  fake_state.math = handle->math;
  fake_state.in_bf16 = a.in_bf16;
  fake_state.workspace = handle->bytes;
  if (fake_state.fail) return execution_failed;
  limbeck::sim::enqueue(handle->stream, [=, workspace = handle->workspace, bytes = handle->bytes] {
    fake::wait(fake_state.delay_ms);
    std::memset(workspace, 0x5a, bytes);
    for (long long p = 0; p < batch; ++p)
      for (int j = 0; j < n; ++j)
        for (int i = 0; i < m; ++i) {
          double sum = 0;
          for (int l = 0; l < k; ++l)
            sum +=
                a[p * stride_a + (transa == op_n ? i + int64_t{l} * lda : l + int64_t{i} * lda)] *
                b[p * stride_b + (transb == op_n ? l + int64_t{j} * ldb : j + int64_t{l} * ldb)];
          const int64_t to = p * stride_c + i + int64_t{j} * ldc;
          c.set(to, alpha * sum + (beta != 0 ? double(beta) * c[to] : 0.0));
        }
  });
  return success;
}

}  // namespace

// Host scalars are read by the call.
FAKE_EXPORT Status cublasSgemmStridedBatched(Handle handle, Operation transa, Operation transb,
                                             int m, int n, int k, const float* alpha,
                                             const float* a, int lda, long long stride_a,
                                             const float* b, int ldb, long long stride_b,
                                             const float* beta, float* c, int ldc,
                                             long long stride_c, int batch) {
  return multiply(handle, transa, transb, m, n, k, *alpha, {a, false}, lda, stride_a, {b, false},
                  ldb, stride_b, *beta, {c, false}, ldc, stride_c, batch);
}
FAKE_EXPORT Status cublasGemmStridedBatchedEx(Handle handle, Operation transa, Operation transb,
                                              int m, int n, int k, const void* alpha, const void* a,
                                              Type type_a, int lda, long long stride_a,
                                              const void* b, Type type_b, int ldb,
                                              long long stride_b, const void* beta, void* c,
                                              Type type_c, int ldc, long long stride_c, int batch,
                                              Compute compute, Algorithm algorithm) {
  if (type_a != real_bf16 || type_b != real_bf16 || (type_c != real_bf16 && type_c != real_f32) ||
      compute != compute_f32 || algorithm != default_algorithm)
    return invalid_value;
  return multiply(handle, transa, transb, m, n, k, *static_cast<const float*>(alpha), {a, true},
                  lda, stride_a, {b, true}, ldb, stride_b, *static_cast<const float*>(beta),
                  {c, type_c == real_bf16}, ldc, stride_c, batch);
}
