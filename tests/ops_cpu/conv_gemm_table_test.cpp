// The CPU kernels of convolution and matrix products against the definition, for every case of the
// operator table, every instruction set and several thread counts, which must agree bit for bit.
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "ops/cases.h"
#include "ops/check.h"
#include "ops/op.h"
#include "ops_cpu/isa.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

std::vector<Isa> available_isas() {
  std::vector<Isa> list;
  for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512})
    if (isa <= best_isa()) list.push_back(isa);
  return list;
}

class Threads {
 public:
  explicit Threads(int n) : previous_(omp_get_max_threads()) { omp_set_num_threads(n); }
  ~Threads() { omp_set_num_threads(previous_); }

 private:
  int previous_;
};

struct Problem {
  const Op& op;
  const OpCase& test;
  Tensors in, dout;
};

Problem make_problem(const Op& op, const OpCase& test) {
  Problem p{op, test, {}, {}};
  Stream stream(fnv1a(op.name));
  for (const CaseInput& input : test.inputs) {
    Tensor t;
    if (input.given) stream.fill_uniform(t = Tensor::empty(input.shape), input.low, input.high);
    p.in.push_back(t);
  }
  for (const TensorSpec& spec : op.infer(p.in, test.attrs)) {
    p.dout.push_back(Tensor::empty(spec.shape));
    stream.fill_uniform(p.dout.back(), -1, 1);
  }
  return p;
}

/// Output and all input gradients, from results pre-filled with NaN.
Tensors run(const Problem& p, ForwardFn forward, BackwardFn backward) {
  Tensors out, din;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Tensor& d : p.dout) out.push_back(Tensor::full(d.shape(), nan));
  for (const Tensor& x : p.in) din.push_back(x ? Tensor::full(x.shape(), nan) : Tensor());
  forward({p.in, out, p.test.attrs});
  backward({p.in, out, p.dout, din, p.test.attrs});
  out.insert(out.end(), din.begin(), din.end());
  return out;
}

const Kernel& cpu_kernel(std::string_view op) {
  for (const Kernel* k : kernels_of(std::string(op)))
    if (k->name == "cpu") return *k;
  fail("operator ", op, " has no kernel cpu");
}

/// f32 sums of n products of values in [-1, 1) are near the double sum within a small multiple of
/// sqrt(n) units of rounding.
void expect_near(const Tensor& found, const Tensor& expected, double terms,
                 const std::string& where) {
  ASSERT_EQ(found.shape(), expected.shape()) << where;
  const double tolerance = 4e-7 * std::max(8.0, 4 * std::sqrt(terms));
  for (int64_t i = 0; i < found.numel(); ++i) {
    const double f = found.at(i), e = expected.at(i);
    ASSERT_LE(std::abs(f - e), tolerance * std::max(1.0, std::abs(e)))
        << where << " element " << i << ": " << f << ", expected " << e;
  }
}

class TableOperator : public testing::TestWithParam<const char*> {};

TEST_P(TableOperator, MatchesTheDefinitionOnEveryInstructionSetAndThreadCount) {
  const Op& op = find_op(GetParam());
  const Kernel& kernel = cpu_kernel(op.name);
  for (const OpCase& test : op.cases) {
    const Problem p = make_problem(op, test);
    const Tensors expected = run(p, op.forward, op.backward);
    double products = op.flops(p.in, test.attrs) / 2;
    for (Isa isa : available_isas()) {
      const ExecutionScope use(with(&Execution::isa, isa));
      Tensors first;
      for (int threads : {1, 2, 5}) {
        Threads limit(threads);
        const Tensors found = run(p, kernel.forward, kernel.backward);
        for (size_t i = 0; i < found.size(); ++i) {
          if (!found[i]) continue;
          const std::string where =
              cat(op.name, " case {", to_string(test.attrs), "} x ", test.inputs[0].shape, " w ",
                  test.inputs[1].shape, " ", name_of(isa), " ", threads, " threads, result ", i);
          // A bias gradient sums one term per output pixel; the others at most products / elements
          // terms.
          const double terms = std::max<double>(p.dout[0].numel(), products) /
                               std::max<int64_t>(1, found[i].numel());
          if (threads == 1) {
            expect_near(found[i], expected[i], terms, where);
          } else if (found[i].bytes() > 0) {
            ASSERT_EQ(std::memcmp(found[i].raw(), first[i].raw(), found[i].bytes()), 0)
                << where << " differs from one thread";
          }
        }
        if (threads == 1) first = found;
      }
    }
  }
}

TEST_P(TableOperator, GradientsOfUnwantedInputsAreSkipped) {
  const Op& op = find_op(GetParam());
  const Problem p = make_problem(op, op.cases[0]);
  const Tensors all = run(p, cpu_kernel(op.name).forward, cpu_kernel(op.name).backward);
  for (size_t wanted = 0; wanted < p.in.size(); ++wanted) {
    Tensors din(p.in.size());
    if (!p.in[wanted]) continue;
    din[wanted] = Tensor::empty_like(p.in[wanted]);
    cpu_kernel(op.name).backward({p.in, {}, p.dout, din, p.test.attrs});
    EXPECT_EQ(
        std::memcmp(din[wanted].raw(), all[p.dout.size() + wanted].raw(), din[wanted].bytes()), 0)
        << op.name << " input " << wanted;
  }
}

INSTANTIATE_TEST_SUITE_P(ConvAndGemm, TableOperator,
                         testing::Values("conv2d", "conv_transpose2d", "matmul", "linear"),
                         [](const auto& info) { return std::string(info.param); });

TEST(Conv2d, SteadyStateAllocatesNothingFromTheSystem) {
  const Op& op = find_op("conv2d");
  const Problem p = make_problem(op, op.cases[op.cases.size() - 8]);
  const Kernel& kernel = cpu_kernel("conv2d");
  for (int i = 0; i < 3; ++i) run(p, kernel.forward, kernel.backward);
  const size_t before = allocator(cpu).stats().system_calls;
  for (int i = 0; i < 3; ++i) run(p, kernel.forward, kernel.backward);
  EXPECT_EQ(allocator(cpu).stats().system_calls, before);
}

// Strides that skip pixels, paddings beyond the window: phases of the stride that meet no tap among
// them.
TEST(Conv2d, EveryWindowMatchesTheDefinition) {
  struct Channels {
    int64_t in, out, groups;
  };
  const std::pair<int64_t, int64_t> windows[] = {{1, 1}, {1, 3}, {3, 1}, {2, 2}, {3, 3}};
  int64_t ran = 0;
  for (const char* name : {"conv2d", "conv_transpose2d"})
    for (const auto& [kh, kw] : windows)
      for (const int64_t stride : {1, 2, 3})
        for (const int64_t padding : {0, 1, 2, 3, 4})
          for (const int64_t dilation : {1, 2})
            for (const Channels& c :
                 {Channels{1, 1, 1}, Channels{8, 2, 1}, Channels{2, 8, 1}, Channels{4, 4, 4}}) {
              const Op& op = find_op(name);
              const bool forward = op.name == "conv2d";
              const Attrs attrs{{"stride", stride},
                                {"padding", padding},
                                {"dilation", dilation},
                                {"groups", c.groups}};
              const Shape x = forward ? Shape{1, 8, 13, c.in} : Shape{1, 5, 8, c.in};
              const Shape w = forward ? Shape{c.out, kh, kw, c.in / c.groups}
                                      : Shape{c.in, kh, kw, c.out / c.groups};
              const OpCase test{
                  {CaseInput{x}, CaseInput{w}, CaseInput{.shape = {c.out}}}, attrs, false};
              try {
                op.infer({Tensor::empty(x), Tensor::empty(w), Tensor::empty({c.out})}, attrs);
              } catch (const Error&) {
                continue;  // no output pixel is left
              }
              const CheckReport report = check_kernel(op, test, cpu_kernel(op.name));
              EXPECT_TRUE(report.ok)
                  << op.name << " on " << describe(op, test) << ": " << report.message;
              ++ran;
            }
  EXPECT_GT(ran, 900);
}

TEST(Conv2d, BadArgumentsAreNamed) {
  const Op& op = find_op("conv2d");
  const auto message = [&](const Tensors& in, const Attrs& attrs) -> std::string {
    try {
      op.infer(in, attrs);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  };
  const auto zeros = [](const Shape& s) { return Tensor::zeros(s); };
  EXPECT_NE(
      message({zeros({1, 4, 4, 3}), zeros({2, 3, 3, 4})}, {}).find("'w' must be [2, 3, 3, 3]"),
      std::string::npos);
  EXPECT_NE(
      message({zeros({1, 2, 2, 3}), zeros({2, 3, 3, 3})}, {}).find("larger than the padded 'x'"),
      std::string::npos);
  EXPECT_NE(
      message({zeros({1, 4, 4, 3}), zeros({2, 3, 3, 3})}, {{"stride", int64_t{0}}}).find("stride"),
      std::string::npos);
  EXPECT_NE(message({zeros({1, 4, 4, 3}), zeros({4, 3, 3, 1})}, {{"groups", int64_t{2}}})
                .find("groups = 2"),
            std::string::npos);
  EXPECT_NE(message({zeros({1, 4, 4, 3}), zeros({2, 3, 3, 3}), zeros({3})}, {})
                .find("'b' must be f32[2]"),
            std::string::npos);
}

}  // namespace
}  // namespace limbeck
