// Training of the sparse autoencoder (gan/sparse_autoencoder.h): the features of the density ratio
// for responses.
#pragma once
#include "data/dataset.h"
#include "gan/epoch_loop.h"
#include "gan/sparse_autoencoder.h"

namespace limbeck::gan {

/// [autoencoder] of a configuration; the defaults are the original's.
struct AutoencoderSettings : EpochSettings {
  int64_t width = 64;
  int64_t feature = 0;
  double sparsity = 1e-3;
  double response_weight = 1;
  bool flip = true;
  AutoencoderSettings() { milestones = {50, 100, 150}; }
  void fields(FieldVisitor& v) {
    v("width", width, "channels of the first layers; the last have four times as many");
    v("feature", feature, "dimension of the feature, 0: that of the image");
    v("sparsity", sparsity, "weight of the features' mean");
    v("response_weight", response_weight, "weight of the response's squared error");
    v("flip", flip, "random horizontal flip");
    EpochSettings::fields(v);
  }
};

/// Throws naming the key.
void check(const AutoencoderSettings& settings);

/// The size for images of such a set.
SparseAutoencoderSize size_of(const AutoencoderSettings& settings, const data::Dataset& data);

struct AutoencoderTask {
  SparseAutoencoder& net;     ///< initialised by the caller
  const data::Dataset& data;  ///< targets normalised to [0, 1]
  Stream stream;
  nn::Monitor& monitor;
};

/// Images in [-1, 1], batches balanced by response, N / batch steps an epoch (at least one). Values
/// of the last epoch: loss, reconstruction, sparsity, response. Resumable.
/// Throws for a set without images or responses.
nn::Values train_autoencoder(const AutoencoderTask& task, const AutoencoderSettings& settings);

}  // namespace limbeck::gan
