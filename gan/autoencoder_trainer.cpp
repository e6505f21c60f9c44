#include "gan/autoencoder_trainer.h"

#include <algorithm>

#include "gan/balanced_pick.h"
#include "nn/images.h"
#include "tensor/ranges.h"

namespace limbeck::gan {

SparseAutoencoderSize size_of(const AutoencoderSettings& s, const data::Dataset& d) {
  return {.ch = s.width,
          .bottleneck = s.feature > 0 ? s.feature : d.channels() * d.height() * d.width(),
          .channels = d.channels(),
          .size = d.height()};
}

void check(const AutoencoderSettings& s) {
  check(s, "autoencoder");
  expect_count("autoencoder.width", 1, s.width);
  expect_count("autoencoder.feature", 0, s.feature);
  expect_not_negative("autoencoder.sparsity", s.sparsity);
  expect_not_negative("autoencoder.response_weight", s.response_weight);
}

nn::Values train_autoencoder(const AutoencoderTask& task, const AutoencoderSettings& s) {
  check(s);
  LIMBECK_CHECK(task.data.size() > 0 && task.data.targets.defined(),
                "autoencoder: expected images with responses");
  const Device device = task.net.device();
  const data::Standardisation half = data::halves(task.data);
  const nn::ImageStandardiser standardise(half.mean, half.deviation, device);
  EpochLoop loop({.name = "autoencoder",
                  .net = task.net,
                  .others = {},
                  .steps_per_epoch = std::max<int64_t>(1, task.data.size() / s.batch),
                  .values = {"loss", "reconstruction", "sparsity", "response"},
                  .stream = task.stream,
                  .monitor = task.monitor},
                 s, [&](const Tensors& in) {
                   const Variable images(standardise(in.at(0), in.at(1)));
                   const SparseAutoencoder::Result r = task.net.run(images);
                   const Variable y = reshape(Variable(in.at(2)), {-1, 1});
                   return std::vector<Variable>{
                       sparse_autoencoder_loss(r, images, y, s.sparsity, s.response_weight),
                       mse_loss(r.reconstruction, images), mean(r.feature),
                       mse_loss(r.prediction, y)};
                 });
  data::Loader loader(
      task.data,
      {.batch = s.batch,
       .augmentation = {0, s.flip},
       .standardisation = half,
       .pick = BalancedPick(task.data.targets.span<float>(), s.batch, task.stream.fork("pick")),
       .device = device},
      task.stream.fork("augmentation"), loop.steps_done());
  return loop.run([&](int64_t) {
    const data::Batch batch = loader.next();
    return Tensors{batch.images, batch.draws, batch.targets};
  });
}

}  // namespace limbeck::gan
