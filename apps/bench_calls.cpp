#include "apps/bench_calls.h"

#include <algorithm>
#include <cmath>

#include "ops/cases.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

double bytes_of(const Tensors& list) {
  double sum = 0;
  for (const Tensor& t : list)
    if (t.defined()) sum += static_cast<double>(t.bytes());
  return sum;
}

Tensors only(const Tensors& list, const std::vector<int>& which) {
  Tensors result(list.size());
  for (const int i : which) result[static_cast<size_t>(i)] = list[static_cast<size_t>(i)];
  return result;
}

/// Applies f to the tensors that are there.
template <class F>
Tensors each(const Tensors& list, F&& f) {
  Tensors result;
  for (const Tensor& t : list) result.push_back(t.defined() ? f(t) : Tensor());
  return result;
}

void save_for_backward(const Op& op, CallTensors& t) {
  t.saved_in = only(t.in, op.saved_inputs);
  t.saved_out = only(t.out, op.saved_outputs);
}

}  // namespace

double CallTensors::forward_bytes() const { return bytes_of(in) + bytes_of(out); }
double CallTensors::backward_bytes() const {
  return bytes_of(saved_in) + bytes_of(saved_out) + bytes_of(dout) + bytes_of(din);
}

CallTensors call_tensors(const Op& op, const OpCase& c, DType floating, Device device,
                         uint64_t seed) {
  CallTensors t;
  t.in = each(case_inputs(op, c, floating, seed), [&](const Tensor& in) { return in.to(device); });
  for (const TensorSpec& s : op.infer(t.in, c.attrs))
    t.out.push_back(Tensor::empty(s.shape, s.dtype, device));
  if (!op.backward) return t;
  for (size_t j = 0; j < t.out.size(); ++j) {
    if (!op.outputs[j].differentiable) {
      t.dout.emplace_back();
      continue;
    }
    const Tensor cotangent = Tensor::empty(t.out[j].shape(), DType::f32);
    Stream(seed).fork("cotangent", j).fill_uniform(cotangent, -1, 1);
    t.dout.push_back(cotangent.to(t.out[j].dtype()).to(device));
  }
  for (size_t i = 0; i < t.in.size(); ++i)
    t.din.push_back(t.in[i].defined() && input_of(op, i).differentiable
                        ? Tensor::empty_like(t.in[i])
                        : Tensor());
  save_for_backward(op, t);
  return t;
}

CallTensors copy_of(const Op& op, const CallTensors& t) {
  const auto clone = [](const Tensor& x) { return x.clone(); };
  const auto empty = [](const Tensor& x) { return Tensor::empty_like(x); };
  CallTensors copy{.in = each(t.in, clone),
                   .out = each(t.out, empty),
                   .saved_in = {},
                   .saved_out = {},
                   .dout = each(t.dout, clone),
                   .din = each(t.din, empty),
                   .kept = {}};
  if (op.backward) save_for_backward(op, copy);
  return copy;
}

int64_t copies_beyond_cache(double bytes_of_call, Device device) {
  constexpr double cold_bytes = 256 << 20;  // the largest L2 caches have half of it
  if (backend(device).simulated()) return 2;
  return static_cast<int64_t>(
      std::clamp(std::ceil(cold_bytes / std::max(bytes_of_call, 1.0)), 1.0, 256.0));
}

RotatingCalls::RotatingCalls(Device device, std::vector<CallTensors>& copies, const Call& call) {
  call(copies.at(0));
  DeviceBackend& b = backend(device);
  b.synchronise(device.index);
  b.begin_recording(device.index);
  try {
    effects_ = std::make_unique<
        // from here on copies from the host are refused: a replay would read whatever is there then
        HostEffects>();
    for (CallTensors& t : copies) call(t);
  } catch (...) {
    effects_.reset();
    try {
      b.end_recording(device.index);
    } catch (const Error&) {  // the first error says what happened
    }
    throw;
  }
  effects_->stop();
  recording_ = b.end_recording(device.index);
}

void RotatingCalls::replay() {
  effects_->run();
  recording_->replay();
}

}  // namespace limbeck
