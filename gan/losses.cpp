#include "gan/losses.h"

namespace limbeck::gan {
namespace {

Variable weighted_mean(const Variable& terms, const Tensor& weights) {
  if (!weights.defined()) return mean(terms);
  LIMBECK_CHECK(weights.shape() == terms.shape(), "GAN loss: expected weights ", terms.shape(),
                ", found ", describe(weights));
  return mean(Variable(weights) * terms);
}

}  // namespace

AdversarialLoss parse_adversarial_loss(const std::string& name, const std::string& key) {
  if (name == "hinge") return AdversarialLoss::hinge;
  if (name == "vanilla") return AdversarialLoss::vanilla;
  fail(key, ": expected hinge or vanilla, found '", name, "'");
}

Variable discriminator_loss(AdversarialLoss loss, const Variable& on_real, const Variable& on_fake,
                            const Tensor& real_weights, const Tensor& fake_weights) {
  const bool hinge = loss == AdversarialLoss::hinge;
  const Variable real = hinge ? relu(affine(on_real, -1, 1)) : softplus(-on_real);
  const Variable fake = hinge ? relu(affine(on_fake, 1, 1)) : softplus(on_fake);
  return weighted_mean(real, real_weights) + weighted_mean(fake, fake_weights);
}

Variable generator_loss(AdversarialLoss loss, const Variable& on_fake) {
  return loss == AdversarialLoss::hinge ? affine(mean(on_fake), -1, 0) : mean(softplus(-on_fake));
}

}  // namespace limbeck::gan
