// Synthesis: a batch of images is optimised, step by step, until the teacher takes it for images of
// the requested classes (DeepInversion: the pixels themselves; Fast: the noise and a copy of a
// generator that learns to begin well; CMI: the noise and a generator that is drawn anew).
#pragma once
#include <functional>
#include <memory>
#include <optional>

#include "kd/data_free/contrast.h"
#include "kd/data_free/update.h"
#include "kd/data_free/view.h"

namespace limbeck::kd::data_free {

/// A batch of a finished synthesis, on the host.
struct Synthesised {
  Tensor images;                    ///< u8 [B, S, S, C]
  Tensor labels;                    ///< i64 [B], requested
  double loss = 0, statistics = 0;  ///< of the last step
};

class Synthesis {
 public:
  /// All outlive this. With [synthesis] of = "meta" the generator is the one that learns to begin.
  /// `init`: of the contrast's head.
  Synthesis(const Networks& networks, const Settings& settings, int64_t classes,
            const Stream& init);

  /// Batch `number` (from 0) in so many steps, all drawn from the stream. `before_step` may throw
  /// to end it: what a checkpoint holds has not changed by then.
  /// adversarial: weight of the adversary.
  Synthesised make(const Stream& stream, int64_t number, int64_t steps, double adversarial,
                   const std::function<void()>& before_step);

  /// What syntheses leave to the next one: the meta optimiser, averages of statistics, the
  /// contrastive memory.
  TensorFile state() const;
  void load(const TensorFile& state);

 private:
  struct Leaf;
  class Batch;
  void begin(const Stream& stream, int64_t number);
  /// Whether images come from the noise by a generator, or are optimised themselves.
  bool by_generator() const { return s_.synthesis.of != "pixels"; }

  const Networks n_;
  const Settings& s_;
  const int64_t classes_;
  const std::optional<DirichletTargets> targets_;
  const Views views_;
  std::unique_ptr<gan::DataFreeGenerator> copy_;  // of the generator, for one synthesis
  std::unique_ptr<nn::Adam> meta_optimizer_;
  std::unique_ptr<ContrastiveMemory> memory_;
  std::vector<Moments> averages_;  // empty before the first synthesis
};

}  // namespace limbeck::kd::data_free
