// cDR-RS: rejection sampling of generated images by their conditional density ratio (Ding, Wang,
// Wang, Welch 2023; docs/workflow.md, M1).
//   burn-in: M = max ratio of n_burn images of the condition; then per batch: M := max(M, max r),
//   accept image i when psi_i <= r_i / M,
//   psi_i ~ U[0, 1). Images accepted earlier are not looked at again when M grows.
#pragma once
#include <functional>

#include "gan/density_ratio.h"
#include "tensor/fields.h"

namespace limbeck::gan {

struct RejectionSettings {
  int64_t burn_in = 5000;  ///< images of the burn-in of every call
  int64_t batch = 600;     ///< images generated at a time
  int64_t max_batches =
      /// of one call after the burn-in; more is an error, because hardly anything is accepted
      2000;
  bool quantise =
      /// judge the images after rounding to bytes (ImageNet-100) instead of as floats (CIFAR-100)
      false;
  void fields(FieldVisitor& v) {
    v("burn_in", burn_in, "images of the burn-in that finds the largest ratio");
    v("batch", batch, "images generated at a time");
    v("max_batches", max_batches, "batches per call before too low an acceptance is an error",
      Influence::none);
    v("quantise", quantise, "judge images after rounding to bytes");
  }
};

/// Throws naming the key of [fakes.sampling].
void check(const RejectionSettings& settings);

/// Ratios f32 [n], on any device, of samples f32 [n, ...] of any device under conditions y [n] on
/// the CPU.
using RatioFunction = std::function<Tensor(const Tensor& samples, const Tensor& y)>;

struct Accepted {
  Tensor samples;        ///< f32 [n, ...]; u8 where to_bytes was asked for
  double bound = 0;      ///< M at the end
  int64_t proposed = 0;  ///< samples judged after the burn-in
  int64_t accepted = 0;  ///< of these; may exceed n by less than a batch
};

/// `condition` is one class (i64 [1]) or one response (f32 [1]); source and ratio are as in
/// density_ratio.h but need not be images. The first n accepted samples, a function of the stream
/// only. as_bytes: keep data::to_bytes of the samples (a quarter of the memory). A device computes
/// one batch while the host judges the one before it, as long as more than one is needed for
/// certain. Throws when every ratio of the burn-in is zero, when a ratio is negative or not a
/// number, or after max_batches.
Accepted rejection_sample(const ImageSource& source, const RatioFunction& ratio,
                          const Tensor& condition, int64_t n, const RejectionSettings& settings,
                          const Stream& stream, bool as_bytes = false);

/// n samples of one condition as they come from the source, in batches.
/// condition [1] -> [n, ...]. Throws for an empty batch.
Tensor plain_sample(const ImageSource& source, const Tensor& condition, int64_t n, int64_t batch,
                    const Stream& stream, bool as_bytes = false);

/// condition [1] repeated n times.
/// Throws unless it is one.
Tensor repeat(const Tensor& condition, int64_t n);

}  // namespace limbeck::gan
