#include "kd/data_free/synthesis.h"

#include <algorithm>
#include <limits>

#include "kd/data_free/pool.h"
#include "nn/init.h"
#include "nn/mode.h"
#include "ops/random.h"

namespace limbeck::kd::data_free {

/// What is optimised and no network: pixels [B, S, S, C], or noise [B, dim_z].
struct Synthesis::Leaf : nn::Module {
  explicit Leaf(const Shape& shape) : value(add_parameter("value", shape)) {}
  const Variable value;
};

namespace {

std::vector<double> black_of(const data::Standardisation& s) {
  std::vector<double> black;
  for (size_t c = 0; c < s.mean.size(); ++c) black.push_back(-s.mean[c] / s.deviation[c]);
  return black;
}

nn::Adam::Config adam_with(const GeneratorSettings& s, double lr) {
  return {.lr = lr, .beta1 = s.beta1, .beta2 = s.beta2};
}

/// Adds the gradients of one network to those of another of its kind.
void add_gradients(const nn::Module& from, const nn::Module& to) {
  const NoGrad no_grad;
  const std::vector<Variable> a = from.parameter_values(), b = to.parameter_values();
  for (size_t i = 0; i < a.size(); ++i) {
    const Tensor& more = a[i].grad();
    if (!more.defined()) continue;
    const Tensor& sum = b[i].grad();
    b[i].set_grad(sum.defined() ? (Variable(sum) + Variable(more)).data() : more.clone());
  }
}

/// The layers behind the noise begin anew: weights N(0, .02), biases 0.
void redraw_first_layers(nn::Module& generator, const Stream& stream) {
  for (const nn::Parameter& p : generator.parameters()) {
    if (!p.name.starts_with("l1.") && !p.name.starts_with("bn0.")) continue;
    if (p.name.ends_with("weight"))
      nn::init::normal(p.value, 0, 0.02, stream.fork(p.name));
    else
      nn::init::constant(p.value, 0);
  }
}

/// Weights N(0, .02), those of batch norms N(1, .02), biases 0; running statistics as at first.
void draw_anew(nn::Module& generator, const Stream& stream) {
  generator.initialise(stream);
  for (const nn::Parameter& p : generator.parameters()) {
    if (p.name.ends_with("bias"))
      nn::init::constant(p.value, 0);
    else
      nn::init::normal(p.value, p.value.rank() == 1 ? 1 : 0, 0.02, stream.fork("draw/" + p.name));
  }
}

std::vector<Moments> without_history(const std::vector<Moments>& moments) {
  std::vector<Moments> all;
  for (const Moments& m : moments) all.push_back({m.mean.detach(), m.var.detach()});
  return all;
}

/// Features by which images are contrasted.
int64_t features_of(nn::Network& teacher, const Shape& images) {
  const NoGrad no_grad;
  const nn::BatchNormTap tap;
  teacher.forward_features(Variable(Tensor::zeros(images, DType::f32, teacher.device())));
  LIMBECK_CHECK(!tap.inputs().empty(), "contrast: the teacher has no BatchNorm2d");
  return pooled_inputs(tap.inputs()).size(1);
}

}  // namespace

/// One batch in the making.
class Synthesis::Batch {
 public:
  Batch(Synthesis& owner, const Stream& stream)
      : o_(owner),
        s_(owner.s_),
        stream_(stream),
        device_(owner.n_.teacher.device()),
        leaf_(owner.by_generator() ? Shape{s_.batch, s_.generator.dim_z} : image_shape()),
        labels_(Tensor::empty({s_.batch}, DType::i64)),
        best_images_(Tensor::zeros(image_shape(), DType::f32, device_)),
        best_(Tensor::full({}, std::numeric_limits<float>::max(), DType::f32, device_)),
        graph_(device_, {&leaf_, &owner.n_.student},
               [this](const Tensors& in) { return step(in); }) {
    stream.fork("leaf").fill_normal(leaf_.value.data());
    ask(stream.fork("labels"));
    leaf_.to(device_);
    optimizers_.push_back(
        std::make_unique<nn::Adam>(leaf_.parameters(), adam_with(s_.generator, s_.synthesis.lr)));
    if (o_.copy_)
      optimizers_.push_back(std::make_unique<nn::Adam>(o_.copy_->parameters(),
                                                       adam_with(s_.generator, s_.generator.lr)));
  }

  void run(int64_t steps, double adversarial, const std::function<void()>& before_step) {
    const Tensor weight = Tensor::of<float>({static_cast<float>(adversarial)});
    for (int64_t k = 0; k < steps; ++k) {
      before_step();
      Tensors in = o_.views_.draw(stream_.fork("view", static_cast<uint64_t>(k)), s_.batch,
                                  o_.n_.generator.config().resolution);
      in.push_back(weight);
      here_ = stream_.fork("contrast", static_cast<uint64_t>(k));
      o_.by_generator() ? run_unrecorded(in) : static_cast<void>(results_ = graph_(in));
    }
  }

  Synthesised finished() {
    const NoGrad no_grad;
    const Tensor images = s_.synthesis.best ? best_images_ : last_images();
    return {.images = bytes_of(images, o_.n_.generator.standardisation()),
            .labels = labels_.to(cpu),
            .loss = results_.at(0).item(),
            .statistics = results_.at(1).item()};
  }
  /// Global and local, of the images that are kept.
  Tensor features(size_t i) const {
    return s_.synthesis.best ? best_features_[i] : features_[i].data();
  }
  /// Of the last step's view.
  const std::vector<Moments>& moments() const { return moments_; }

 private:
  void ask(Stream stream) {
    if (o_.targets_) {
      targets_ = o_.targets_->draw(s_.batch, stream).to(device_);
      labels_ = argmax(targets_);
    } else {
      stream.fill_integers(labels_, 0, o_.classes_);
      labels_ = labels_.to(device_);
    }
  }

  Shape image_shape() const {
    const gan::NetworkConfig& c = o_.n_.generator.config();
    return {s_.batch, c.resolution, c.resolution, c.channels};
  }
  Variable images() const {
    return o_.by_generator() ? o_.copy_->standardised(leaf_.value, condition_of(labels_, targets_))
                             : leaf_.value;
  }
  Tensor last_images() const { return images().data(); }

  /// Steps whose gradients are gathered stand in no recording.
  void run_unrecorded(Tensors in) {
    for (Tensor& t : in)
      if (t.defined()) t = t.to(device_);
    results_ = step(in);
  }

  Tensors step(const Tensors& in) {
    const nn::ModeOf mode(o_.n_.student, false);
    const Variable x = images();
    o_.n_.student.set_requires_grad(false);
    const GeneratorLoss of_teacher =
        generator_loss(s_.loss, o_.n_.teacher, &o_.n_.student,
                       {.images = o_.views_(x, in), .labels = labels_, .targets = targets_},
                       {.adversarial = reshape(Variable(in.back()), Shape{}),
                        .averages = o_.averages_,
                        .momentum = s_.synthesis.momentum});
    Variable loss = with_image_terms(of_teacher.total, x);
    if (o_.memory_) loss = loss + contrasted(x, of_teacher.norms);
    o_.n_.student.set_requires_grad(true);
    for (const auto& optimizer : optimizers_) optimizer->zero_grad();
    if (o_.memory_) o_.memory_->optimizer().zero_grad();
    loss.backward();
    if (o_.meta_optimizer_) add_gradients(*o_.copy_, o_.n_.generator);
    if (s_.synthesis.momentum > 0) moments_ = without_history(of_teacher.moments);
    keep_best(loss.data(), x.data());
    for (const auto& optimizer : optimizers_) optimizer->step();
    if (o_.memory_) o_.memory_->optimizer().step();
    return {loss.data(), of_teacher.statistics};
  }

  /// Of a local view with the global one, whose layers' inputs are there.
  Variable contrasted(const Variable& x, const NormInputs& global) {
    features_[0] = pooled_inputs(global);
    const nn::BatchNormTap tap;
    o_.n_.teacher.forward_features(local_view(x, here_));
    features_[1] = pooled_inputs(tap.inputs());
    return o_.memory_->loss(features_[1], features_[0], o_.memory_->draw(here_));
  }

  Variable with_image_terms(Variable loss, const Variable& x) const {
    const SynthesisSettings& s = s_.synthesis;
    if (s.tv_l1 > 0) loss = loss + total_variation_l1(x) * s.tv_l1;
    if (s.tv_l2 > 0) loss = loss + total_variation(x) * s.tv_l2;
    if (s.l2 > 0) loss = loss + batch_norm2(x) * s.l2;
    return loss;
  }

  /// In place: part of a step that may be recorded.
  void keep_best(const Tensor& loss, const Tensor& images) {
    if (!s_.synthesis.best) return;
    const NoGrad no_grad;
    const Tensor better = less(loss, best_);
    best_images_.copy_from(where(better, Variable(images), Variable(best_images_)).data());
    best_.copy_from(where(better, Variable(loss), Variable(best_)).data());
    if (!o_.memory_) return;
    for (size_t i = 0; i < 2; ++i)
      best_features_[i] =
          best_features_[i].defined()
              ? where(better, features_[i].detach(), Variable(best_features_[i])).data()
              : features_[i].data();
  }

  Synthesis& o_;
  const Settings& s_;
  const Stream stream_;
  const Device device_;
  Leaf leaf_;
  Tensor labels_, targets_, best_images_, best_;
  std::vector<std::unique_ptr<nn::Optimizer>> optimizers_;
  nn::StepGraph graph_;
  Tensors results_;
  std::vector<Moments> moments_;
  Stream here_;           // of a step's contrast
  Variable features_[2];  // global and local, of the last step
  Tensor best_features_[2];
};

Synthesis::Synthesis(const Networks& networks, const Settings& settings, int64_t classes,
                     const Stream& init)
    : n_(networks),
      s_(settings),
      classes_(classes),
      targets_(targets_of(settings.loss, networks.teacher, classes)),
      views_({.crop_padding = settings.synthesis.crop_padding,
              .roll = settings.synthesis.roll,
              .flip = settings.synthesis.flip},
             black_of(networks.generator.standardisation()), networks.teacher.device()) {
  if (!by_generator()) return;
  copy_ = gan::create_data_free_generator(n_.generator.config());
  copy_->set_standardisation(n_.generator.standardisation());
  copy_->to(n_.generator.device());
  if (s_.synthesis.contrast.weight > 0) {
    const gan::NetworkConfig& c = n_.generator.config();
    memory_ = std::make_unique<ContrastiveMemory>(
        s_.synthesis.contrast, features_of(n_.teacher, {2, c.resolution, c.resolution, c.channels}),
        init, n_.teacher.device());
  }
  if (s_.synthesis.of != "meta") return;
  const double steps = static_cast<double>(s_.generator_steps);
  meta_optimizer_ = std::make_unique<nn::Adam>(n_.generator.parameters(),
                                               adam_with(s_.generator, s_.generator.lr * steps));
}

Synthesised Synthesis::make(const Stream& stream, int64_t number, int64_t steps, double adversarial,
                            const std::function<void()>& before_step) {
  begin(stream, number);
  if (memory_) memory_->begin_synthesis();
  Batch batch(*this, stream);
  batch.run(steps, adversarial, before_step);
  if (meta_optimizer_) meta_optimizer_->step();
  if (s_.synthesis.momentum > 0)
    averages_ = averages_.empty() ? batch.moments()
                                  : averaged(averages_, batch.moments(), s_.synthesis.momentum);
  if (memory_) {
    memory_->add(batch.features(1), batch.features(0));
    memory_->end_synthesis();
  }
  return batch.finished();
}

void Synthesis::begin(const Stream& stream, int64_t number) {
  if (!copy_) return;
  copy_->train();
  if (!meta_optimizer_) {
    draw_anew(*copy_, stream.fork("generator"));
    return;
  }
  n_.generator.zero_grad();
  if (number > 0 && number == s_.synthesis.redraw)
    redraw_first_layers(n_.generator, stream.fork("redraw"));
  copy_->load_state_dict(n_.generator.state_dict());
}

TensorFile Synthesis::state() const {
  TensorFile file;
  if (meta_optimizer_) file.add_part("meta.", meta_optimizer_->state());
  if (memory_) file.add_part("memory.", memory_->state());
  for (size_t i = 0; i < averages_.size(); ++i) {
    file.add(cat("mean.", i), averages_[i].mean.data().to(cpu));
    file.add(cat("var.", i), averages_[i].var.data().to(cpu));
  }
  return file;
}

void Synthesis::load(const TensorFile& file) {
  if (meta_optimizer_) meta_optimizer_->load_state(file.part("meta."), "saved training state");
  if (memory_) memory_->load(file.part("memory."));
  averages_.clear();
  const Device device = n_.teacher.device();
  for (size_t i = 0; file.find(cat("mean.", i)); ++i)
    averages_.push_back({Variable(file.get(cat("mean.", i)).to(device)),
                         Variable(file.get(cat("var.", i)).to(device))});
}

}  // namespace limbeck::kd::data_free
