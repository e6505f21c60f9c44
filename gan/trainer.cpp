#include "gan/trainer.h"

#include <cmath>

#include "gan/health.h"
#include "tensor/metadata.h"

namespace limbeck::gan {
namespace {

/// The settings, if they fit: checked before anything is made of them.
const GanSettings& checked(const GanSettings& s, const Conditioning& conditioning) {
  check(s);
  const data::Dataset& data = conditioning.data();
  LIMBECK_CHECK(data.height() == data.width(), "GAN training: expected square images, found ",
                data.height(), " x ", data.width());
  return s;
}

}  // namespace

GanTrainer::GanTrainer(std::unique_ptr<Conditioning> conditioning, const GanSettings& settings,
                       const Stream& stream, nn::Monitor& monitor, Device device)
    : conditioning_(std::move(conditioning)),
      settings_(checked(settings, *conditioning_)),
      stream_(stream),
      monitor_(monitor),
      networks_(create_networks(settings_, *conditioning_, stream_, device)),
      update_(networks_, *conditioning_, settings_) {
  if (const auto saved = monitor_.load()) load(*saved);
  conditioning_->begin(stream_.fork("data"), step_ * settings_.d_steps);
}

TensorFile GanTrainer::state() {
  reader_.finish();
  for (const auto& [name, module] :
       {std::pair<const char*, const nn::Module*>{"D", networks_.d.get()},
        {"G", networks_.g.get()}})
    if (const std::string broken = first_broken(name, *module); !broken.empty())
      fail("GAN training diverged at step ", step_, ": ", broken, " is not finite");
  TensorFile file;
  file.add_part("G/", networks_.g->state_dict());
  file.add_part("D/", networks_.d->state_dict());
  file.add_part("G_ema/", networks_.average->state_dict());
  file.add_part("G_adam/", update_.g_optimizer().state());
  file.add_part("D_adam/", update_.d_optimizer().state());
  file.add_part("conditioning/", conditioning_->state());
  file.metadata["step"] = std::to_string(step_);
  return file;
}

void GanTrainer::load(const TensorFile& file) {
  networks_.g->load_state_dict(file.part("G/"), "GAN checkpoint (G)");
  networks_.d->load_state_dict(file.part("D/"), "GAN checkpoint (D)");
  networks_.average->load_state_dict(file.part("G_ema/"), "GAN checkpoint (G_ema)");
  update_.g_optimizer().load_state(file.part("G_adam/"), "GAN checkpoint (G_adam)");
  update_.d_optimizer().load_state(file.part("D_adam/"), "GAN checkpoint (D_adam)");
  conditioning_->load(file.part("conditioning/"));
  step_ = MetadataReader(file, "GAN checkpoint", "a state of GAN training")
              .integer("step", 0, settings_.steps);
}

void GanTrainer::check_loss(const char* name, double loss, int64_t step) const {
  if (std::isfinite(loss) && std::abs(loss) <= settings_.loss_bound) return;
  std::string broken = first_broken("D", *networks_.d);
  if (broken.empty()) broken = first_broken("G", *networks_.g);
  fail("GAN training diverged at step ", step, ": ", name, " = ", loss,
       " (bound gan.loss_bound = ", settings_.loss_bound, ")",
       broken.empty() ? std::string("; all weights are still finite")
                      : "; first non-finite tensor: " + broken);
}

void GanTrainer::discriminator_step(const Stream& stream) {
  reader_.read(update_.discriminator(stream, conditioning_->next_real()),
               [this, step = step_](const Tensors& results) {
                 health_.d_loss = results[0].item();
                 check_loss("the discriminator's loss", health_.d_loss, step);
                 health_.real_accuracy = fraction_with_sign(results[1], 1);
                 health_.fake_accuracy = fraction_with_sign(results[2], -1);
               });
}

void GanTrainer::generator_step(const Stream& stream) {
  reader_.read(update_.generator(stream, conditioning_->next_targets(stream), step_ + 1),
               [this, step = step_](const Tensors& results) {
                 health_.g_loss = results[0].item();
                 check_loss("the generator's loss", health_.g_loss, step);
               });
}

void GanTrainer::step() {
  const Stream here = stream_.fork("step", static_cast<uint64_t>(step_));
  conditioning_->begin_step(step_, *networks_.average);
  for (int64_t k = 0; k < settings_.d_steps; ++k)
    discriminator_step(here.fork("D", static_cast<uint64_t>(k)));
  generator_step(here.fork("G"));
  ++step_;
  nn::Values values{{"d_loss", health_.d_loss}};
  if (!std::isnan(health_.g_loss))
    values.emplace_back("g_loss", health_.g_loss);  // a device's first one is still on its way
  monitor_.progress(step_, settings_.steps, settings_.batch * settings_.d_steps, values);
  if (step_ % settings_.health_every == 0 || step_ == settings_.steps) log_health();
  if (step_ == settings_.steps ||
      (settings_.sample_every > 0 && step_ % settings_.sample_every == 0))
    show_pictures();
}

void GanTrainer::run() {
  while (step_ < settings_.steps) {
    step();
    if (nn::tried_enough(monitor_, settings_.steps, [this] { reader_.finish(); })) return tried();
    nn::checkpoint(monitor_, [&] { return state(); });
  }
}

/// What a trial cannot see in its steps.
void GanTrainer::tried() {
  const auto steps = static_cast<double>(settings_.steps);
  nn::Trial& trial = *monitor_.trial();
  trial.measure(steps / static_cast<double>(settings_.health_every), [this] { log_health(); });
  const auto pictures = static_cast<double>(settings_.sample_every);
  trial.measure(1 + (pictures > 0 ? steps / pictures : 0), [this] { show_pictures(); });
}

void GanTrainer::log_health() {
  reader_.finish();
  nn::Values values = {{"d_loss", health_.d_loss},
                       {"g_loss", health_.g_loss},
                       {"d_accuracy_real", health_.real_accuracy},
                       {"d_accuracy_fake", health_.fake_accuracy},
                       {"d_gradient_norm", gradient_norm(*networks_.d)},
                       {"g_gradient_norm", gradient_norm(*networks_.g)}};
  add_singular_values(values, "D", *networks_.d);
  add_singular_values(values, "G", *networks_.g);
  monitor_.metrics(step_, values);
}

void GanTrainer::show_pictures() {
  std::string number = std::to_string(step_);
  number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  for (const Picture& p : conditioning_->pictures(*networks_.average, stream_.fork("samples")))
    monitor_.image(p.name + "-" + number, p.pixels);
}

}  // namespace limbeck::gan
