// The arithmetic of one element of sgd_step and adam_step, for the kernels of one tensor and of
// many: the same function, the same bits.
#pragma once
#include <cmath>

#include "ops/attrs.h"
#include "ops_cuda/launch.h"

namespace limbeck::cuda {

struct Sgd {
  double momentum, weight_decay;
  bool nesterov, first;
  explicit Sgd(const Attrs& a)
      : momentum(a.number("momentum", 0)),
        weight_decay(a.number("weight_decay", 0)),
        nesterov(a.flag("nesterov")),
        first(a.flag("first")) {}

  // S: the type that it computes in.
  template <class S, class T>
  __device__ void step(T& w, T grad, T& v, S lr) const {
    const S g = grad + S(weight_decay) * w, velocity = first ? g : S(momentum) * v + g;
    v = T(velocity);
    w = T(w - lr * (nesterov ? g + S(momentum) * velocity : velocity));
  }
};

struct Adam {
  double beta1, beta2, eps, l2, shrink;  // weight decay in the gradient, or decoupled
  explicit Adam(const Attrs& a)
      : beta1(a.number("beta1", 0.9)),
        beta2(a.number("beta2", 0.999)),
        eps(a.number("eps", 1e-8)),
        l2(a.flag("decoupled") ? 0 : a.number("weight_decay", 0)),
        shrink(a.flag("decoupled") ? a.number("weight_decay", 0) : 0) {}

  template <class S>
  struct Now {
    S step_size, inverse_root, keep;
  };
  template <class S>
  __device__ Now<S> now(double lr, double step) const {
    return {S(lr / (1 - std::pow(beta1, step))), S(1 / std::sqrt(1 - std::pow(beta2, step))),
            S(1 - lr * shrink)};
  }
  template <class S, class T>
  __device__ void step(T& w, T grad, T& m, T& v, Now<S> now) const {
    const S g = grad + S(l2) * w;
    const S first = S(beta1) * m + S(1 - beta1) * g, second = S(beta2) * v + S(1 - beta2) * g * g;
    m = T(first);
    v = T(second);
    w = T(now.keep * w - now.step_size * first / (std::sqrt(second) * now.inverse_root + S(eps)));
  }
};

}  // namespace limbeck::cuda
