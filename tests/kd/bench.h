// One step of a method on features by hand.
#pragma once
#include "ops/random.h"
#include "tests/kd/method_settings.h"

namespace limbeck::kd {

/// Inputs of a step, by hand.
struct Bench {
  data::Dataset train;
  data::Batch batch;
  Tensor rows, places = places_of({Stream(9)}), clock = Tensor::of<double>({0, 100});
  NoNetwork networks[2];

  Pair pair(const nn::Features& s, const nn::Features& t, int64_t images) {
    return {networks[0], networks[1], s, t, train, Stream(1), images, {}};
  }
  void prepare(Method& m, const nn::Features& s, const nn::Features& t, int64_t images) {
    const Pair p = pair(s, t, images);
    m.check(p);
    m.prepare(p);
    if (m.auxiliary()) m.auxiliary()->to(DType::f64);
  }
  Variable loss(Method& m, const nn::Features& s, const nn::Features& t) {
    const train::Step step{networks[0], s, batch, rows, places, clock};
    return m.loss({s, t, step, networks[1]});
  }
};

/// Features of networks that have nothing but logits.
inline nn::Features logits(const Variable& v) { return {{}, v, {}}; }

}  // namespace limbeck::kd
