#include "ops/check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/cases.h"
#include "ops/central_difference.h"
#include "tensor/random.h"

namespace limbeck {
namespace {

constexpr double eps_f32 = 0x1p-24, eps_f64 = 0x1p-53, eps_bf16 = 0x1p-8;

/// Everything one implementation produced: outputs, inputs after the call, gradients.
struct Result {
  Tensors in, out, din;
  bool has_backward = false;
};

bool differentiable(const Op& op) {
  for (const OpInput& i : op.inputs)
    if (i.differentiable) return op.backward != nullptr;
  return false;
}

Tensors filled_with_nan(const std::vector<TensorSpec>& specs) {
  Tensors result;
  for (const TensorSpec& s : specs) {
    result.push_back(Tensor::empty(s.shape, s.dtype));
    result.back().fill(is_floating(s.dtype) ? std::numeric_limits<double>::quiet_NaN() : 0);
  }
  return result;
}

Tensors moved(const Tensors& list, Device device) {
  Tensors result;
  for (const Tensor& t : list) result.push_back(t.to(device));
  return result;
}

Tensors copies(const Tensors& list) {
  Tensors result;
  for (const Tensor& t : list) result.push_back(t.defined() ? t.clone() : Tensor());
  return result;
}

/// Only what the operator says that backward reads.
Tensors only_saved(const Op& op, const Tensors& list, const std::vector<int>& saved, bool inputs) {
  Tensors result(list.size());
  for (int i : saved) result[i] = list[i];
  if (inputs && op.variadic && !saved.empty() &&
      saved.back() == static_cast<int>(op.inputs.size()) - 1)
    for (size_t i = op.inputs.size(); i < list.size(); ++i) result[i] = list[i];
  return result;
}

/// Of the types of `out`, or rounded to `types` first.
Tensors cotangents(const Op& op, const OpCase& c, const Tensors& out, uint64_t seed,
                   const std::vector<DType>& types = {}) {
  Tensors result(out.size());
  for (size_t j = 0; j < out.size(); ++j) {
    if (!op.outputs[j].differentiable || !is_floating(out[j].dtype())) continue;
    const Tensor t = Tensor::empty(out[j].shape(), DType::f32);
    if (std::isnan(c.cotangent))
      Stream(seed).fork("cotangent", j).fill_uniform(t, -1, 1);
    else
      t.fill(c.cotangent);
    result[j] = (types.empty() ? t : t.to(types[j])).to(out[j].dtype());
  }
  return result;
}

std::vector<bool> all_wanted(const Op& op, const Tensors& in) {
  std::vector<bool> wanted(in.size());
  for (size_t i = 0; i < in.size(); ++i)
    wanted[i] = in[i].defined() && input_of(op, i).differentiable && is_floating(in[i].dtype());
  return wanted;
}

/// Whether a call has a gradient: moving integers has none.
bool has_gradient(const Op& op, const Tensors& in) {
  const std::vector<bool> wanted = all_wanted(op, in);
  return differentiable(op) && std::find(wanted.begin(), wanted.end(), true) != wanted.end();
}

Tensors forward_of(const Op& op, const Kernel& kernel, const Tensors& in, const Attrs& attrs) {
  const Tensors out = moved(filled_with_nan(op.infer(in, attrs)), Device{kernel.device});
  kernel.forward({in, out, attrs});
  return out;
}

Tensors backward_of(const Op& op, const Kernel& kernel, const Tensors& in, const Tensors& out,
                    const Tensors& dout, const std::vector<bool>& wanted, const Attrs& attrs) {
  Tensors din(in.size());
  for (size_t i = 0; i < in.size(); ++i)
    if (wanted[i]) din[i] = filled_with_nan({{in[i].shape(), in[i].dtype()}})[0].to(in[i].device());
  const Tensors saved_in = only_saved(op, in, op.saved_inputs, true),
                saved_out = only_saved(op, out, op.saved_outputs, false);
  kernel.backward({saved_in, saved_out, dout, din, attrs});
  return din;
}

/// Relative noise of at most `amplitude` on a f64 tensor.
Tensor perturbed(const Tensor& t, double amplitude, uint64_t seed, size_t index) {
  if (!t.defined() || t.dtype() != DType::f64) return t;
  const Tensor noise = Tensor::empty_like(t), result = t.clone();
  Stream(seed).fork("perturbation", index).fill_uniform(noise, -amplitude, amplitude);
  for (int64_t i = 0; i < t.numel(); ++i) result.data<double>()[i] *= 1 + noise.data<double>()[i];
  return result;
}

/// What a kernel of one type is held against: its numbers in f64, and the types in which it keeps
/// its results.
struct Subject {
  const Op& op;
  const OpCase& c;
  uint64_t seed;
  Tensors in;  // f64 and integers
  std::vector<DType> in_types, out_types;

  Subject(const Op& op_, const OpCase& c_, DType type, uint64_t seed_)
      : op(op_), c(c_), seed(seed_) {
    const Tensors stored = case_inputs(op, c, type, seed);
    in = widened(stored);
    for (const Tensor& t : stored) in_types.push_back(t.dtype());
    for (const TensorSpec& spec : op.infer(stored, c.attrs)) out_types.push_back(spec.dtype);
  }
  bool rounds_input(size_t i) const {
    return (input_of(op, i).parameter || input_of(op, i).weighted) && !out_types.empty() &&
           out_types[0] == DType::bf16;
  }
  /// Backward weighs the cotangents as forward does the weighted inputs.
  bool rounds_cotangents() const {
    return std::any_of(op.inputs.begin(), op.inputs.end(),
                       [](const OpInput& i) { return i.weighted; });
  }
  Tensor as_stored(const Tensor& out, size_t j) const {
    return out_types[j] == DType::bf16 ? out.to(DType::bf16).to(out.dtype()) : out;
  }
};

enum class Noise {
  none,
  arithmetic,
  storage
};  ///< of f32 rounding everywhere; of bf16 rounding where a kernel may round

/// The reference in f64; with noise, on inputs, saved outputs and cotangents that are off.
Result reference_result(const Subject& s, Noise noise, uint64_t noise_seed) {
  const Kernel reference = reference_kernel(s.op, DType::f64);
  if (s.c.exact) noise = Noise::none;
  Result r;
  r.in = copies(s.in);
  for (size_t i = 0; i < r.in.size(); ++i) {
    if (noise == Noise::arithmetic)
      r.in[i] = perturbed(r.in[i], eps_f32, noise_seed, i);
    else if (noise == Noise::storage && s.rounds_input(i))
      r.in[i] = perturbed(r.in[i], eps_bf16, noise_seed, i);
  }
  r.out = forward_of(s.op, reference, r.in, s.c.attrs);
  if (!has_gradient(s.op, r.in)) return r;
  Tensors dout = cotangents(s.op, s.c, r.out, s.seed, s.out_types), saved = r.out;
  for (size_t j = 0; j < saved.size(); ++j) {
    saved[j] = s.as_stored(saved[j], j);
    if (noise == Noise::arithmetic) {
      saved[j] = perturbed(saved[j], eps_f32, noise_seed, 100 + j);
      dout[j] = perturbed(dout[j], eps_f32, noise_seed, 200 + j);
    } else if (noise == Noise::storage && s.out_types[j] == DType::bf16) {
      saved[j] = perturbed(saved[j], eps_bf16, noise_seed, 100 + j);
      if (s.rounds_cotangents()) dout[j] = perturbed(dout[j], eps_bf16, noise_seed, 200 + j);
    }
  }
  r.din = backward_of(s.op, reference, r.in, saved, dout, all_wanted(s.op, r.in), s.c.attrs);
  r.has_backward = true;
  return r;
}

/// The exact results of one case, and those of disturbed numbers.
struct References {
  Subject subject;
  Result expected, arithmetic[2], storage[2];

  References(const Op& op, const OpCase& c, DType type, uint64_t seed)
      : subject(op, c, type, seed),
        expected(reference_result(subject, Noise::none, 0)),
        arithmetic{reference_result(subject, Noise::arithmetic, 1),
                   reference_result(subject, Noise::arithmetic, 2)} {
    if (type == DType::bf16)
      for (uint64_t i = 0; i < 2; ++i)
        storage[i] = reference_result(subject, Noise::storage, 3 + i);
  }
};

// Of any floating type: an operator without floating inputs (a random draw) has results of one
// type, whatever the kernel's. Infinities and NaN must come as they are: they set no tolerance.
double largest(const Tensor& t) {
  double m = 0;
  const Tensor values = t.to(DType::f64);
  for (double x : values.span<double>())
    if (std::isfinite(x)) m = std::max(m, std::abs(x));
  return m;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(DType::f64), y = b.to(DType::f64);
  double m = 0;
  for (int64_t i = 0; i < a.numel(); ++i)
    if (const double d = x.data<double>()[i] - y.data<double>()[i]; std::isfinite(d))
      m = std::max(m, std::abs(d));
  return m;
}

/// How far one tensor may be off: `flat`, and `relative` to each element.
struct Tolerance {
  double flat = 0, relative = 0;
};

void compare(CheckReport& report, const std::string& name, const Tensor& got_on_device,
             const Tensor& expected, Tolerance allowed) {
  const Tensor got = got_on_device.to(cpu);
  if (got.shape() != expected.shape() ||
      is_floating(got.dtype()) != is_floating(expected.dtype())) {
    report.ok = false;
    report.message = cat(name, ": expected ", describe(expected), ", found ", describe(got));
    return;
  }
  for (int64_t i = 0; i < got.numel() && report.ok; ++i) {
    // A result beyond the range of f32 (and of bf16) is infinite.
    const bool narrow = is_floating(got.dtype()) && got.dtype() != DType::f64;
    const double a = got.at(i), b = narrow ? double(float(expected.at(i))) : expected.at(i);
    const bool same = a == b || (std::isnan(a) && std::isnan(b));
    const double error = same ? 0 : std::abs(a - b);
    const double tolerance =
        allowed.flat + (std::isfinite(b) ? allowed.relative * std::abs(b) : 0.0);
    if (tolerance > 0) report.worst = std::max(report.worst, error / tolerance);
    if (error <= tolerance) continue;  // NaN falls through
    report.ok = false;
    report.message = cat(name, " element ", i, " of ", expected.shape(), ": found ", a,
                         ", expected ", b, ", tolerance ", tolerance);
  }
}

/// Bit for bit: asking for one gradient must not change it, and untouched inputs must stay so.
void compare_exactly(CheckReport& report, const std::string& name, const Tensor& got,
                     const Tensor& expected) {
  for (int64_t i = 0; i < got.numel() && report.ok; ++i)
    if (const double a = got.at(i), b = expected.at(i);
        a != b && !(std::isnan(a) && std::isnan(b))) {
      report.ok = false;
      report.message = cat(name, " element ", i, ": ", a, " instead of ", b);
    }
}

/// Upper bounds for the number of terms per element: FLOPs spread over what is written.
double terms_of(const Op& op, const Tensors& in, const Tensors& out, const Attrs& attrs,
                const Tensor& written) {
  double work = op.flops ? op.flops(in, attrs) : 0;
  for (const Tensors* list : {&in, &out})
    for (const Tensor& t : *list)
      if (t.defined()) work = std::max(work, static_cast<double>(t.numel()));
  return 1 + work / static_cast<double>(std::max<int64_t>(1, written.numel()));
}

struct KernelCheck {
  const References& references;
  const Kernel& kernel;
  const Op& op = references.subject.op;
  const OpCase& c = references.subject.c;
  const Result& expected = references.expected;
  CheckReport report{};

  /// `pick` names one tensor of a Result; `stored` is the type that it is kept in.
  template <class Pick>
  void compare_tensor(const std::string& name, const Tensor& got, DType stored, Pick&& pick) {
    if (!report.ok) return;
    const Tensor& want = pick(expected);
    if (got.dtype() != stored && is_floating(stored) && kernel.dtype == DType::bf16) {
      report.ok = false;
      report.message = cat(name, ": expected type ", stored, ", found ", got.dtype());
      return;
    }
    Tolerance allowed;
    if (is_floating(want.dtype())) {
      const auto movement = [&](const Result(&moved)[2]) {
        return std::max(largest_difference(want, pick(moved[0])),
                        largest_difference(want, pick(moved[1])));
      };
      const double eps = kernel.dtype == DType::f64 ? eps_f64 : eps_f32,
                   terms = terms_of(op, expected.in, expected.out, c.attrs, want);
      allowed.flat = (8 + 2 * std::sqrt(terms)) * eps *
                     (largest(want) + movement(references.arithmetic) / eps_f32);
      // Below the normal range a kernel may say 0.
      if (kernel.dtype != DType::f64) allowed.flat += std::numeric_limits<float>::min();
      if (kernel.dtype == DType::bf16) {
        const double moved = movement(references.storage);
        allowed.flat += moved == 0 ? 0 : 4 * moved + eps_bf16 * largest(want);
      }
      // A library may round to bf16 what it gives as f32 (gradients of weights).
      if (stored == DType::bf16 || (kernel.dtype == DType::bf16 && kernel.library))
        allowed.relative = 1.01 * eps_bf16;
    }
    compare(report, name, got, want, allowed);
  }

  void check_backward(const Tensors& in, const Tensors& out) {
    const Tensors dout =
        moved(cotangents(op, c, out, references.subject.seed), Device{kernel.device});
    const std::vector<bool> wanted = all_wanted(op, in);
    const Tensors din = backward_of(op, kernel, in, out, dout, wanted, c.attrs);
    for (size_t i = 0; i < din.size(); ++i)
      if (wanted[i])
        compare_tensor("gradient of '" + input_name(op, i) + "'", din[i], in[i].dtype(),
                       [i](const Result& r) -> const Tensor& { return r.din[i]; });
    for (size_t i = 0; i < din.size() && report.ok; ++i) {
      if (!wanted[i]) continue;
      std::vector<bool> alone(in.size(), false);
      alone[i] = true;
      const Tensors one = backward_of(op, kernel, in, out, dout, alone, c.attrs);
      compare_exactly(report, "gradient of '" + input_name(op, i) + "', asked for alone,",
                      one[i].to(cpu), din[i].to(cpu));
    }
  }

  CheckReport run() {
    const Tensors original = case_inputs(op, c, kernel.dtype, references.subject.seed);
    const Tensors in = moved(copies(original), Device{kernel.device});
    if (kernel.supports && !kernel.supports(in, c.attrs)) return {.skipped = true};
    const Tensors out = forward_of(op, kernel, in, c.attrs);
    for (size_t j = 0; j < out.size(); ++j)
      compare_tensor("output '" + op.outputs[j].name + "'", out[j], out[j].dtype(),
                     [j](const Result& r) -> const Tensor& { return r.out[j]; });
    for (int i : op.mutated_inputs)
      if (in[i].defined())
        compare_tensor("input '" + input_name(op, i) + "' after the call", in[i], in[i].dtype(),
                       [i](const Result& r) -> const Tensor& { return r.in[i]; });
    const bool serves_backward =
        !kernel.supports || kernel.supports(only_saved(op, in, op.saved_inputs, true), c.attrs);
    if (report.ok && expected.has_backward && kernel.backward && serves_backward)
      check_backward(in, out);
    for (size_t i = 0; i < in.size() && report.ok; ++i)
      if (in[i].defined() && std::find(op.mutated_inputs.begin(), op.mutated_inputs.end(),
                                       static_cast<int>(i)) == op.mutated_inputs.end())
        compare_exactly(report, "input '" + input_name(op, i) + "' was changed:", in[i].to(cpu),
                        original[i]);
    return report;
  }
};

struct GradientCheck {
  const Op& op;
  const OpCase& c;
  const Kernel& kernel;
  Tensors in, dout;  // on the CPU
  CheckReport report{};

  Tensors outputs() const {
    return moved(forward_of(op, kernel, moved(in, Device{kernel.device}), c.attrs), cpu);
  }

  void check_input(size_t i, const Tensor& gradient, int64_t max_elements) {
    if (gradient.shape() != in[i].shape()) {
      report.ok = false;
      report.message = cat("gradient of '", input_name(op, i), "' has shape ", gradient.shape(),
                           ", expected ", in[i].shape());
      return;
    }
    const int64_t n = in[i].numel(), count = std::min(n, max_elements);
    for (int64_t k = 0; k < count && report.ok; ++k) {
      const int64_t e = k * n / count;
      const double analytic = gradient.data<double>()[e],
                   numeric = central_difference(in[i].data<double>()[e], 1e-6, dout,
                                                [this] { return outputs(); });
      const double tolerance = 2e-7 + 1e-6 * std::max(std::abs(analytic), std::abs(numeric));
      const double ratio = std::abs(analytic - numeric) / tolerance;
      if (ratio > report.worst) report.worst = ratio;
      if (ratio <= 1) continue;  // NaN falls through
      report.ok = false;
      report.message = cat("gradient of '", input_name(op, i), "' element ", e, " of ",
                           in[i].shape(), ": analytic ", analytic, ", numeric ", numeric);
    }
  }
};

int64_t elements_with_gradient(const Op& op, const OpCase& c) {
  int64_t n = 0;
  for (size_t i = 0; i < c.inputs.size(); ++i)
    if (c.inputs[i].given && input_of(op, i).differentiable && c.inputs[i].dtype == DType::f32)
      n += c.inputs[i].shape.numel();
  return n;
}

}  // namespace

Kernel reference_kernel(const Op& op, DType dtype) {
  return {.op = op.name,
          .name = "reference",
          .dtype = dtype,
          .forward = op.forward,
          .backward = op.backward,
          .priority = 0};
}

std::vector<Kernel> implementations(const Op& op) {
  std::vector<Kernel> result{reference_kernel(op)};
  for (const Kernel* k : kernels_of(op.name)) result.push_back(*k);
  return result;
}

CaseReference::CaseReference(const Op& op, const OpCase& c, uint64_t seed)
    : op_(op), case_(c), seed_(seed) {}
CaseReference::~CaseReference() = default;

struct CaseReference::Results : References {
  using References::References;
};

CheckReport CaseReference::check(const Kernel& kernel) const {
  const bool half = kernel.dtype == DType::bf16;
  auto& results = half ? bf16_results_ : results_;
  if (!results)
    results = std::make_unique<Results>(op_, case_, half ? DType::bf16 : DType::f32, seed_);
  return KernelCheck{*results, kernel}.run();
}

CheckReport check_kernel(const Op& op, const OpCase& c, const Kernel& kernel, uint64_t seed) {
  return CaseReference(op, c, seed).check(kernel);
}

Tensors run_case(const Op& op, const OpCase& c, const Kernel& kernel, uint64_t seed) {
  const Tensors in = moved(copies(case_inputs(op, c, kernel.dtype, seed)), Device{kernel.device});
  const Tensors out = forward_of(op, kernel, in, c.attrs);
  Tensors result = out;
  result.insert(result.end(), in.begin(), in.end());
  if (!has_gradient(op, in) || !kernel.backward) return result;
  const Tensors dout = moved(cotangents(op, c, out, seed), Device{kernel.device});
  for (const Tensor& t : backward_of(op, kernel, in, out, dout, all_wanted(op, in), c.attrs))
    result.push_back(t);
  return result;
}

CheckReport check_gradient(const Op& op, const OpCase& c, uint64_t seed, int64_t max_elements) {
  return check_gradient(op, c, reference_kernel(op, DType::f64), seed, max_elements);
}

CheckReport check_gradient(const Op& op, const OpCase& c, const Kernel& kernel, uint64_t seed,
                           int64_t max_elements) {
  if (!c.grad || !differentiable(op) || !kernel.backward || elements_with_gradient(op, c) == 0)
    return {.skipped = true};
  LIMBECK_CHECK(kernel.dtype == DType::f64, "check_gradient: kernel ", kernel.name, " is for ",
                kernel.dtype, ", expected f64");
  GradientCheck g{op, c, kernel, copies(case_inputs(op, c, DType::f64, seed)), {}};
  if (kernel.supports && !kernel.supports(g.in, c.attrs)) return {.skipped = true};
  const Device device{kernel.device};
  const Tensors in = moved(g.in, device), out = forward_of(op, kernel, in, c.attrs);
  g.dout = cotangents(op, c, out, seed);
  const Tensors din = moved(
      backward_of(op, kernel, in, out, moved(g.dout, device), all_wanted(op, g.in), c.attrs), cpu);
  for (size_t i = 0; i < din.size() && g.report.ok; ++i)
    if (din[i].defined()) g.check_input(i, din[i], max_elements);
  return g.report;
}

namespace {

/// Two kernels of equal rank: which one runs would depend on the order in which the linker took
/// their files.
std::vector<std::string> ties(const Op& op) {
  std::vector<std::string> found;
  const auto kernels = kernels_of(op.name);
  for (size_t i = 0; i < kernels.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const Kernel &a = *kernels[i], &b = *kernels[j];
      if (a.device == b.device && a.dtype == b.dtype && a.priority == b.priority)
        found.push_back(cat("kernels '", a.name, "' and '", b.name, "' (", a.dtype,
                            ") have the same priority ", a.priority));
    }
  return found;
}

}  // namespace

std::vector<std::string> audit(const Op& op) {
  std::vector<std::string> problems;
  const auto expect = [&](bool condition, const std::string& problem) {
    if (!condition) problems.push_back(op.name + ": " + problem);
  };
  bool any_differentiable = false;
  for (const OpInput& i : op.inputs) any_differentiable |= i.differentiable;
  expect(op.infer && op.forward, "needs infer and a reference forward");
  expect(!op.formula.empty() && !op.source.empty(), "needs a formula and a source");
  expect(!op.inputs.empty() && (!op.outputs.empty() || !op.mutated_inputs.empty()),
         "needs inputs, and outputs or inputs that it changes");
  expect(!op.cases.empty(), "needs cases");
  for (int i : op.saved_inputs)
    expect(i >= 0 && i < static_cast<int>(op.inputs.size()),
           cat("saves input ", i, ", which does not exist"));
  for (int i : op.saved_outputs)
    expect(i >= 0 && i < static_cast<int>(op.outputs.size()),
           cat("saves output ", i, ", which does not exist"));
  for (const OpCase& c : op.cases)
    expect(op.variadic ? c.inputs.size() >= op.inputs.size() : c.inputs.size() == op.inputs.size(),
           "has a case with " + std::to_string(c.inputs.size()) + " inputs");
  for (const std::string& tie : ties(op)) expect(false, tie);
  for (int i : op.mutated_inputs) {
    expect(!op.inputs[static_cast<size_t>(i)].differentiable,
           cat("changes input ", i, " in place, which is differentiable"));
    expect(std::find(op.saved_inputs.begin(), op.saved_inputs.end(), i) == op.saved_inputs.end(),
           cat("changes input ", i, " in place and saves it"));
  }
  if (!any_differentiable) {
    expect(op.backward == nullptr, "has a backward but nothing differentiable");
    return problems;
  }
  expect(op.backward != nullptr, "has differentiable inputs but no backward");
  // Every differentiable input must take part in some gradient case.
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    bool covered = !op.inputs[i].differentiable;
    for (const OpCase& c : op.cases)
      covered |=
          c.grad && i < c.inputs.size() && c.inputs[i].given && c.inputs[i].shape.numel() > 0;
    expect(covered, "no gradient case gives input '" + op.inputs[i].name + "'");
  }
  return problems;
}

}  // namespace limbeck
