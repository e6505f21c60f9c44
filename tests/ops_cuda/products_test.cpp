// The tuned matrix products and convolutions beyond what tests/ops_cuda/table_test.cpp runs: every
// tile, split and whole sums, TF32 and bf16, f32 and bf16 storage, on the cases of their operators.
// Tiles take turns over the cases: through the SIMT shim all of them with all cases would take
// minutes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ops/cases.h"
#include "ops/check.h"
#include "ops/execution.h"
#include "ops_cuda/precision.h"
#include "tensor/device.h"
#include "tensor/random.h"
#include "tests/ops_cuda/orders.h"

namespace limbeck {
namespace {

/// The settings of the products while alive.
struct Setting : ExecutionScope {
  Setting(Precision precision, int tile, int parts, int round_weights = -1)
      : ExecutionScope(settings(precision, {tile, parts, round_weights})) {}
  static Execution settings(Precision precision, ProductCuts cuts) {
    Execution e = execution();
    e.products = precision;
    e.cuts = cuts;
    return e;
  }
};

constexpr int tiles[] = {64064, 128128, 128032, 128016};

const Kernel& tuned(const Op& op, DType dtype = DType::f32) {
  for (const Kernel* k : kernels_of(op.name))
    if (k->device == DeviceKind::cuda && k->name == "cuda" && k->dtype == dtype) return *k;
  fail(op.name, " has no tuned kernel for ", dtype);
}

bool served(const Op& op, const OpCase& c) {
  const Kernel& kernel = tuned(op);
  return kernel.supports(case_inputs(op, c, DType::f32), c.attrs);
}

/// Depthwise convolutions multiply in f32 always.
bool depthwise(const OpCase& c) {
  const int64_t groups = c.attrs.integer("groups", 1);
  return groups > 1 && c.inputs[1].shape[3] == 1 && c.inputs[1].shape[0] == groups;
}

/// As many parts as `parts`; but sums of many equal terms have as many as they take by themselves
/// (0), because a chain in f32 as long as that is less exact than the tolerance.
int parts_of(const OpCase& c, int parts) {
  const bool is_long = std::any_of(c.inputs.begin(), c.inputs.end(), [](const CaseInput& in) {
    return in.low == in.high && in.shape.numel() > 8192;
  });
  return is_long ? 0 : parts;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.defined() != b.defined() || a.bytes() != b.bytes()) return false;
  const Tensor x = a.to(cpu), y = b.to(cpu);
  return a.bytes() == 0 || std::memcmp(x.raw(), y.raw(), size_t(x.bytes())) == 0;
}

class CudaProducts : public testing::TestWithParam<const char*> {
 protected:
  const Op& op() const { return find_op(GetParam()); }
};

TEST_P(CudaProducts, EveryTileAgreesWithTheReferenceInF32) {
  for (size_t i = 0; i < op().cases.size(); ++i) {
    const OpCase& c = op().cases[i];
    if (!served(op(), c)) continue;
    const CaseReference reference(op(), c);
    const int tile = tiles[i % 4], parts = parts_of(c, i / 4 % 2 ? 3 : 1);
    const Setting setting(Precision::f32, tile, parts);
    const CheckReport report = reference.check(tuned(op()));
    EXPECT_TRUE(report.ok) << op().name << ", tile " << tile << ", " << parts << " parts, "
                           << describe(op(), c) << ": " << report.message;
  }
}

TEST_P(CudaProducts, EveryTileAgreesWithTheReferenceInBf16Storage) {
  for (size_t i = 0; i < op().cases.size(); ++i) {
    const OpCase& c = op().cases[i];
    const int tile = tiles[(i + 1) % 4], parts = parts_of(c, i / 4 % 2 ? 1 : 3);
    const int round_weights = i / 2 % 2;
    const Setting setting(
        Precision::f32, tile, parts,
        round_weights);  // the precision is that of f32 operands: it must not matter
    const CheckReport report = check_kernel(op(), c, tuned(op(), DType::bf16));
    EXPECT_TRUE(report.ok) << (round_weights ? "weights rounded first, " : "") << op().name
                           << ", tile " << tile << ", " << parts << " parts, " << describe(op(), c)
                           << ": " << report.message;
  }
}

// Copies take 8, 4, 2 or 1 elements, and results are written in pairs or one by one: whatever
// divides the channels.
TEST(CudaBf16Storage, EveryWidthOfCopies) {
  const std::pair<int64_t, int64_t> channels[] = {{16, 24}, {8, 12}, {12, 8}, {20, 6}, {6, 20},
                                                  {2, 5},   {5, 16}, {7, 7},  {24, 1}, {1, 40}};
  for (const char* name : {"conv2d", "conv_transpose2d"})
    for (const int64_t window : {1, 3})
      for (const auto& [in, out] : channels)
        for (const int64_t groups : {1, 2}) {
          const bool transposed = std::string(name) == "conv_transpose2d";
          if (groups == 2 && (in % 2 || out % 2 || in / 2 < 4 || out / 2 < 4)) continue;
          const Shape w = transposed ? Shape{in, window, window, out / groups}
                                     : Shape{out, window, window, in / groups};
          const OpCase c{{CaseInput{{2, 5, 4, in}}, CaseInput{w}, CaseInput{{out}}},
                         Attrs{{"groups", groups},
                               {"stride", std::vector<int64_t>{window == 1 ? 1 : 2, 1}},
                               {"padding", std::vector<int64_t>{window / 2, window / 2}}}};
          for (const int round_weights : {0, 1}) {
            const Setting setting(Precision::f32, 0, 0, round_weights);
            const CheckReport report =
                check_kernel(find_op(name), c, tuned(find_op(name), DType::bf16));
            EXPECT_TRUE(report.ok && !report.skipped)
                << name << ", " << describe(find_op(name), c) << ", " << round_weights << ": "
                << report.message;
          }
        }
}

/// The same numbers `by` elements into a block, where 16-byte copies and writes of pairs may be
/// impossible.
Tensor shifted(const Tensor& t, int64_t by) {
  const Tensor block = Tensor::empty({t.numel() + by}, t.dtype(), t.device()),
               view = block.rows(by, by + t.numel()).reshape(t.shape());
  backend(t.device())
      .copy(view.raw(), t.device(), t.raw(), t.device(), static_cast<size_t>(t.bytes()));
  return view;
}

// Narrower copies bring the same numbers in the same order, and so do weights that are rounded
// before.
TEST(CudaBf16Storage, SameBitsWhereverTensorsStart) {
  const Op& op = find_op("conv2d");
  const Kernel& kernel = tuned(op, DType::bf16);
  const Device gpu{DeviceKind::cuda};
  const auto random = [&](Shape shape, uint64_t seed, DType type) {
    const Tensor t = Tensor::empty(shape);
    Stream(seed).fill_uniform(t, -1, 1);
    return t.to(type).to(gpu);
  };
  for (const int64_t window : {1, 3}) {  // stored matrices, and windows
    const Attrs attrs{{"padding", window / 2}};
    const Tensor x = random({2, 5, 4, 16}, 1, DType::bf16),
                 w = random({24, window, window, 16}, 2, DType::f32),
                 dy = random({2, 5, 4, 24}, 3, DType::bf16);
    Tensors expected;
    for (const int64_t by : {0, 1, 2, 4, 8}) {
      const Setting setting(Precision::f32, 64064, 1, by % 4 == 0);
      const Tensor y = shifted(dy, by), dx = shifted(x, by),
                   dw = Tensor::empty(w.shape(), DType::f32, gpu);
      const Tensors in{shifted(x, by), w, {}};
      kernel.forward({in, {y}, attrs});
      kernel.backward({in, {}, {shifted(dy, by)}, {dx, dw, {}}, attrs});
      const Tensors found{y, dx, dw};
      if (by == 0) expected = found;
      for (size_t t = 0; t < found.size(); ++t)
        EXPECT_TRUE(same_bits(found[t], expected[t]))
            << "window " << window << ", shifted by " << by << ", result " << t;
    }
  }
}

struct Results {
  Tensors in, out, dout, din;
};

/// Forward and backward with random cotangents; `transform` is applied to inputs and cotangents.
template <class F>
Results run(const Op& op, const OpCase& c, DType dtype, Device device, F&& transform) {
  Results r;
  const auto prepared = [&](const Tensor& t) {
    return t.defined() ? transform(t.clone()).to(device) : Tensor();
  };
  for (const Tensor& t : case_inputs(op, c, dtype)) r.in.push_back(prepared(t));
  r.out = run_forward(op, r.in, c.attrs);
  std::vector<TensorSpec> specs;
  std::vector<bool> wanted;
  for (const Tensor& t : r.in) {
    specs.push_back({t.defined() ? t.shape() : Shape{}, dtype});
    wanted.push_back(t.defined());
  }
  const Tensor cotangent = Tensor::empty(r.out[0].shape());
  Stream(3).fill_uniform(cotangent, -1, 1);
  r.dout = {prepared(cotangent.to(dtype))};
  r.din = run_backward(op, r.in, r.out, r.dout, specs, wanted, c.attrs);
  return r;
}

/// Into how many parts sums are split: by the rule, not, joined by the last block, added by a
/// second kernel.
constexpr int parts[] = {0, 1, 2, 12};

Tensor unchanged(const Tensor& t) { return t; }
Tensor magnitude(const Tensor& t) {
  for (double& x : t.span<double>()) x = std::abs(x);
  return t;
}

/// |found - exact| <= sum |a| |b| ((1 + u)^2 - 1) from rounding both factors of every product,
/// plus f32 sums. The operators are linear in each
/// of their arguments, so the reference on absolute values gives sum |a| |b|; bias and stored
/// results only add f32 rounding.
void compare(const std::string& name, const Tensor& found_there, const Tensor& exact,
             const Tensor& magnitudes, Precision precision, double terms, double& largest_error) {
  const Tensor found = found_there.to(cpu);
  const double u = cuda::unit_roundoff(precision), relative = 2 * u + u * u + 0x1p-23 * (8 + terms);
  for (int64_t i = 0; i < found.numel(); ++i) {
    const double error = std::abs(double(found.data<float>()[i]) - exact.data<double>()[i]),
                 bound = relative * magnitudes.data<double>()[i];
    largest_error =
        std::max(largest_error, error / (0x1p-24 * std::max(1e-30, magnitudes.data<double>()[i])));
    if (!(error <= bound)) {
      ADD_FAILURE() << name << " element " << i << " of " << found.shape() << ": error " << error
                    << " exceeds " << bound;
      return;
    }
  }
}

TEST_P(CudaProducts, LessPrecisionStaysWithinTheErrorOfItsFormat) {
  constexpr Precision formats[] = {Precision::tf32, Precision::bf16};
  double largest_error[2] = {};  // in units of 2^-24 sum |a| |b|
  for (size_t i = 0; i < op().cases.size(); ++i) {
    const OpCase& c = op().cases[i];
    if (!served(op(), c) || depthwise(c)) continue;
    const Results exact = run(op(), c, DType::f64, cpu, unchanged),
                  bound = run(op(), c, DType::f64, cpu, magnitude);
    const double products = op().flops(exact.in, c.attrs) / 2;
    for (size_t f = 0; f < 2; ++f) {
      if (op().cases.size() > 20 && i % 2 != f) continue;
      const int tile = tiles[i / 2 % 4];
      const Setting setting(formats[f], tile, parts[i % 4]);
      const ExecutionScope only(with(&Execution::kernel, "cuda"));
      const Results found = run(op(), c, DType::f32, Device{DeviceKind::cuda}, unchanged);
      const auto check = [&](const std::string& name, const Tensor& got, const Tensor& want,
                             const Tensor& magnitudes) {
        const double terms = products / static_cast<double>(std::max<int64_t>(1, want.numel()));
        compare(cat(op().name, ", tile ", tile, ", ", describe(op(), c), ": ", name), got, want,
                magnitudes, formats[f], terms, largest_error[f]);
      };
      check("output", found.out[0], exact.out[0], bound.out[0]);
      for (size_t j = 0; j < 2; ++j)
        check("gradient of " + input_name(op(), j), found.din[j], exact.din[j], bound.din[j]);
    }
  }
  // Products of exact f32 operands would stay far below; so it was this format that multiplied.
  for (size_t f = 0; f < 2; ++f)
    EXPECT_GT(largest_error[f], 0.05 * cuda::unit_roundoff(formats[f]) / 0x1p-24) << op().name;
}

TEST_P(CudaProducts, SameBitsInEveryOrderOfThreads) {
  size_t turn = 0;
  const auto compare_orders = [&](const Kernel& kernel, Precision precision, int tile) {
    const Setting setting(precision, tile, parts[2 + turn % 2], tile == 64064 || tile == 128128);
    for (size_t i = turn++; i < op().cases.size();
         i += 24) {  // the table test runs all of them with the tiles that they get
      const OpCase& c = op().cases[i];
      if (kernel.supports && !served(op(), c)) continue;
      const Tensors expected = run_case(op(), c, kernel);
      for_each_order([&](const char* order) {
        const Tensors found = run_case(op(), c, kernel);
        for (size_t t = 0; t < expected.size(); ++t)
          EXPECT_TRUE(same_bits(found[t], expected[t]))
              << order << ", tile " << tile << ": " << describe(op(), c);
      });
    }
  };
  for (const int tile : tiles) {
    for (const Precision precision : {Precision::f32, Precision::tf32, Precision::bf16})
      compare_orders(tuned(op()), precision, tile);
    compare_orders(tuned(op(), DType::bf16), Precision::f32, tile);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaProducts,
                         testing::Values("conv2d", "conv_transpose2d", "linear", "matmul"),
                         [](const auto& info) { return info.param; });

TEST(CudaProductSettings, MultipliesInF32UnlessAskedForLess) {
  EXPECT_EQ(execution().products, Precision::f32);
}

}  // namespace
}  // namespace limbeck
