// The harness that proves operators: every implementation against the f64 reference, and the
// reference's gradient against central differences. Used by the tests and by `limbeck ops
// check|grad`.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "ops/op.h"

namespace limbeck {

struct CheckReport {
  bool ok = true;
  bool skipped =
      false;  ///< the kernel does not support this case, or the case has no gradient to check
  double worst = 0;     ///< largest error as a fraction of the tolerance
  std::string message;  ///< on failure: which tensor, which element, both numbers, the tolerance
};

/// The reference implementation of an operator as one of its kernels.
Kernel reference_kernel(const Op& op, DType dtype = DType::f32);
/// The reference in f32 and every registered kernel.
std::vector<Kernel> implementations(const Op& op);

/// Runs forward and backward of `kernel` and of the reference in f64 on the same inputs. Outputs
/// and gradients are pre-filled with NaN, so an element that is not written shows; each gradient is
/// also asked for alone; inputs changed in place are compared like outputs, all others must stay
/// untouched. Tolerance of one tensor: (8 + 2 sqrt(n)) (eps max|reference| + s), where n is the
/// number of terms summed per element and s how much the reference moves when its inputs are
/// perturbed by eps: a stable kernel cannot do better, a wrong one does worse. A bf16 kernel is
/// compared with the reference of the same bf16 numbers. Its sums are held to the tolerance of f32;
/// what it stores as bf16 may be rounded (2^-8 of each element), and it may read its parameters as
/// bf16: four times what rounding those moves the reference is allowed. Infinities and NaN must be
/// where the reference has them, or where its number is beyond f32.
CheckReport check_kernel(const Op& op, const OpCase& c, const Kernel& kernel, uint64_t seed = 0);

/// The f64 results of one case, computed once for the checks of several kernels (once more for bf16
/// kernels, which get other numbers). `op` and `c` must outlive it.
class CaseReference {
 public:
  CaseReference(const Op& op, const OpCase& c, uint64_t seed = 0);
  ~CaseReference();
  CheckReport check(const Kernel& kernel) const;

 private:
  struct Results;
  const Op& op_;
  const OpCase& case_;
  uint64_t seed_;
  mutable std::unique_ptr<const Results> results_, bf16_results_;
};

/// Outputs, inputs after the call, and gradients of one case under `kernel`: for comparing bits
/// between settings.
Tensors run_case(const Op& op, const OpCase& c, const Kernel& kernel, uint64_t seed = 0);

/// Compares `op.backward` in f64 with central differences of `op.forward` under random cotangents.
/// Gradients are pre-filled with NaN and their shapes checked. At most `max_elements` of each input
/// are differenced, evenly spread.
CheckReport check_gradient(const Op& op, const OpCase& c, uint64_t seed = 0,
                           int64_t max_elements = 400);
/// The same for another implementation in f64, such as a CUDA kernel: its own forward is
/// differenced, on its device.
/// Throws for a kernel of another type.
CheckReport check_gradient(const Op& op, const OpCase& c, const Kernel& kernel, uint64_t seed = 0,
                           int64_t max_elements = 400);

/// What the record itself lacks: no cases, no gradient case, no backward, indices out of range,
/// missing formula. Empty when complete.
std::vector<std::string> audit(const Op& op);

}  // namespace limbeck
