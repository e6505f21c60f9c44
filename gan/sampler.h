// Images from a trained generator: in memory, or from a checkpoint that says its own architecture.
#pragma once
#include <memory>
#include <string>

#include "data/dataset.h"
#include "gan/image_source.h"
#include "gan/network.h"
#include "gan/vicinity_conditioning.h"
#include "nn/models/label_embedding.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"

namespace limbeck::gan {

/// The generator's state_dict with metadata: format and the fields of its NetworkConfig by name.
/// What a checkpoint does not say (an older one) has NetworkConfig's default.
TensorFile generator_checkpoint(const Generator& generator);

/// The same of a discriminator, in another format: one is never taken for the other.
TensorFile discriminator_checkpoint(const Discriminator& discriminator);
std::unique_ptr<Discriminator> load_discriminator(const TensorFile& checkpoint,
                                                  const std::string& what);
/// What checkpoint stands in a file, by its metadata; none: of neither network.
enum class CheckpointKind { none, generator, discriminator };
CheckpointKind checkpoint_kind(const TensorFile& file);

/// Builds the generator that a checkpoint describes and loads it, in eval mode and without
/// gradients. Throws Error naming `what` and the missing or wrong key.
std::unique_ptr<Generator> load_generator(const TensorFile& checkpoint, const std::string& what);
std::unique_ptr<Generator> load_generator(const std::string& path);

/// A generator with all that making images takes. Of responses: the scale of their unit and the
/// frozen label-to-embedding net, unless they enter as they are; of classes neither.
struct TrainedGenerator {
  std::shared_ptr<Generator> net;
  std::shared_ptr<nn::LabelToEmbedding> embedding = {};
  data::ResponseScale scale = {};

  bool of_responses() const { return condition_kind(net->config().arch) != ConditionKind::classes; }
  void to(Device device) const;
  /// Classes i64 [n], or responses f32 [n] normalised to [0, 1], from any device.
  Condition condition(const Tensor& y) const;
};
/// The net in eval mode as conditioning and ratio net want it; shares the net.
EmbeddedResponses embedded_by(const std::shared_ptr<nn::LabelToEmbedding>& net);

/// As generator_checkpoint; of responses with response_low, response_high, response_unit and,
/// unless they enter as they are, the embedding net (keys label_embedding/*).
TensorFile trained_generator_checkpoint(const Generator& generator,
                                        const std::shared_ptr<nn::LabelToEmbedding>& embedding,
                                        const data::ResponseScale& scale);
/// Of either kind. Throws as load_generator, when a generator of responses lacks its embedding, and
/// for weights that are NaN or infinite unless they are allowed.
TrainedGenerator load_trained_generator(const std::string& path, bool allow_nonfinite = false);

struct SampleOptions {
  double truncation =
      0;  ///< > 0: noise outside [-truncation, truncation] is drawn again (Brock et al. 2019, 3.1)
  int64_t batch = 100;  ///< images per forward pass; does not change the result
};

/// z [n, dim_z] from N(0, 1); row i depends on (stream, i) only.
/// Throws for a truncation below 0.001 other than 0 (off).
Tensor draw_noise(int64_t n, int64_t dim_z, const Stream& stream, double truncation = 0);

/// One image per row of the condition, from any device -> f32 [n, R, R, C] in [-1, 1] on the CPU,
/// drawn on the generator's device in eval mode: running BN statistics, spectral norm with one
/// power iteration that is not stored. The generator's mode is left as it was.
Tensor sample(Generator& generator, const Condition& condition, const Stream& stream,
              const SampleOptions& options = {});
/// Of classes, i64 [n].
inline Tensor sample(Generator& generator, const Tensor& labels, const Stream& stream,
                     const SampleOptions& options = {}) {
  return sample(generator, Condition{labels, {}}, stream, options);
}

/// The same images as a source, on the generator's device, at most `batch` at a time. Keep the
/// generator where it is.
ImageSource source_of(const std::shared_ptr<Generator>& generator, int64_t batch);
/// Of classes, or of responses normalised to [0, 1].
ImageSource source_of(const TrainedGenerator& generator, int64_t batch);

/// A row of `columns` images per row of the condition, the same noise in every row -> u8 [H, W, C].
Tensor sheet(Generator& generator, const Condition& rows, int64_t columns, const Stream& stream,
             const SampleOptions& options = {});
/// u8 [rows * columns, R, R, C], one noise per row, one row of the condition per column.
Tensor sweep_images(Generator& generator, const Condition& columns, int64_t rows,
                    const Stream& stream, const SampleOptions& options = {});
/// A row per noise, a column per row of the condition -> u8 [H, W, C]: what changes from left to
/// right is the condition alone.
Tensor sweep(Generator& generator, const Condition& columns, int64_t rows, const Stream& stream,
             const SampleOptions& options = {});
/// Of all classes.
Tensor class_sheet(Generator& generator, int64_t columns, const Stream& stream,
                   const SampleOptions& options = {});

}  // namespace limbeck::gan
