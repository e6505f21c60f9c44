// The calls that `ops bench` times on the device cuda, recorded and on rotating tensors, give what
// the same calls give one by one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "apps/bench_calls.h"
#include "apps/ops_bench.h"
#include "tests/ops_cuda/errors.h"

namespace limbeck {
namespace {

constexpr Device cuda{DeviceKind::cuda, 0};
constexpr int64_t number_of_copies = 3;

std::vector<std::string> names_of_f32_kernels() {
  std::vector<std::string> names;
  for (const Op* op : all_ops())
    if (has_kernel(*op, DType::f32, DeviceKind::cuda)) names.push_back(op->name);
  return names;
}

/// The smallest case with anything in it that the kernel supports.
std::optional<OpCase> smallest_case(const Op& op, const Kernel& kernel) {
  std::optional<OpCase> best;
  int64_t fewest = 0;
  for (const OpCase& c : op.cases) {
    const CallTensors t = call_tensors(op, c, kernel.dtype, cuda);
    int64_t elements = 0;
    bool empty = false;
    for (const Tensors* list : {&t.in, &t.out})
      for (const Tensor& x : *list)
        if (x.defined()) elements += x.numel(), empty |= x.numel() == 0;
    if (empty || (best && elements >= fewest) ||
        (kernel.supports && !kernel.supports(t.in, c.attrs)))
      continue;
    best = c;
    fewest = elements;
  }
  return best;
}

/// Each with numbers of its own, so that one in another's place shows.
std::vector<CallTensors> different_copies(const Op& op, const OpCase& c, DType dtype) {
  std::vector<CallTensors> copies;
  for (int64_t i = 0; i < number_of_copies; ++i)
    copies.push_back(call_tensors(op, c, dtype, cuda, static_cast<uint64_t>(i)));
  return copies;
}

void fill_with_zero(const Tensors& list) {
  for (const Tensor& t : list)
    if (t.defined()) t.fill(0);
}

void restore(const Tensors& to, const Tensors& from) {
  for (size_t i = 0; i < to.size(); ++i)
    if (to[i].defined()) to[i].copy_from(from[i]);
}

void expect_same_bits(const Tensors& found, const Tensors& expected, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].defined(), expected[i].defined()) << what;
    if (!found[i].defined()) continue;
    const Tensor a = found[i].to(cpu), b = expected[i].to(cpu);
    EXPECT_EQ(std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())), 0)
        << what << ", tensor " << i;
  }
}

class CudaBenchCalls : public testing::TestWithParam<std::string> {};

TEST_P(CudaBenchCalls, AGraphOverRotatingTensorsGivesWhatEagerCallsGive) {
  const Op& op = find_op(GetParam());
  int timed = 0;
  for (const Kernel* k : kernels_of(op.name)) {
    if (k->device != DeviceKind::cuda || k->dtype == DType::f64 ||
        (k->missing && !k->missing().empty()))
      continue;
    const std::optional<OpCase> c = smallest_case(op, *k);
    if (!c) continue;
    const std::string name = cat(op.name, " ", k->name, " ", k->dtype);
    std::vector<CallTensors> eager = different_copies(op, *c, k->dtype),
                             rotating = different_copies(op, *c, k->dtype);
    const RotatingCalls::Call forward = [&](CallTensors& t) {
      k->forward({t.in, t.out, c->attrs});
    };
    const RotatingCalls::Call backward = [&](CallTensors& t) {
      (k->backward ? k->backward : op.backward)({t.saved_in, t.saved_out, t.dout, t.din, c->attrs});
    };
    const std::vector<CallTensors> fresh = different_copies(op, *c, k->dtype);

    RotatingCalls recorded_forward(cuda, rotating, forward);
    for (size_t i = 0; i < rotating.size(); ++i)
      restore(rotating[i].in, fresh[i].in),
          fill_with_zero(rotating[i].out);  // some operators change inputs in place
    recorded_forward.replay();
    for (CallTensors& t : eager) fill_with_zero(t.out), forward(t);
    for (size_t i = 0; i < eager.size(); ++i) {
      expect_same_bits(rotating[i].out, eager[i].out, cat(name, ", forward, copy ", i));
      expect_same_bits(rotating[i].in, eager[i].in, cat(name, ", inputs, copy ", i));
    }
    ++timed;
    if (!op.backward) continue;
    RotatingCalls recorded_backward(cuda, rotating, backward);
    for (CallTensors& t : rotating) fill_with_zero(t.din);
    recorded_backward.replay();
    for (CallTensors& t : eager) fill_with_zero(t.din), backward(t);
    for (size_t i = 0; i < eager.size(); ++i)
      expect_same_bits(rotating[i].din, eager[i].din, cat(name, ", backward, copy ", i));
  }
  EXPECT_GT(timed, 0) << op.name << ": no kernel was compared";
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaBenchCalls, testing::ValuesIn(names_of_f32_kernels()),
                         [](const auto& info) { return info.param; });

TEST(CudaBench, CopiesShareNoMemoryAndHoldTheSameNumbers) {
  const Op& op = find_op("softmax");  // its backward reads its output
  const CallTensors one = call_tensors(op, op.cases[0], DType::f32, cuda), other = copy_of(op, one);
  expect_same_bits(other.in, one.in, "inputs");
  expect_same_bits(other.dout, one.dout, "cotangents");
  EXPECT_NE(other.in[0].raw(), one.in[0].raw());
  EXPECT_NE(other.out[0].raw(), one.out[0].raw());
  EXPECT_NE(other.din[0].raw(), one.din[0].raw());
  EXPECT_EQ(other.saved_out[0].raw(), other.out[0].raw());
  EXPECT_EQ(other.forward_bytes(), one.forward_bytes());
}

TEST(CudaBench, AKernelThatCannotBeRecordedSaysSoAndLeavesTheDeviceUsable) {
  const Op& op = find_op("relu");
  std::vector<CallTensors> copies{call_tensors(op, op.cases[0], DType::f32, cuda)};
  int calls = 0;
  const RotatingCalls::Call reads_the_host = [&](CallTensors& t) {
    ++calls;
    t.in[0].copy_from(Tensor::zeros(t.in[0].shape()));
  };
  EXPECT_ERROR(RotatingCalls(cuda, copies, reads_the_host),
               "a step that is recorded as a graph copies");
  EXPECT_EQ(calls, 2);
  EXPECT_FALSE(recording());
  RotatingCalls fine(cuda, copies, [&](CallTensors& t) { t.out[0].fill(3); });
  fine.replay();
  EXPECT_EQ(copies[0].out[0].at(0), 3);
}

TEST(CudaBench, AGpuGetsLargerCases) {
  const Op& op = find_op("conv2d");
  EXPECT_EQ(bench_cases(op, false).size(), op.bench_cases.size());
  const std::vector<OpCase> list = bench_cases(op, true);
  const auto has = [&](int64_t batch, int64_t channels) {
    return std::any_of(list.begin(), list.end(), [&](const OpCase& c) {
      return c.inputs[0].shape[0] == batch && c.inputs[0].shape[3] == channels;
    });
  };
  for (const int64_t batch : {128, 256})
    for (const int64_t channels : {128, 256, 512})
      EXPECT_TRUE(has(batch, channels)) << batch << " " << channels;
}

}  // namespace
}  // namespace limbeck
