#include "kd/methods/sskd_head.h"

#include "kd/terms.h"
#include "tensor/safetensors.h"
#include "train/supervised.h"

namespace limbeck::kd::sskd {

nn::Features TeacherWithHead::forward_features(const Variable& x, bool) {
  nn::Features f;
  {
    const NoGrad no_grad;
    f = teacher_.forward_features(x);
  }
  return {{}, f.output, head(f.last_input())};
}

void HeadLoss::prepare(const Probe& probe) {
  unit_ = identity(probe.batch, probe.features.output.data());
}

Variable HeadLoss::loss(const train::Step& step) {
  const Variable a = similarities(step.features.pooled);
  const int64_t n = a.size(1);
  const Variable self = slice(slice(Variable(unit_), 0, 0, n), 1, 0, n);
  const Variable truth = reshape(self, {n, 1, n}) * reshape(log_softmax(a), {n, 3, n});
  return sum(truth) * (-1.0 / static_cast<double>(a.size(0)));
}

void train_head(PreparationContext& c, const SskdSettings& s) {
  const Variable probe(Tensor::zeros({1, c.options.size, c.options.size, c.options.channels})
                           .to(c.teacher.device()));
  int64_t width = 0;
  {
    const NoGrad no_grad;
    width = c.teacher.forward_features(probe).last_input().size(1);
  }
  TeacherWithHead network(c.teacher, width);
  network.initialise(c.stream.fork("init"));
  network.to(c.teacher.device());
  HeadLoss loss(s.flip_each);
  train::Settings training = c.training;
  training.epochs = s.head_epochs, training.batch = s.head_batch, training.lr = s.head_lr;
  training.optimizer = "sgd", training.schedule = "milestones", training.warmup = 0;
  training.final_lr = training.label_smoothing = 0;
  training.milestones = s.head_milestones, training.lr_factor = 0.1, training.late_drop = false;
  training.evaluate_every = 0;
  const data::Dataset no_test;
  train::fit({.network = network,
              .train = c.data.train,
              .test = no_test,
              .standardisation = c.standardisation,
              .criterion = c.criterion,
              .stream = c.stream,
              .monitor = c.monitor,
              .extra = &loss},
             training);
  write_safetensors(c.directory + "/head.safetensors", network.head.state_dict());
}

}  // namespace limbeck::kd::sskd
