// A GAN pair for `limbeck bench train`: one discriminator step and one generator step with the losses and settings of the paper's
// experiments (gan/trainer.h; CcGAN: spec of the hinge loss with vicinal weights). Noise and DiffAugment's numbers are drawn in the step; the
// moving average of the generator is left out. Inference is the generator in eval mode.
#include "apps/bench_subject.h"
#include "gan/diffaugment.h"
#include "gan/network.h"
#include "nn/optim.h"
#include "nn/step_graph.h"
#include "ops/random.h"

namespace limbeck {
namespace {

struct Experiment {
  gan::NetworkConfig network;
  double g_lr, d_lr, beta1, adam_eps = 1e-8;
};

/// Sizes and optimisers of the original: BigGAN on CIFAR-100, BigGAN-deep on ImageNet-100, SAGAN and SNGAN on Steering Angle and UTKFace.
Experiment experiment_of(const std::string& arch) {
  if (arch == "biggan-deep")
    return {{.arch = arch, .ch = 128, .resolution = 128, .sn_eps = 1e-6, .attention = {64}, .shared_dim = 128, .hierarchical = true}, 1e-4, 4e-4, 0, 1e-6};
  if (arch == "biggan") return {{.arch = arch}, 2e-4, 2e-4, 0};
  return {{.arch = arch, .dim_z = 256, .resolution = 64}, 1e-4, 1e-4, 0.5};
}

bool is_by_label(const std::string& arch) { return !arch.starts_with("biggan"); }

class GanSubject : public BenchSubject {
 public:
  GanSubject(const Experiment& e, const SubjectOptions& o)
      : batch_(o.batch), by_label_(is_by_label(o.model)), g_(gan::create_generator(e.network)), d_(gan::create_discriminator(e.network)) {
    size_ = e.network.resolution;
    g_->initialise(Stream(1).fork("init/G"));
    d_->initialise(Stream(1).fork("init/D"));
    g_->to(o.device), d_->to(o.device);
    const auto adam = [&](double lr) { return nn::Adam::Config{.lr = lr, .beta1 = e.beta1, .beta2 = 0.999, .eps = e.adam_eps}; };
    g_adam_ = std::make_unique<nn::Adam>(g_->parameters(), adam(e.g_lr));
    d_adam_ = std::make_unique<nn::Adam>(d_->parameters(), adam(e.d_lr));
    real_ = random_uniform({batch_, size_, size_, e.network.channels}, "images").to(o.device);
    // One condition for each image that D sees; by label the fake ones share those of the real ones.
    conditions_ = (by_label_ ? random_uniform({batch_, e.network.label_dim}, "conditions") : random_classes(2 * batch_, e.network.classes, "conditions")).to(o.device);
    weights_ = random_uniform({2, batch_, 1}, "weights").to(o.device);
    const std::vector<nn::Module*> both{g_.get(), d_.get()};
    d_graph_ = std::make_unique<nn::StepGraph>(o.device, both, [this](const Tensors& in) { return update_discriminator(in); });
    g_graph_ = std::make_unique<nn::StepGraph>(o.device, both, [this](const Tensors& in) { return update_generator(in); });
  }

  void train_step(int64_t step) override {
    g_->train(), d_->train();
    const Stream here = Stream(3).fork("step", static_cast<uint64_t>(step));
    (*d_graph_)({places(here.fork("D"))});
    (*g_graph_)({places(here.fork("G"))});
  }
  void begin_inference() override {
    g_->eval();
    fixed_noise_ = noise(places(Stream(3)).to(real_.device()));
  }
  void infer() override {
    const NoGrad no_grad;
    g_->forward(fixed_noise_, condition(batch_));
  }
  std::string step_text() const override { return "one step of D and one of G, hinge loss, DiffAugment, Adam"; }

 private:
  static Tensor places(const Stream& stream) { return places_of({stream.fork("z"), stream.fork("augment")}); }
  Tensor noise(const Tensor& places) const { return draw_normal(place_at(places, 0), {batch_, g_->config().dim_z}); }
  Tensor augmentation(int64_t n, const Tensor& places) const { return augment_.draw(n, size_, size_, place_at(places, 1)); }
  /// Of the first n images.
  gan::Condition condition(int64_t n) const {
    if (by_label_) return {{}, Variable(conditions_)};
    return {conditions_.rows(0, n), {}};
  }

  /// BigGAN shows D fake and real images in one batch; CcGAN one after the other, weighted by how near the labels are to the target.
  Variable discriminator_loss(const Tensor& fake, const Tensor& augmentation) {
    if (by_label_) {
      const Variable on_real = d_->forward(augment_.apply(real_, augmentation.rows(0, batch_)), condition(batch_));
      const Variable on_fake = d_->forward(augment_.apply(fake, augmentation.rows(batch_, 2 * batch_)), condition(batch_));
      const auto weight = [&](int64_t i) { return Variable(weights_.rows(i, i + 1).reshape({batch_, 1})); };
      return mean(weight(0) * relu(affine(on_real, -1, 1))) + mean(weight(1) * relu(affine(on_fake, 1, 1)));
    }
    const Variable scores = d_->forward(augment_.apply(concat({Variable(fake), Variable(real_)}, 0), augmentation), condition(2 * batch_));
    return hinge_loss_discriminator(slice(scores, 0, batch_, 2 * batch_), slice(scores, 0, 0, batch_));
  }

  Tensors update_discriminator(const Tensors& in) {
    Tensor fake;
    {
      const NoGrad no_grad;
      fake = g_->forward(noise(in[0]), condition(batch_)).data();
    }
    d_adam_->zero_grad();
    discriminator_loss(fake, augmentation(2 * batch_, in[0])).backward();
    d_adam_->step();
    return {};
  }

  Tensors update_generator(const Tensors& in) {
    d_->set_requires_grad(false);
    const Variable loss = hinge_loss_generator(
        d_->forward(augment_.apply(g_->forward(noise(in[0]), condition(batch_)), augmentation(batch_, in[0])), condition(batch_)));
    d_->set_requires_grad(true);
    g_adam_->zero_grad();
    loss.backward();
    g_adam_->step();
    return {};
  }

  const int64_t batch_;
  const bool by_label_;
  const gan::DiffAugment augment_{"color,translation,cutout"};
  std::unique_ptr<gan::Generator> g_;
  std::unique_ptr<gan::Discriminator> d_;
  std::unique_ptr<nn::Adam> g_adam_, d_adam_;
  Tensor real_, conditions_, weights_, fixed_noise_;
  std::unique_ptr<nn::StepGraph> d_graph_, g_graph_;
};

}  // namespace

std::unique_ptr<BenchSubject> create_gan_subject(const SubjectOptions& o) {
  bool known = false;
  for (const std::string& name : gan::gan_names()) known = known || name == o.model;
  if (!known) return nullptr;
  const nn::Task task = is_by_label(o.model) ? nn::Task::regression : nn::Task::classification;
  task_of(o, {task}, task);
  Experiment e = experiment_of(o.model);
  e.network.classes = o.classes;
  if (o.size > 0) e.network.resolution = o.size;
  if (o.width > 0) e.network.ch = o.width;
  return std::make_unique<GanSubject>(e, o);
}

}  // namespace limbeck
