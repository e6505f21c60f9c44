#include "train/supervised_step.h"

#include <optional>

namespace limbeck::train {
namespace {

/// Of the network, then of the extra loss's own modules.
std::vector<nn::Parameter> trained_parameters(const nn::Network& network, nn::Module* auxiliary) {
  std::vector<nn::Parameter> parameters = network.parameters();
  if (auxiliary)
    for (nn::Parameter p : auxiliary->parameters()) {
      p.name = "auxiliary." + p.name;
      parameters.push_back(std::move(p));
    }
  return parameters;
}

}  // namespace

Variable first_views(const Variable& x, int64_t views) {
  if (views == 1) return x;
  Shape shape = x.shape();
  shape.set(0, x.size(0) / views);
  return reshape(slice(reshape(x, {shape[0], views, -1}), 1, 0, 1), shape);
}

SupervisedStep::SupervisedStep(nn::Network& network, const Criterion& criterion,
                               const data::Standardisation& standardisation,
                               const nn::OptimizerConfig& optimizer, ExtraLoss* extra)
    : network_(network),
      criterion_(criterion),
      extra_(extra),
      standardise_(standardisation.mean, standardisation.deviation, network.device()) {
  nn::Module* auxiliary = extra ? extra->auxiliary() : nullptr;
  optimizer_ = nn::create_optimizer(trained_parameters(network, auxiliary), optimizer);
  std::vector<nn::Module*> modules{&network};
  if (extra)
    for (nn::Module* m : extra->others()) modules.push_back(m);
  if (auxiliary) modules.push_back(auxiliary);
  graph_ = std::make_unique<nn::StepGraph>(
      network.device(), modules,
      [this](const Tensors& inputs) { return forward_backward_update(inputs); });
}

Tensors SupervisedStep::operator()(const data::Batch& batch, const Stream& noise, int64_t step,
                                   int64_t epoch) {
  network_.set_streams(noise);
  Tensors inputs{batch.images, batch.labels, batch.targets, batch.draws, {}, {}, {}, batch.outputs};
  if (extra_) {
    if (nn::Module* auxiliary = extra_->auxiliary())
      auxiliary->set_streams(noise.fork("auxiliary"));
    inputs[4] = Tensor::of(batch.index);
    inputs[5] = places_of({noise.fork("extra")});
    inputs[6] = Tensor::of<float>({static_cast<float>(step), static_cast<float>(epoch)});
  }
  return (*graph_)(inputs);
}

Tensors SupervisedStep::forward_backward_update(const Tensors& in) {
  const data::Batch batch{
      .images = standardise_(in[0], in[3]), .labels = in[1], .targets = in[2], .outputs = in[7]};
  const bool input_gradients = extra_ && extra_->input_gradients();
  const Variable images(batch.images, input_gradients);
  std::optional<OperatorTrace> trace;
  if (input_gradients) trace.emplace();
  const nn::Features features = network_.forward_features(images, extra_ && extra_->preact());
  std::vector<OperatorCall> calls;
  if (trace) calls = trace->calls();
  trace.reset();
  const Step step{network_, features, batch,  in[4],
                  in[5],    in[6],    images, input_gradients ? &calls : nullptr};
  const int64_t views = extra_ ? extra_->views().count() : 1;
  const Variable output = first_views(features.output, views);
  Variable loss = criterion_.loss(output, batch);
  if (extra_) {
    loss = loss * extra_->hard_weight();
    if (const Variable more = extra_->loss(step)) loss = loss + more;
  }
  optimizer_->zero_grad();
  loss.backward();
  Tensor predicted = output.data();
  if (extra_) {
    const NoGrad no_grad;
    if (const Tensor other = extra_->prediction(step); other.defined()) predicted = other;
  }
  optimizer_->step();
  if (extra_) extra_->after_step(step);
  return {loss.data(), predicted};
}

}  // namespace limbeck::train
