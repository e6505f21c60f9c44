#include "ops_cuda/cublas.h"

#include <algorithm>
#include <array>
#include <limits>
#include <mutex>
#include <utility>

#include "ops_cuda/precision.h"
#include "ops_cuda/row_bias.h"
#include "ops_cuda/vendor.h"

namespace limbeck::cuda::cublas {
namespace {

constexpr int oldest_major = 12;

std::string unfit();

VendorLibrary& library() {
  static auto* l = new VendorLibrary("cuBLAS", "LIMBECK_CUBLAS", {"libcublas.so.13", "libcublas.so.12"}, unfit);
  return *l;
}

struct Functions {
  Create* create;
  GetStatusString* words;
  SetStream* set_stream;
  SetWorkspace* set_workspace;
  SetMathMode* set_math;
  SgemmStridedBatched* sgemm;

  Functions() {
    library().find(create, "cublasCreate_v2");
    library().find(words, "cublasGetStatusString");
    library().find(set_stream, "cublasSetStream_v2");
    library().find(set_workspace, "cublasSetWorkspace_v2");
    library().find(set_math, "cublasSetMathMode");
    library().find(sgemm, "cublasSgemmStridedBatched");
  }
};

const Functions& functions() {
  static const Functions f;  // tried again after an error
  return f;
}

void check(Status status, const char* call) {
  if (status != success) fail("cuBLAS: ", call, ": ", functions().words(status), " (status ", static_cast<int>(status), ")");
}

int version(Property part) {
  GetProperty* property = nullptr;
  library().find(property, "cublasGetProperty");
  int value = 0;
  check(property(part, &value), "cublasGetProperty");
  return value;
}

std::string unfit() {
  if (version(major_version) < oldest_major) return cat(description(), " is too old: version ", oldest_major, " or newer serves");
  functions();  // an error names the first one that is not there
  return {};
}

/// One per device, for ever, like the device's stream.
Handle handle_of(int device) {
  static std::array<Handle, 64> handles{};
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  Handle& h = handles.at(static_cast<size_t>(device));
  if (h) return h;
  const cudaStream_t s = stream(device);  // makes the device current
  require_eager("cuBLAS", device);
  Handle made = nullptr;
  check(functions().create(&made), "cublasCreate");
  check(functions().set_stream(made, s), "cublasSetStream");
  return h = made;
}

/// What NVIDIA recommends for its newest GPUs. It comes from the caching allocator at every call, so a recorded graph owns what it uses.
constexpr int64_t workspace_bytes = world::simulated ? 4096 : int64_t{32} << 20;

/// One argument of a column-major product.
struct Argument {
  const float* data;
  Operation operation;
  int pitch;
  int64_t item;
};

/// `m` holds `rows` rows of `k`. As a column-major matrix [rows, k] (or its transpose, [k, rows], where `transposed`).
Argument argument(const Matrix<float>& m, int64_t rows, int64_t k, bool transposed) {
  const int64_t pitch = std::max({m.pitch, m.k_contiguous ? k : rows, int64_t{1}});  // of a single line it may be anything
  return {m.data, m.k_contiguous == transposed ? op_n : op_t, static_cast<int>(pitch), m.item};
}

/// The terms of a sum as one longer k, where they follow each other in memory.
void join_terms(FloatProduct& p) {
  const auto follows = [&](const Matrix<float>& m) { return m.term == (m.k_contiguous ? p.k : p.k * m.pitch); };
  if (p.terms > 1 && follows(p.a) && follows(p.b)) {
    p.k *= p.terms;
    p.terms = 1;
  }
}

/// A batch with one right operand as one product with more rows, where the rows follow each other in memory.
void join_items(FloatProduct& p) {
  if (p.items > 1 && !p.bias && p.a.k_contiguous && p.b.item == 0 && p.a.item == p.m * p.a.pitch && p.c_item == p.m * p.c_row) {
    p.m *= p.items;
    p.items = 1;
  }
}

void multiply(const FloatProduct& p, const Tensor& c_of) {
  const int device = c_of.device().index;
  const Functions& f = functions();
  const Handle handle = handle_of(device);
  const Tensor workspace = Tensor::empty({workspace_bytes}, DType::u8, c_of.device());
  check(f.set_workspace(handle, workspace.raw(), static_cast<size_t>(workspace_bytes)), "cublasSetWorkspace");
  check(f.set_math(handle, product_precision() == Precision::tf32 ? tf32_tensor_op_math : default_math), "cublasSetMathMode");
  // Our rows are cuBLAS's columns: c^T [n, m] = b [n, k] a^T [k, m].
  const Argument left = argument(p.b, p.n, p.k, false), right = argument(p.a, p.m, p.k, true);
  const int m = static_cast<int>(p.m), n = static_cast<int>(p.n), k = static_cast<int>(p.k), pitch = static_cast<int>(std::max({p.c_row, p.n, int64_t{1}}));
  const float one = 1, zero = 0;
  stream(device);
  for (int64_t s = 0; s < p.terms; ++s)
    check(f.sgemm(handle, left.operation, right.operation, n, m, k, &one, left.data + s * p.b.term, left.pitch, left.item, right.data + s * p.a.term,
                  right.pitch, right.item, s ? &one : &zero, p.c, pitch, p.c_item, static_cast<int>(p.items)),
          "cublasSgemmStridedBatched");
}

}  // namespace

std::string missing() { return library().missing(); }

std::string description() {
  return cat("cuBLAS ", version(major_version), ".", version(minor_version), ".", version(patch_level), " (", library().file(), ")");
}

bool serves(int64_t m, int64_t n, int64_t k, int64_t items) {
  constexpr int64_t limit = std::numeric_limits<int>::max();
  if (product_precision() == Precision::bf16 || items > 65535) return false;
  return m <= limit && n <= limit && k <= limit && std::max({m, n, k}) * std::max<int64_t>(items, 1) <= limit && missing().empty();
}

void gemm(const FloatProduct& given, const Tensor& c_of) {
  FloatProduct p = given;
  if (p.items == 0 || p.m == 0 || p.n == 0) return;
  if (p.c_column != 1) {  // c^T = b a^T
    LIMBECK_CHECK(!p.bias && p.c_row == 1, "cuBLAS: a product whose result is contiguous along neither rows nor columns, or with a bias along its rows");
    std::swap(p.a, p.b);
    std::swap(p.m, p.n);
    std::swap(p.c_row, p.c_column);
  }
  LIMBECK_CHECK(!p.bias || p.items == 1, "cuBLAS: a bias with ", p.items, " products");
  if (p.k == 0 || p.terms == 0) {
    cuda_check(cudaMemsetAsync(p.c, 0, static_cast<size_t>(p.items * p.m * p.n) * sizeof(float), stream_of(c_of)));
  } else {
    join_terms(p);
    join_items(p);
    multiply(p, c_of);
  }
  if (p.bias) add_row_bias(c_of, p.m, p.n, p.bias);
}

}  // namespace limbeck::cuda::cublas
