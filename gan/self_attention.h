// Self-attention of image features (Zhang et al., "Self-attention generative adversarial networks",
// ICML 2019): every position looks at every second one of the whole map. theta, phi, g, o are 1x1
// convolutions C -> C/8, C/8, C/2 and C/2 -> C:
//   beta = softmax over keys of theta(x)^T maxpool2(phi(x)),  y = x + gamma o(beta
//   maxpool2(g(x)));  no 1/sqrt(d); gamma starts at 0.
#pragma once
#include "gan/spectral_layers.h"

namespace limbeck::gan {

/// softmax(theta maxpool2(phi)^T) maxpool2(g): theta, phi [N, H, W, d], g [N, H, W, e] -> [N, H, W,
/// e]; H and W even.
/// Throws for odd sizes.
Variable attend(const Variable& theta, const Variable& phi, const Variable& g);

/// BigGAN's: spectral norm, no biases, gamma [] (a scalar). Keys gamma, theta, phi, g, o.
class SelfAttention : public nn::Module {
 public:
  /// At least 8 channels.
  SelfAttention(int64_t channels, double sn_eps);
  Variable forward(const Variable& x) override;

 protected:
  void reset(Stream stream) override;

 private:
  Variable gamma_;
  SNConv2d theta_, phi_, g_, o_;
};

}  // namespace limbeck::gan
