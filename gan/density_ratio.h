// cDRE-F-cSP: conditional density-ratio estimation in feature space with the softplus loss and a
// penalty (Ding, Wang, Wang, Welch, "Efficient subsampling of realistic images from GANs
// conditional on a class or a continuous variable", 2023). The ratio net learns r(h | y) = p_real(h
// | y) / p_fake(h | y) on features h of real and generated images.
#pragma once
#include <memory>
#include <string>

#include "data/dataset.h"
#include "gan/feature_extractor.h"
#include "gan/image_source.h"
#include "nn/layers.h"
#include "nn/monitor.h"
#include "tensor/fields.h"

namespace limbeck::gan {

/// Hidden widths of the named sizes MLP3, MLP5, MLP7, MLP9, scaled and rounded to a multiple of 16
/// (at least 16).
/// Throws with the nearest name for an unknown one.
std::vector<int64_t> ratio_widths(const std::string& name, double scale = 1);

/// condition vector [N, e] and feature [N, f] to ratio [N, 1] >= 0. Linear, GroupNorm(8; fewer
/// where a group would have less than `group_channels` channels), ReLU, dropout per hidden layer;
/// linear, ReLU at the end. The condition stands first in the input. Keys 0, 1, 4, 5, ... as in the
/// original's Sequential.
class RatioMlp : public nn::Module {
 public:
  RatioMlp(int64_t condition, int64_t feature, const std::vector<int64_t>& widths, double dropout,
           int64_t group_channels = 16);
  Variable operator()(const Variable& condition, const Variable& feature);
  void start_alive() { last_->bias.data().fill(1); }

 private:
  struct Layer {
    nn::Linear* linear;
    nn::GroupNorm* norm;
    nn::Dropout* dropout;
  };
  std::vector<Layer> layers_;
  nn::Linear* last_;
};

/// A conditional density-ratio model. The training loop and the sampler know only this; how y
/// becomes a vector is the subclass's business.
class RatioNet : public nn::Module {
 public:
  /// features [N, f], y as in ImageSource -> ratios [N, 1].
  /// Throws unless y has one condition for each.
  virtual Variable ratio(const Variable& features, const Tensor& y) = 0;
  /// Sets the last bias to 1, so that the closing ReLU starts open at the ratio that says nothing.
  /// The original leaves it to the seed.
  virtual void start_alive() = 0;
};

/// Conditioned on a class through a trainable embedding, N(0, 1) at first. Keys label_emb.weight,
/// main.*.
class ClassRatioNet : public RatioNet {
 public:
  ClassRatioNet(int64_t classes, int64_t embedding, int64_t feature,
                const std::vector<int64_t>& widths, double dropout = 0.5);
  Variable ratio(const Variable& features, const Tensor& y) override;
  void start_alive() override { main_.start_alive(); }

 private:
  nn::Embedding label_emb_;
  RatioMlp main_;
};

/// Conditional softplus loss with penalty:
///   L = mean(s(rg) rg) - mean(softplus(rg)) - mean(s(rr)) + lambda (mean(rg) - 1)^2,
/// s = sigmoid, rr, rg = ratios of real and generated features. The ratio averages to 1 over the
/// generated distribution, hence the penalty.
/// Ratios [N, 1] each.
Variable ratio_loss(const Variable& real, const Variable& fake, double lambda);

/// [ratio] of a configuration; the defaults are the original's.
struct RatioSettings {
  std::string net = "MLP5";
  double width = 1;
  int64_t embedding = 0;
  double dropout = 0.5;
  int64_t epochs = 200;
  int64_t batch = 256;
  double lr = 1e-4;
  std::vector<double> milestones = {80, 150};
  double lr_factor = 0.1;
  double beta1 = 0.5, beta2 = 0.999;
  double weight_decay = 1e-4;
  double lambda = 0.01;
  bool flip = true;
  int64_t restarts = 3;
  void fields(FieldVisitor& v) {
    v("net", net, "MLP3 | MLP5 | MLP7 | MLP9 (the first two for responses)");
    v("width", width, "factor on the hidden widths");
    v("embedding", embedding, "dimension of the class embedding, 0: as many as classes");
    v("dropout", dropout, "dropout rate");
    v("epochs", epochs, "passes over the real images");
    v("batch", batch, "real images per step, and as many fakes");
    v("lr", lr, "first learning rate (Adam)");
    v("milestones", milestones, "epochs at which the learning rate drops (e >= d)");
    v("lr_factor", lr_factor, "factor of a drop", influence_if(!milestones.empty()));
    v("beta1", beta1, "Adam beta1");
    v("beta2", beta2, "Adam beta2");
    v("weight_decay", weight_decay, "L2 in the gradient");
    v("lambda", lambda, "weight of the penalty (mean ratio of fakes - 1)^2");
    v("flip", flip, "random horizontal flip of the real images");
    v("restarts", restarts, "new seeds to try when the net says zero everywhere", Influence::none);
  }
};

/// Throws naming the key for values that no training can follow; of `net` and `width`
/// ratio_widths() and response_ratio_widths() know more.
void check(const RatioSettings& settings);

struct RatioTask {
  RatioNet& net;  ///< initialised by the loop, again after a restart; on the device of `features`
  /// frozen, eval mode; sees images normalised to [-1, 1] on both sides (docs/original.md)
  FeatureExtractor features;
  const ImageSource& source;
  const data::Dataset& real;  ///< targets, where it has them, normalised to [0, 1]
  Stream stream;
  nn::Monitor& monitor;
};

/// Trains the net; with responses, batches are balanced by response. Guard: a net whose closing
/// ReLU is zero for every image of an epoch, or at the end for every fake of some class, has no
/// gradient and no use; the loop then starts again with another seed and the last bias at 1 (a note
/// tells), and after `restarts` times throws Error with advice. Resumable. Returns the last loss
/// and mean ratios as values for the results. On a device a step is recorded, with the fakes of a
/// DrawnSource in it, and its loss and ratios are read while the next one runs.
nn::Values train_ratio(const RatioTask& task, const RatioSettings& settings);

/// Ratios f32 [N] on the net's device of images f32 [N,H,W,C] in [-1, 1] under conditions y, in
/// eval mode without gradient.
Tensor ratios_of(RatioNet& net, const FeatureExtractor& features, const Tensor& images,
                 const Tensor& y);

}  // namespace limbeck::gan
