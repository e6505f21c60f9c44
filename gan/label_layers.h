// Layers of the networks of CcGAN (Ding, Wang, Xu, Welch, Wang: "CcGAN: continuous conditional
// generative adversarial networks for image generation", ICLR 2021), which are conditioned on the
// embedding h [N, d] of a scalar label. State keys are those of PyTorch's modules: a spectrally
// normalised layer has bias, weight_orig, weight_u, weight_v (torch.nn.utils.spectral_norm).
//
// Spectral norm here: train mode runs one power iteration per forward (v = norm(u W), u = norm(v
// W^T), eps 1e-12) and stores both; eval mode runs none and uses the stored u and v. W / sigma with
// sigma = u W v^T; the gradient flows through W in sigma only.
#pragma once
#include "gan/network.h"

namespace limbeck::gan {

struct WeightRule {
  bool spectral = false;
  double gain = 1;         ///< Xavier's uniform rule with this gain; 0: PyTorch's default
  bool zero_bias = false;  ///< else PyTorch's default, U(+-1/sqrt(fan_in))
};

/// Base: a weight, perhaps spectrally normalised, and perhaps a bias.
class WeightLayer : public nn::Module {
 public:
  Variable weight, bias;

 protected:
  WeightLayer(const Shape& shape, nn::DiskLayout layout, bool has_bias, const WeightRule& rule);
  /// The weight as the forward pass sees it.
  Variable used();
  void reset(Stream stream) override;

 private:
  const WeightRule rule_;
  size_t u_ = 0, v_ = 0;  // v in the file's order: in, kh, kw
};

/// Stride 1, "same" padding, odd kernel. weight [out, k, k, in] (disk OIHW), bias [out].
class LabelConv2d : public WeightLayer {
 public:
  LabelConv2d(int64_t in, int64_t out, int64_t kernel, const WeightRule& rule);
  Variable forward(const Variable& x) override;
  /// avg_pool2d(forward(x)) and forward(upsample_nearest(x)), folded into the kernel
  /// (gan/resampling_conv.h).
  Variable pooled(const Variable& x);
  Variable upsampled(const Variable& x);
};

/// weight [out, in], bias [out] unless left out.
class LabelLinear : public WeightLayer {
 public:
  LabelLinear(int64_t in, int64_t out, bool has_bias, const WeightRule& rule);
  Variable forward(const Variable& x) override;
};

/// relu(b + gamma(h) b + beta(h)) with b = BN(x) without affine parameters; gamma, beta linear
/// without bias. Keys bn.running_mean, bn.running_var, bn.num_batches_tracked, embed_gamma.weight,
/// embed_beta.weight.
class LabelBatchNorm : public nn::Module {
 public:
  LabelBatchNorm(int64_t channels, int64_t label_dim, double eps, double momentum,
                 const WeightRule& rule);
  Variable relu(const Variable& x, const Variable& h);

 private:
  class Statistics : public nn::Module {
   public:
    explicit Statistics(int64_t channels);
    RunningStatistics count_batch(double momentum);  ///< for the batch norm of the next batch
    const Tensor& mean() const { return buffer(mean_); }
    const Tensor& var() const { return buffer(var_); }

   protected:
    void reset(Stream stream) override;

   private:
    size_t mean_, var_, count_;
  };
  const double eps_, momentum_;
  Statistics bn_;
  LabelLinear embed_gamma_, embed_beta_;
};

// --- what SAGAN and SNGAN compute alike ----------------------------------------------------------

/// conv2(relu(bn2(conv1(up2(relu(bn1(x)))))) + up2(shortcut(x)).
/// x [N,H,W,C].
Variable generator_residual(const Variable& x, const Variable& h, LabelBatchNorm& bn1,
                            LabelConv2d& conv1, LabelBatchNorm& bn2, LabelConv2d& conv2,
                            LabelConv2d& shortcut);
/// conv2(relu(conv1(x))) + shortcut(side), both pooled when downsampling.
/// x [N,H,W,C].
Variable discriminator_residual(const Variable& x, const Variable& side, LabelConv2d& conv1,
                                LabelConv2d& conv2, LabelConv2d& shortcut, bool downsample);
/// linear(f) + <f, embed(h)>: [N, 1], f the whole last map in PyTorch's order (no pooling).
Variable label_projection(const Variable& f, const Variable& h, LabelLinear& linear,
                          LabelLinear& embed);

/// linear(f) -> 128, ReLU, linear -> 1: the response that the auxiliary regression reads from f.
/// Keys 0.*, 2.*.
class ResponseHead : public nn::Module {
 public:
  ResponseHead(int64_t features, const WeightRule& rule);
  Variable forward(const Variable& f) override;

 private:
  LabelLinear first_, second_;
};
/// Score and, with a head, response of the whole last map x.
/// [N,H,W,C].
Judged judged_map(const Variable& x, const Variable& h, LabelLinear& linear, LabelLinear& embed,
                  ResponseHead* head);

/// Throws unless the sizes fit (64x64, and 32x32 with one block less); `what` names the network.
NetworkConfig checked_label_config(const char* what, NetworkConfig config);
/// Channels of the smallest map: 16 ch at 64 pixels, 8 ch at 32. The width at a resolution is the
/// same in both.
int64_t bottom_width(const NetworkConfig& config);
/// The condition's embedding, or an error unless it is [batch, label_dim].
const Variable& label_of(const char* what, const Condition& condition, int64_t batch,
                         const NetworkConfig& config);

}  // namespace limbeck::gan
