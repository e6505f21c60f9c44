// What D and G of a GAN minimise, from D's scores (logits) [N, 1]. Each sample may have a weight
// [N, 1]: CcGAN's vicinal losses (gan/vicinity.h).
//   hinge (Lim & Ye 2017)               L_D = mean w_r relu(1 - D(x)) + mean w_f relu(1 +
//                                       D(G(z))),     L_G = -mean D(G(z))
//   vanilla (Goodfellow et al. 2014)    L_D = mean w_r softplus(-D(x)) + mean w_f
//                                       softplus(D(G(z))),    L_G = mean softplus(-D(G(z)))
// softplus(-s) = -log sigmoid(s): binary cross entropy without the original's 1e-20 within the
// logarithm, which it needs against log 0.
#pragma once
#include <string>

#include "autograd/functions.h"

namespace limbeck::gan {

enum class AdversarialLoss { hinge, vanilla };
/// "hinge", "vanilla"; throws naming `key` on other names.
AdversarialLoss parse_adversarial_loss(const std::string& name, const std::string& key);

/// Undefined weights are 1. They are not normalised: the mean is over the samples, as in the
/// original.
/// Scores [N, 1]; the result is a scalar.
Variable real_loss(AdversarialLoss loss, const Variable& on_real, const Tensor& weights = {});
Variable fake_loss(AdversarialLoss loss, const Variable& on_fake, const Tensor& weights = {});
/// Their sum.
/// Scores [N, 1]; the result is a scalar.
Variable discriminator_loss(AdversarialLoss loss, const Variable& on_real, const Variable& on_fake,
                            const Tensor& real_weights = {}, const Tensor& fake_weights = {});
/// Scores [N, 1]; the result is a scalar.
Variable generator_loss(AdversarialLoss loss, const Variable& on_fake);

/// The auxiliary regression of CcGAN-AVAR: mean max(0, |predicted - response| - slack). All [N, 1];
/// an undefined slack is 0.
/// Throws for other shapes.
Variable response_loss(const Variable& predicted, const Tensor& response, const Tensor& slack = {});

}  // namespace limbeck::gan
