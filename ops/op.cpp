#include "ops/op.h"

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_map>

#include "ops/execution.h"
#include "ops/profile.h"
#include "ops/tuner.h"

namespace limbeck {
namespace {

// Registration runs before main() in any order, so both tables live behind functions.
struct Table {
  std::vector<const Op*> ordered;
  std::map<std::string, std::unique_ptr<Op>, std::less<>> by_name;
};
Table& table() {
  static Table t;
  return t;
}
std::unordered_map<std::string, std::vector<std::unique_ptr<Kernel>>>& kernel_table() {
  static std::unordered_map<std::string, std::vector<std::unique_ptr<Kernel>>> t;
  return t;
}

DType floating_type(const Tensors& in, const Tensors& out) {
  for (const Tensors* list : {&in, &out})
    for (const Tensor& t : *list)
      if (t.defined() && is_floating(t.dtype())) return t.dtype();
  return DType::f32;
}
DType floating_type(const std::vector<TensorSpec>& in) {
  for (const TensorSpec& spec : in)
    if (is_floating(spec.dtype)) return spec.dtype;
  return DType::f32;
}

Device device_of(const Tensors& a, const Tensors& b) {
  for (const Tensors* list : {&a, &b})
    for (const Tensor& t : *list)
      if (t.defined()) return t.device();
  return cpu;
}

/// Nothing falls back to the CPU: copies at every call would hide a missing kernel as mere
/// slowness.
[[noreturn]] void complain_about_missing(const Op& op, DType dtype, Device device, bool backward) {
  std::string known;
  if (const auto found = kernel_table().find(op.name); found != kernel_table().end())
    for (const auto& k : found->second)
      if (k->device == device.kind && (!backward || k->backward)) {
        const std::string missing = k->missing && k->name == execution().kernel ? k->missing() : "";
        known += cat(known.empty() ? "" : ", ", k->name, " ", k->dtype,
                     missing.empty() ? "" : " (" + missing + ")");
      }
  const std::string wanted =
      execution().kernel.empty() ? "" : " named '" + execution().kernel + "'";
  fail(op.name, ": no ", dtype, backward ? " backward" : "", " kernel", wanted, " for device ",
       device, " serves this call; ",
       known.empty() ? "it has none there" : "registered there: " + known);
}

void check_devices(const Op& op, const Tensors& in, Device device) {
  for (size_t i = 0; i < in.size(); ++i)
    LIMBECK_CHECK(!in[i].defined() || in[i].device() == device, op.name, ": input '",
                  op.inputs[std::min(i, op.inputs.size() - 1)].name, "' must be on ", device,
                  " like the others, found ", describe(in[i]));
}

/// The registered kernel that serves this call, or null for the reference.
const Kernel* choose(const Op& op, DType dtype, Device device, const Tensors& in,
                     const Attrs& attrs, bool backward) {
  const auto found = kernel_table().find(op.name);
  const Kernel* best = nullptr;
  if (execution().kernel != "reference" && found != kernel_table().end())
    for (const auto& k : found->second) {
      if (k->dtype != dtype || k->device != device.kind || (backward && !k->backward)) continue;
      if (execution().kernel.empty() ? k->priority < 0 : k->name != execution().kernel) continue;
      if (best && best->priority >= k->priority) continue;
      if (k->supports && !k->supports(in, attrs)) continue;
      best = k.get();
    }
  if (!best && device.kind != DeviceKind::cpu) complain_about_missing(op, dtype, device, backward);
  return best;
}

/// Null where the rule decides: without a tuner, for the reference, and for a kernel that was
/// named.
KernelTuner* tuner_for(const Kernel* by_rule) {
  return by_rule && execution().kernel.empty() ? active_tuner(by_rule->device) : nullptr;
}

void check_inputs(const Op& op, const Tensors& in) {
  const size_t expected = op.inputs.size();
  LIMBECK_CHECK(op.variadic ? in.size() >= expected : in.size() == expected, op.name, ": expected ",
                expected, " inputs, found ", in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    const OpInput& spec = op.inputs[std::min(i, expected - 1)];
    LIMBECK_CHECK(spec.optional || in[i].defined(), op.name, ": input '", spec.name,
                  "' is missing");
  }
}

/// `infer` with every refusal named after the operator, those of attributes and shapes too.
std::vector<TensorSpec> inferred(const Op& op, const Tensors& in, const Attrs& attrs) {
  try {
    return op.infer(in, attrs);
  } catch (const Error& e) {
    if (std::string_view(e.what()).starts_with(op.name)) throw;
    fail(op.name, ": ", e.what());
  }
}

}  // namespace

const std::vector<const Op*>& all_ops() {
  auto& ordered = table().ordered;
  std::sort(ordered.begin(), ordered.end(),
            [](const Op* a, const Op* b) { return a->name < b->name; });
  return ordered;
}

const Op& find_op(std::string_view name) {
  const auto found = table().by_name.find(name);
  if (found != table().by_name.end()) return *found->second;
  std::vector<std::string> names;
  for (const Op* op : all_ops()) names.push_back(op->name);
  fail("unknown operator '", name, "'", did_you_mean(std::string(name), names));
}

std::vector<const Kernel*> kernels_of(const std::string& op) {
  std::vector<const Kernel*> result;
  if (const auto found = kernel_table().find(op); found != kernel_table().end())
    for (const auto& k : found->second) result.push_back(k.get());
  return result;
}

bool has_kernel(const Op& op, DType dtype, DeviceKind device) {
  const auto found = kernel_table().find(op.name);
  return found != kernel_table().end() &&
         std::any_of(found->second.begin(), found->second.end(),
                     [&](const auto& k) { return k->dtype == dtype && k->device == device; });
}

RegisterOp::RegisterOp(Op op) {
  auto owned = std::make_unique<Op>(std::move(op));
  Op* raw = owned.get();
  if (!table().by_name.emplace(raw->name, std::move(owned)).second)
    fail("operator '", raw->name, "' registered twice");
  table().ordered.push_back(raw);
}

RegisterKernel::RegisterKernel(Kernel kernel, const char* source) {
  kernel.source = source;
  auto& list = kernel_table()[kernel.op];
  list.push_back(std::make_unique<Kernel>(std::move(kernel)));
}

Tensors run_forward(const Op& op, const Tensors& in, const Attrs& attrs) {
  check_inputs(op, in);
  const auto specs = inferred(op, in, attrs);
  const Device device = device_of(in, {});
  check_devices(op, in, device);
  const AllocationLabel label(op.name.c_str());
  Tensors out;
  out.reserve(specs.size());
  for (const auto& spec : specs) out.push_back(Tensor::empty(spec.shape, spec.dtype, device));
  const Kernel* kernel = choose(op, floating_type(in, out), device, in, attrs, false);
  const ProfileScope scope(op, in, attrs);
  if (KernelTuner* tuner = tuner_for(kernel))
    tuner->forward(op, *kernel, {in, out, attrs});
  else
    (kernel ? kernel->forward : op.forward)({in, out, attrs});
  for (int i : op.mutated_inputs)
    if (const Tensor& t = in[static_cast<size_t>(i)]; t.defined()) t.bump_version();
  return out;
}

Tensors run_backward(const Op& op, const Tensors& saved_in, const Tensors& saved_out,
                     const Tensors& dout, const std::vector<TensorSpec>& in_specs,
                     const std::vector<bool>& wanted, const Attrs& attrs) {
  LIMBECK_CHECK(op.backward, op.name, ": is not differentiable");
  const Device device = device_of(dout, saved_in);
  const AllocationLabel label(op.name.c_str());
  Tensors din(in_specs.size());
  for (size_t i = 0; i < in_specs.size(); ++i)
    if (wanted[i]) din[i] = Tensor::empty(in_specs[i].shape, in_specs[i].dtype, device);
  const Kernel* kernel = choose(op, floating_type(in_specs), device, saved_in, attrs, true);
  const ProfileScope scope(op, in_specs, wanted, attrs);
  if (KernelTuner* tuner = tuner_for(kernel))
    tuner->backward(op, *kernel, {saved_in, saved_out, dout, din, attrs});
  else
    (kernel ? kernel->backward : op.backward)({saved_in, saved_out, dout, din, attrs});
  return din;
}

}  // namespace limbeck
