// What a GAN is conditioned on, apart from how it is trained. The loop (gan/trainer.h) keeps
// networks, optimisers, average, health, checkpoints; a Conditioning says what an update draws and
// under which conditions G makes images and D judges them. Two are there: classes
// (gan/class_conditioning.h) and responses (gan/vicinity_conditioning.h).
#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"
#include "gan/network.h"
#include "tensor/safetensors.h"

namespace limbeck::gan {

/// A picture of a run, u8 [H, W, C].
struct Picture {
  std::string name;
  Tensor pixels;
};

class Conditioning {
 public:
  virtual ~Conditioning() = default;

  /// The real images.
  virtual const data::Dataset& data() const = 0;
  /// Fills in what G and D must know (classes, or the size of the embedding); throws when
  /// config.arch is conditioned on something else.
  virtual void configure(NetworkConfig& config) const = 0;
  /// Whether D sees fake and real images as one batch, fake first (BigGAN), or one after the other,
  /// real first (CcGAN): its spectral norms iterate once for each.
  virtual bool one_batch() const = 0;

  // --- on the host, before an update ---

  /// What an update of D sees besides noise. `images` and `draws` as a data::Loader of the device
  /// gives them.
  struct Real {
    Tensor images, draws;
    Tensors
        /// for discriminator_conditions(), from any device; the same number and shapes at each
        /// update
        inputs;
    /// Further images that D refuses under the conditions of the real ones, one batch for each kind
    /// (gan/negatives.h), and their draws; undefined: none.
    Tensor negatives = {}, negative_draws = {};
  };
  /// Where the updates of D begin: `first` of them have been done. Before the first next_real().
  /// All that is drawn for an update depends on the stream and the update's number only.
  virtual void begin(const Stream& stream, int64_t first) = 0;
  /// Before the updates of a step, counted from 0 and in order; the generator is the average, in
  /// eval mode.
  virtual void begin_step(int64_t, Generator&) {}
  virtual Real next_real() = 0;
  /// For generator_condition(), drawn from the stream.
  virtual Tensors next_targets(const Stream& stream) const = 0;
  /// What has come into being in begin_step() and a resumed run cannot make again; load() comes
  /// before begin().
  virtual TensorFile state() const { return {}; }
  virtual void load(const TensorFile&) {}

  // --- on the device, within an update, which may be recorded (nn/step_graph.h) ---

  struct DiscriminatorConditions {
    Condition made;  ///< G's fakes are generated from it
    Condition judged_fake, judged_real;
    Tensor real_weights, fake_weights;  ///< of the losses, [N, 1]; undefined: 1
    /// Of responses, [N, 1]: the one under which all are judged, the one that a fake was made from,
    /// and the width of its vicinity (gan/vicinity.h).
    Tensor target = {}, fake_response = {}, base = {};
  };
  /// `place`: in a stream, i64 [2] on the device, for draws made there (ops/random.h).
  virtual DiscriminatorConditions discriminator_conditions(const Tensors& inputs,
                                                           const Tensor& place) const = 0;
  /// Images are made from it and judged under it.
  virtual Condition generator_condition(const Tensors& inputs, const Tensor& place) const = 0;
  /// Of responses, [N, 1]: what generator_condition() of these inputs says.
  virtual Tensor generator_responses(const Tensors&) const { return {}; }

  // --- for people ---

  /// What the generator makes of the conditions; the same noise at each call with the same stream.
  virtual std::vector<Picture> pictures(Generator& generator, const Stream& stream) const = 0;
};

}  // namespace limbeck::gan
