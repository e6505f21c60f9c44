// A GAN pair for `limbeck bench train`: the updates of the training loop (gan/update.h), one of the
// discriminator and one of the generator, with the settings of the original's experiments, on one
// batch. Noise and DiffAugment's numbers are drawn in the step; the moving average of the generator
// is left out, as on PyTorch's side (bench/pytorch_steps.py). Inference is the generator in eval
// mode.
#include <algorithm>

#include "apps/bench_subject.h"
#include "gan/class_conditioning.h"
#include "gan/update.h"
#include "gan/vicinity_conditioning.h"
#include "ops/random.h"

namespace limbeck {
namespace {

struct Experiment {
  gan::GanSettings settings;
  int64_t size;
};

/// Sizes and optimisers of the original: BigGAN on CIFAR-100, BigGAN-deep on ImageNet-100, SAGAN
/// and SNGAN on Steering Angle and UTKFace.
Experiment experiment_of(const std::string& arch) {
  gan::GanSettings s;
  s.arch = arch;
  s.g_ch = s.d_ch = 64;
  if (arch == "biggan") return {s, 32};
  if (arch == "biggan-deep") {
    s.g_ch = s.d_ch = 128;
    s.g_attention = s.d_attention = "64";
    s.shared_dim = 128;
    s.hierarchical = true;
    s.sn_eps = s.adam_eps = 1e-6;
    s.g_lr = 1e-4, s.d_lr = 4e-4;
    return {s, 128};
  }
  const bool naive = gan::condition_kind(arch) == gan::ConditionKind::response;
  s.dim_z = naive ? 128 : 256;
  if (naive) s.loss = "vanilla";
  s.g_lr = s.d_lr = 1e-4;
  s.beta1 = 0.5;
  return {s, 64};
}

bool is_by_response(const std::string& arch) {
  return gan::condition_kind(arch) != gan::ConditionKind::classes;
}

data::Dataset random_data(const Experiment& e, const SubjectOptions& o) {
  data::Dataset d;
  d.images = Tensor::empty({o.batch, e.size, e.size, 3}, DType::u8);
  Stream bytes = Stream(2).fork("images");
  for (uint8_t& v : d.images.span<uint8_t>()) v = static_cast<uint8_t>(bytes.below(256));
  if (is_by_response(o.model)) {
    d.targets = random_uniform({o.batch}, "responses");
  } else {
    d.labels = random_classes(o.batch, o.classes, "labels");
    d.classes = o.classes;
  }
  return d;
}

std::unique_ptr<gan::Conditioning> conditioning_of(const Experiment& e, const SubjectOptions& o) {
  const data::Dataset data = random_data(e, o);
  if (!is_by_response(o.model)) return gan::condition_on_classes(data, e.settings, o.device);
  if (gan::condition_kind(o.model) == gan::ConditionKind::response)
    return gan::condition_on_responses(data, e.settings, gan::responses_as_they_are(), o.device);
  constexpr int64_t size = 128;  // a fixed embedding, as on PyTorch's side
  const Tensor h = random_uniform({o.batch, size}, "embeddings").to(o.device);
  return gan::condition_on_responses(data, e.settings, {[h](const Tensor&) { return h; }, size},
                                     o.device);
}

class GanSubject : public BenchSubject {
 public:
  GanSubject(const Experiment& e, const SubjectOptions& o)
      : device_(o.device),
        loss_(e.settings.loss),
        conditioning_(conditioning_of(e, o)),
        networks_(gan::create_networks(e.settings, *conditioning_, Stream(1), o.device,
                                       /*average=*/false)),
        update_(networks_, *conditioning_, e.settings) {
    size_ = e.size;
    conditioning_->begin(Stream(2), 0);
    real_ = on_device(conditioning_->next_real());
    targets_ = on_device(conditioning_->next_targets(Stream(2)));
  }

  void train_step(int64_t step) override {
    networks_.g->train(), networks_.d->train();
    const Stream here = Stream(3).fork("step", static_cast<uint64_t>(step));
    update_.discriminator(here.fork("D"), real_);
    update_.generator(here.fork("G"), targets_, step);
  }
  void begin_inference() override {
    networks_.g->eval();
    const Tensor places = places_of({Stream(3).fork("z"), Stream(3).fork("labels")}).to(device_);
    noise_ = draw_normal(place_at(places, 0), {real_.images.size(0), networks_.g->config().dim_z});
    condition_ = conditioning_->generator_condition(targets_, place_at(places, 1));
  }
  void infer() override {
    const NoGrad no_grad;
    networks_.g->forward(noise_, condition_);
  }
  std::string step_text() const override {
    return cat("one step of D and one of G, ", loss_, " loss, DiffAugment, Adam");
  }

 private:
  Tensors on_device(Tensors all) const {
    for (Tensor& t : all)
      if (t.defined()) t = t.to(device_);
    return all;
  }
  gan::Conditioning::Real on_device(const gan::Conditioning::Real& real) const {
    const Tensors images = on_device(Tensors{real.images, real.draws});
    return {images[0], images[1], on_device(real.inputs)};
  }

  const Device device_;
  const std::string loss_;
  const std::unique_ptr<gan::Conditioning> conditioning_;
  const gan::GanNetworks networks_;
  gan::GanUpdate update_;
  gan::Conditioning::Real real_;
  Tensors targets_;
  Tensor noise_;
  gan::Condition condition_;
};

}  // namespace

std::unique_ptr<BenchSubject> create_gan_subject(const SubjectOptions& o) {
  const std::vector<std::string> names = gan::gan_names();
  if (std::find(names.begin(), names.end(), o.model) == names.end()) return nullptr;
  const nn::Task task = is_by_response(o.model) ? nn::Task::regression : nn::Task::classification;
  task_of(o, {task}, task);
  Experiment e = experiment_of(o.model);
  e.settings.batch = o.batch;
  if (o.size > 0) e.size = o.size;
  if (o.width > 0) e.settings.g_ch = e.settings.d_ch = o.width;
  return std::make_unique<GanSubject>(e, o);
}

}  // namespace limbeck
