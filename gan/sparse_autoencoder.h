// The sparse autoencoder, whose encoder gives the features of the density-ratio estimation in the
// regression experiments (cGAN-KD SteeringAngle/models/autoencoder_extract.py). A predictor of the
// response keeps the features informative of it.
#pragma once
#include <memory>
#include <vector>

#include "nn/layers.h"

namespace limbeck::gan {

struct SparseAutoencoderSize {
  int64_t ch = 64;             ///< width of the first layers; the last have 4 ch
  int64_t bottleneck = 12288;  ///< dimension of the feature; the original's is that of the image
  int64_t channels = 3;        ///< of the image
  int64_t size = 64;           ///< height = width of the image, a multiple of 16
};

/// Layers with batch norm and ReLU behind each: keys 0, 1, 3, 4, 6, 7, ... (2, 5, ... are the
/// ReLUs).
class NormChain : public nn::Module {
 public:
  void append(std::unique_ptr<nn::Module> layer, int64_t channels);
  /// A closing layer with nothing behind it.
  void finish(std::unique_ptr<nn::Module> layer);
  Variable forward(const Variable& x) override;

 private:
  std::vector<nn::Module*> layers_;
  std::vector<nn::BatchNorm*> norms_;
};

/// Images [N, H, W, C] to features [N, bottleneck] >= 0: four times convolution with stride 2 and
/// 3x3 convolution, linear, ReLU.
class SparseEncoder : public nn::Module {
 public:
  explicit SparseEncoder(const SparseAutoencoderSize& size);
  Variable forward(const Variable& images) override;
  int64_t feature_size() const { return feature_size_; }

 private:
  const int64_t feature_size_;
  NormChain conv_;
  nn::Linear fc_;
};

/// Features to images in [-1, 1]: the mirror of the encoder, with transposed convolutions.
class SparseDecoder : public nn::Module {
 public:
  explicit SparseDecoder(const SparseAutoencoderSize& size);
  Variable forward(const Variable& features) override;

 private:
  int64_t channels_, side_;
  NormChain fc_, deconv_;
};

/// Features to responses [N, 1] >= 0.
class SparsePredictor : public nn::Module {
 public:
  explicit SparsePredictor(int64_t bottleneck);
  Variable forward(const Variable& features) override;

 private:
  NormChain predict_;
};

/// All three, as they are trained; keys encoder.*, decoder.*, predict.*.
struct SparseAutoencoder : nn::Module {
  SparseEncoder encoder;
  SparseDecoder decoder;
  SparsePredictor predict;
  explicit SparseAutoencoder(const SparseAutoencoderSize& size);

  struct Result {
    Variable feature, reconstruction, prediction;
  };
  Result run(const Variable& images);
};

/// mse(reconstruction, images) + sparsity mean(feature) + weight mse(prediction, responses [N, 1]).
/// Features are >= 0, so their mean is their L1 norm per unit.
Variable sparse_autoencoder_loss(const SparseAutoencoder::Result& result, const Variable& images,
                                 const Variable& responses, double sparsity = 1e-3,
                                 double weight = 1);

}  // namespace limbeck::gan
