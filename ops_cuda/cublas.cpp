#include "ops_cuda/cublas.h"

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <type_traits>
#include <utility>

#include "ops_cuda/copy.h"
#include "ops_cuda/precision.h"
#include "ops_cuda/row_bias.h"
#include "ops_cuda/vendor.h"

namespace limbeck::cuda::cublas {
namespace {

constexpr int oldest_major = 12;

std::string unfit();

VendorLibrary& library() {
  static auto* l =
      new VendorLibrary("cuBLAS", "LIMBECK_CUBLAS", {"libcublas.so.13", "libcublas.so.12"}, unfit);
  return *l;
}

struct Functions {
  Create* create;
  GetStatusString* words;
  SetStream* set_stream;
  SetWorkspace* set_workspace;
  SetMathMode* set_math;
  SgemmStridedBatched* sgemm;
  GemmStridedBatchedEx* gemm_ex;

  Functions() {
    library().find(create, "cublasCreate_v2");
    library().find(words, "cublasGetStatusString");
    library().find(set_stream, "cublasSetStream_v2");
    library().find(set_workspace, "cublasSetWorkspace_v2");
    library().find(set_math, "cublasSetMathMode");
    library().find(sgemm, "cublasSgemmStridedBatched");
    library().find(gemm_ex, "cublasGemmStridedBatchedEx");
  }
};

const Functions& functions() {
  static const Functions f;  // tried again after an error
  return f;
}

void check(Status status, const char* call) {
  if (status != success)
    fail("cuBLAS: ", call, ": ", functions().words(status), " (status ", static_cast<int>(status),
         ")");
}

int version(Property part) {
  GetProperty* property = nullptr;
  library().find(property, "cublasGetProperty");
  int value = 0;
  check(property(part, &value), "cublasGetProperty");
  return value;
}

std::string unfit() {
  if (version(major_version) < oldest_major)
    return cat(description(), " is too old: version ", oldest_major, " or newer serves");
  functions();  // an error names the first one that is not there
  return {};
}

VendorHandles<Handle>& handles() {
  const auto create = [] {
    Handle made = nullptr;
    check(functions().create(&made), "cublasCreate");
    return made;
  };
  const auto set_stream = [](Handle handle, cudaStream_t stream) {
    check(functions().set_stream(handle, stream), "cublasSetStream");
  };
  static auto* h = new VendorHandles<Handle>("cuBLAS", create, set_stream);
  return *h;
}

/// What NVIDIA recommends for its newest GPUs. It comes from the caching allocator at every call,
/// so a recorded graph owns what it uses.
constexpr int64_t workspace_bytes = world::simulated ? 4096 : int64_t{32} << 20;

/// One argument of a column-major product.
template <class E>
struct Argument {
  const E* data;
  Operation operation;
  int pitch;
  int64_t item;
};

/// `m` holds `rows` rows of `k`. As a column-major matrix [rows, k] (or its transpose, [k, rows],
/// where `transposed`).
template <class E>
Argument<E> argument(const Matrix<E>& m, int64_t rows, int64_t k, bool transposed) {
  const int64_t pitch = std::max(
      {m.pitch, m.k_contiguous ? k : rows, int64_t{1}});  // of a single line it may be anything
  return {m.data, m.k_contiguous == transposed ? op_n : op_t, static_cast<int>(pitch), m.item};
}

/// The terms of a sum as one longer k, where they follow each other in memory.
template <class P>
void join_terms(P& p) {
  const auto follows = [&](const auto& m) {
    return m.term == (m.k_contiguous ? p.k : p.k * m.pitch);
  };
  if (p.terms > 1 && follows(p.a) && follows(p.b)) {
    p.k *= p.terms;
    p.terms = 1;
  }
}

/// A batch with one right operand as one product with more rows, where the rows follow each other
/// in memory.
template <class P>
void join_items(P& p) {
  if (p.items > 1 && !p.bias && p.a.k_contiguous && p.b.item == 0 && p.a.item == p.m * p.a.pitch &&
      p.c_item == p.m * p.c_row) {
    p.m *= p.items;
    p.items = 1;
  }
}

template <class E>
constexpr Type type_of = std::is_same_v<E, bfloat16> ? real_bf16 : real_f32;

template <class A, class C>
void multiply(const Product<A, A, C>& p, const Tensor& c_of) {
  const int device = c_of.device().index;
  const Functions& f = functions();
  const auto [lock, handle] = handles().lease(device);
  const Tensor workspace = Tensor::empty({workspace_bytes}, DType::u8, c_of.device());
  check(f.set_workspace(handle, workspace.raw(), static_cast<size_t>(workspace_bytes)),
        "cublasSetWorkspace");
  const bool tf32 = std::is_same_v<A, float> && execution().products == Precision::tf32;
  check(f.set_math(handle, tf32 ? tf32_tensor_op_math : default_math), "cublasSetMathMode");
  // Our rows are cuBLAS's columns: c^T [n, m] = b [n, k] a^T [k, m].
  const auto left = argument(p.b, p.n, p.k, false), right = argument(p.a, p.m, p.k, true);
  const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k),
            pitch = static_cast<int>(std::max({p.c_row, p.n, int64_t{1}}));
  const int items = static_cast<int>(p.items);
  const float one = 1, zero = 0;
  stream(device);
  for (int64_t s = 0; s < p.terms; ++s) {
    const A *const a = left.data + s * p.b.term, *const b = right.data + s * p.a.term;
    const float* const beta = s ? &one : &zero;
    if constexpr (std::is_same_v<A, float>)
      check(f.sgemm(handle, left.operation, right.operation, n, m, k, &one, a, left.pitch,
                    left.item, b, right.pitch, right.item, beta, p.c, pitch, p.c_item, items),
            "cublasSgemmStridedBatched");
    else
      check(f.gemm_ex(handle, left.operation, right.operation, n, m, k, &one, a, type_of<A>,
                      left.pitch, left.item, b, type_of<A>, right.pitch, right.item, beta, p.c,
                      type_of<C>, pitch, p.c_item, items, compute_f32, default_algorithm),
            "cublasGemmStridedBatchedEx");
  }
}

/// A sum of several products whose result is bf16 is kept in f32 until it is whole.
void sum_in_f32(const Product<bfloat16, bfloat16, bfloat16>& p, const Tensor& c_of) {
  LIMBECK_CHECK(p.items == 1 && p.c_row == p.n, "cuBLAS: a sum of products into bf16 of ", p.items,
                " items with rows ", p.c_row, " apart, expected one and ", p.n);
  const Tensor sum = Tensor::empty({p.m, p.n}, DType::f32, c_of.device());
  multiply(Product<bfloat16, bfloat16, float>{.a = p.a,
                                              .b = p.b,
                                              .c = sum.data<float>(),
                                              .c_row = p.n,
                                              .m = p.m,
                                              .n = p.n,
                                              .k = p.k,
                                              .terms = p.terms},
           c_of);
  convert_elements(p.c, DType::bf16, sum.raw(), DType::f32, sum.numel(), stream_of(c_of));
}

}  // namespace

std::string missing() { return library().missing(); }

std::string description() {
  return cat("cuBLAS ", version(major_version), ".", version(minor_version), ".",
             version(patch_level), " (", library().file(), ")");
}

bool serves(int64_t m, int64_t n, int64_t k, int64_t items, DType data) {
  constexpr int64_t limit = std::numeric_limits<int>::max();
  if ((data == DType::f32 && execution().products == Precision::bf16) || items > 65535)
    return false;
  return m <= limit && n <= limit && k <= limit &&
         std::max({m, n, k}) * std::max<int64_t>(items, 1) <= limit && missing().empty();
}

template <class A, class C>
void gemm(const Product<A, A, C>& given, const Tensor& c_of) {
  Product<A, A, C> p = given;
  if (p.items == 0 || p.m == 0 || p.n == 0) return;
  if (p.c_column != 1) {  // c^T = b a^T
    LIMBECK_CHECK(!p.bias && p.c_row == 1,
                  "cuBLAS: a product whose result is contiguous along neither rows nor columns, or "
                  "with a bias along its rows");
    std::swap(p.a, p.b);
    std::swap(p.m, p.n);
    std::swap(p.c_row, p.c_column);
  }
  LIMBECK_CHECK(!p.bias || p.items == 1, "cuBLAS: a bias with ", p.items, " products");
  if (p.k == 0 || p.terms == 0) {
    cuda_check(cudaMemsetAsync(p.c, 0, static_cast<size_t>(p.items * p.m * p.n) * sizeof(C),
                               stream_of(c_of)));
  } else {
    join_terms(p);
    join_items(p);
    if constexpr (std::is_same_v<C, bfloat16>)
      p.terms > 1 ? sum_in_f32(p, c_of) : multiply(p, c_of);
    else
      multiply(p, c_of);
  }
  if (p.bias) add_row_bias(c_of, p.m, p.n, p.bias);
}
template void gemm(const Product<float, float, float>&, const Tensor&);
template void gemm(const Product<bfloat16, bfloat16, float>&, const Tensor&);
template void gemm(const Product<bfloat16, bfloat16, bfloat16>&, const Tensor&);

}  // namespace limbeck::cuda::cublas
