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

Variable real_loss(AdversarialLoss loss, const Variable& on_real, const Tensor& weights) {
  const bool hinge = loss == AdversarialLoss::hinge;
  return weighted_mean(hinge ? relu(affine(on_real, -1, 1)) : softplus(-on_real), weights);
}

Variable fake_loss(AdversarialLoss loss, const Variable& on_fake, const Tensor& weights) {
  const bool hinge = loss == AdversarialLoss::hinge;
  return weighted_mean(hinge ? relu(affine(on_fake, 1, 1)) : softplus(on_fake), weights);
}

Variable discriminator_loss(AdversarialLoss loss, const Variable& on_real, const Variable& on_fake,
                            const Tensor& real_weights, const Tensor& fake_weights) {
  return real_loss(loss, on_real, real_weights) + fake_loss(loss, on_fake, fake_weights);
}

Variable generator_loss(AdversarialLoss loss, const Variable& on_fake) {
  return loss == AdversarialLoss::hinge ? affine(mean(on_fake), -1, 0) : mean(softplus(-on_fake));
}

Variable response_loss(const Variable& predicted, const Tensor& response, const Tensor& slack) {
  LIMBECK_CHECK(predicted.shape() == response.shape() &&
                    (!slack.defined() || slack.shape() == response.shape()),
                "GAN loss: expected responses and slack ", predicted.shape(), ", found ",
                describe(response), slack.defined() ? " and " + describe(slack) : "");
  const Variable off = abs(predicted - Variable(response));
  return mean(slack.defined() ? relu(off - Variable(slack)) : off);
}

}  // namespace limbeck::gan
