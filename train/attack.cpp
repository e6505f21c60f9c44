#include "train/attack.h"

#include "nn/images.h"

namespace limbeck::train {
namespace {

/// A number for each channel, on the device.
Variable per_channel(const std::vector<double>& values, Device device) {
  return Variable(Tensor::of(values).to(DType::f32).to(device));
}

}  // namespace

Variable sign(const Tensor& x) {
  const Variable zero(Tensor::zeros({}, x.dtype(), x.device())), one = zero + 1.0;
  return where(greater(x, zero.data()), one, where(less(x, zero.data()), -one, zero));
}

Tensor fgsm(nn::Network& network, const data::Batch& batch,
            const data::Standardisation& standardisation, const Criterion& criterion,
            double epsilon) {
  const Variable images(batch.images, true);
  Tensor gradient;
  {
    const GradMode gradients(true);
    const Variable loss = criterion.loss(network(images), batch);
    gradient = gradients_keeping_tape(
        {loss}, {Tensor::full({}, 1, loss.dtype(), loss.data().device())}, {images})[0];
  }
  const NoGrad no_grad;
  const Device device = batch.images.device();
  const Variable mean = per_channel(standardisation.mean, device),
                 deviation = per_channel(standardisation.deviation, device);
  const Variable attacked = Variable(batch.images) * deviation + mean + sign(gradient) * epsilon;
  return ((clamp(attacked, 0, 1) - mean) / deviation).data();
}

double evaluate_under_fgsm(nn::Network& network, const data::Dataset& dataset,
                           const data::Standardisation& standardisation, const Criterion& criterion,
                           double epsilon, int64_t batch) {
  LIMBECK_CHECK(dataset.size() > 0, "evaluate: the data set has no images");
  const bool was_training = network.training();
  network.eval();
  const Device device = network.device();
  const nn::ImageStandardiser standardise(standardisation.mean, standardisation.deviation, device);
  const auto some = [](const Tensor& t, int64_t begin, int64_t end) {
    return t.defined() ? t.rows(begin, end) : t;
  };
  double score = 0;
  for (int64_t begin = 0; begin < dataset.size(); begin += batch) {
    const int64_t end = std::min(begin + batch, dataset.size());
    data::Batch b;
    b.labels = some(dataset.labels, begin, end), b.targets = some(dataset.targets, begin, end);
    data::Batch there = b.to(device);
    there.images = standardise(dataset.images.rows(begin, end).to(device));
    there.images = fgsm(network, there, standardisation, criterion, epsilon);
    const NoGrad no_grad;
    score += criterion.score(network(Variable(there.images)).data().to(cpu), b);
  }
  network.train(was_training);
  return score / static_cast<double>(dataset.size());
}

}  // namespace limbeck::train
