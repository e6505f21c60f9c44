// The Winograd kernels against the definition at sizes that cut tiles, vectors and blocks, on every
// instruction set; bits for every thread count; and that they run where they should.
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "ops/check.h"
#include "ops_cpu/conv2d_winograd.h"
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

/// The kernel without its rule of when it pays, so that every possible size can be tested.
Kernel unrestricted(const std::string& op) {
  for (const Kernel* k : kernels_of(op))
    if (k->name == "cpu-winograd") {
      Kernel copy = *k;
      copy.supports = nullptr;
      return copy;
    }
  fail("operator ", op, " has no kernel cpu-winograd");
}

OpCase conv_case(Shape x, int64_t out, std::vector<int64_t> padding, bool bias) {
  return {{CaseInput{x}, CaseInput{{out, 3, 3, x[3]}}, CaseInput{.shape = {out}, .given = bias}},
          {{"padding", padding}},
          false};
}

/// x [N, H, W, C], output channels, padding.
std::vector<OpCase> awkward_cases() {
  return {
      conv_case({2, 5, 7, 33}, 48, {1, 1}, true),    conv_case({3, 1, 1, 16}, 17, {1, 1}, true),
      conv_case({1, 5, 5, 64}, 33, {0, 0}, true),    conv_case({2, 4, 9, 48}, 100, {2, 2}, false),
      conv_case({2, 8, 8, 100}, 64, {1, 1}, true),   conv_case({1, 2, 13, 5}, 3, {2, 0}, true),
      conv_case({2, 6, 5, 1}, 1, {0, 1}, false),     conv_case({1, 7, 4, 350}, 20, {1, 2}, true),
      conv_case({9, 16, 16, 32}, 32, {1, 1}, false), conv_case({5, 12, 12, 64}, 64, {1, 1}, false),
      conv_case({1, 3, 3, 64}, 64, {1, 1}, true),  // the fewest outputs that winograd_pays admits
      conv_case({0, 4, 4, 16}, 16, {1, 1}, true)};
}

std::string describe_case(const OpCase& c) {
  return cat(c.inputs[0].shape, " to ", c.inputs[1].shape, " {", to_string(c.attrs), "}");
}

TEST(Winograd, MatchesTheDefinitionOnEveryInstructionSet) {
  const Op& op = find_op("conv2d");
  const Kernel kernel = unrestricted("conv2d");
  for (const OpCase& c : awkward_cases()) {
    const CaseReference reference(op, c);
    for (Isa isa : available_isas()) {
      const ExecutionScope use(with(&Execution::isa, isa));
      const CheckReport report = reference.check(kernel);
      EXPECT_TRUE(report.ok && !report.skipped)
          << describe_case(c) << " " << name_of(isa) << ": " << report.message;
      EXPECT_LT(report.worst, 0.8)
          << describe_case(c) << " " << name_of(isa) << ": close to the tolerance";
    }
  }
}

TEST(Winograd, TransposedConvolutionMatchesTheDefinition) {
  const Op& op = find_op("conv_transpose2d");
  for (int64_t padding : {0, 1, 2}) {
    const OpCase c{{CaseInput{{2, 5, 6, 20}}, CaseInput{{20, 3, 3, 35}}, CaseInput{.shape = {35}}},
                   {{"padding", padding}},
                   false};
    const CheckReport report = check_kernel(op, c, unrestricted(op.name));
    EXPECT_TRUE(report.ok && !report.skipped) << "padding " << padding << ": " << report.message;
  }
}

TEST(Winograd, BitsDoNotDependOnTheNumberOfThreads) {
  const Op& op = find_op("conv2d");
  const Kernel kernel = unrestricted("conv2d");
  for (const OpCase& c : {conv_case({9, 16, 16, 32}, 32, {1, 1}, true),
                          conv_case({3, 9, 7, 150}, 210, {1, 1}, true)}) {
    Tensors first;
    for (int threads : {1, 2, 5}) {
      Threads limit(threads);
      const Tensors found = run_case(op, c, kernel);
      if (threads == 1) first = found;
      for (size_t i = 0; i < found.size(); ++i)
        if (found[i]) {
          EXPECT_EQ(std::memcmp(found[i].raw(), first[i].raw(), found[i].bytes()), 0)
              << describe_case(c) << ", " << threads << " threads, " << i;
        }
    }
  }
}

TEST(Winograd, ServesTheLayersOfResidualNetworksOnly) {
  const auto pays = [](Shape x, Shape w, Attrs attrs) {
    return winograd_pays(conv2d_sizes(x, w, attrs));
  };
  const Attrs same{{"padding", int64_t{1}}};
  EXPECT_TRUE(pays({64, 16, 16, 32}, {32, 3, 3, 32}, same));
  EXPECT_TRUE(pays({64, 4, 4, 512}, {512, 3, 3, 512}, same));
  EXPECT_FALSE(pays({64, 32, 32, 3}, {16, 3, 3, 3}, same));     // an image
  EXPECT_FALSE(pays({64, 1, 1, 512}, {512, 3, 3, 512}, same));  // mostly outside the image
  EXPECT_FALSE(
      pays({64, 16, 16, 32}, {64, 3, 3, 32}, {{"padding", int64_t{1}}, {"stride", int64_t{2}}}));
  EXPECT_FALSE(pays({64, 16, 16, 32}, {64, 1, 1, 32}, {}));
  EXPECT_FALSE(
      pays({64, 16, 16, 64}, {64, 3, 3, 32}, {{"padding", int64_t{1}}, {"groups", int64_t{2}}}));
  EXPECT_FALSE(
      pays({64, 16, 16, 64}, {64, 3, 3, 64}, {{"padding", int64_t{2}}, {"dilation", int64_t{2}}}));
  EXPECT_FALSE(pays({64, 16, 16, 64}, {64, 3, 3, 64}, {{"padding", int64_t{3}}}));
}

TEST(Winograd, SteadyStateAllocatesNothingFromTheSystem) {
  const Op& op = find_op("conv2d");
  const OpCase c = conv_case({2, 8, 8, 48}, 48, {1, 1}, false);
  const Kernel kernel = unrestricted("conv2d");
  for (int i = 0; i < 3; ++i) run_case(op, c, kernel);
  const size_t before = allocator(cpu).stats().system_calls;
  for (int i = 0; i < 3; ++i) run_case(op, c, kernel);
  EXPECT_EQ(allocator(cpu).stats().system_calls, before);
}

}  // namespace
}  // namespace limbeck
