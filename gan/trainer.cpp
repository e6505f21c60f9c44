#include "gan/trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "gan/sampler.h"
#include "gan/spectral_layers.h"
#include "nn/init.h"
#include "ops/random.h"

namespace limbeck::gan {
namespace {

constexpr int64_t grid_side = 8;       // fixed-noise grid: 8 x 8 images
constexpr int64_t sheet_columns = 10;  // class sheet: one row per class

NetworkConfig architecture(const data::Dataset& data, const GanSettings& s) {
  return {.arch = s.arch, .dim_z = s.dim_z, .classes = data.classes, .resolution = data.height(), .channels = data.channels(), .sn_eps = s.sn_eps,
          .bn_eps = s.bn_eps, .shared_dim = s.shared_dim, .hierarchical = s.hierarchical, .depth = s.depth};
}

NetworkConfig generator_config(const data::Dataset& data, const GanSettings& s) {
  NetworkConfig c = architecture(data, s);
  c.ch = s.g_ch;
  c.attention = parse_resolutions(s.g_attention, "gan.g_attention");
  return c;
}

NetworkConfig discriminator_config(const data::Dataset& data, const GanSettings& s) {
  NetworkConfig c = architecture(data, s);
  c.ch = s.d_ch;
  c.attention = parse_resolutions(s.d_attention, "gan.d_attention");
  return c;
}

void check_settings(const data::Dataset& data, const GanSettings& s) {
  LIMBECK_CHECK(data.classes > 0 && data.labels.defined(), "GAN training: the data set has no classes");
  LIMBECK_CHECK(data.height() == data.width(), "GAN training: expected square images, found ", data.height(), " x ", data.width());
  LIMBECK_CHECK(s.batch >= 2 && s.batch <= data.size(), "gan.batch: expected 2 to ", data.size(), " (the number of training images), found ", s.batch);
  LIMBECK_CHECK(s.init == "N02" || s.init == "ortho", "gan.init: expected N02 or ortho, found '", s.init, "'");
  LIMBECK_CHECK(s.steps >= 0, "gan.steps must not be negative, found ", s.steps);
  LIMBECK_CHECK(s.d_steps >= 1, "gan.d_steps must be at least 1, found ", s.d_steps);
  LIMBECK_CHECK(s.health_every >= 1, "gan.health_every must be at least 1, found ", s.health_every);
}

/// The networks' own rule is N02; "ortho" replaces every weight with two or more dimensions, embeddings included, as BigGAN does.
void initialise(nn::Module& net, const std::string& rule, const Stream& stream) {
  net.initialise(stream);
  if (rule == "N02") return;
  for (const nn::Parameter& p : net.parameters())
    if (p.value.rank() >= 2) nn::init::orthogonal(p.value, stream.fork("orthogonal/" + p.name));
}

data::Loader::Config loader_config(const data::Dataset& data, const GanSettings& s, Device device) {
  return {.batch = s.batch, .drop_last = true, .shuffle = true, .augmentation = {.crop_padding = 0, .flip = s.flip},
          .standardisation = data::halves(data), .threads = s.loader_threads, .device = device};
}

/// Rows of a, then rows of b.
Tensor stacked(const Tensor& a, const Tensor& b) {
  std::vector<int64_t> sizes = a.shape().vec();
  sizes[0] += b.size(0);
  const Tensor out = Tensor::empty(Shape(sizes), a.dtype(), a.device());
  out.rows(0, a.size(0)).copy_from(a);
  out.rows(a.size(0), sizes[0]).copy_from(b);
  return out;
}

bool all_finite(const Tensor& t) {
  const Tensor host = t.to(cpu);
  const auto values = host.span<float>();
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

/// The first non-finite parameter, gradient or buffer, or "".
std::string first_broken(const char* network, const nn::Module& m) {
  for (const nn::Parameter& p : m.parameters()) {
    if (!all_finite(p.value.data())) return cat(network, ".", p.name);
    if (p.value.grad().defined() && !all_finite(p.value.grad())) return cat("gradient of ", network, ".", p.name);
  }
  for (const nn::Buffer& b : m.buffers())
    if (b.value.dtype() == DType::f32 && !all_finite(b.value)) return cat(network, ".", b.name);
  return "";
}

double gradient_norm(const nn::Module& m) {
  double total = 0;
  for (const Variable& p : m.parameter_values())
    if (p.grad().defined())
      for (float g : p.grad().to_vector<float>()) total += static_cast<double>(g) * static_cast<double>(g);
  return std::sqrt(total);
}

double fraction_above_zero(const Tensor& scores, double sign) {
  int64_t count = 0;
  for (float s : scores.to_vector<float>()) count += sign * static_cast<double>(s) > 0;
  return static_cast<double>(count) / static_cast<double>(scores.numel());
}

/// Adds sv0 of every layer and their extremes: a rising maximum in D or a falling minimum in G announces collapse.
void add_singular_values(nn::Values& values, const char* network, const nn::Module& m) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  nn::Values layers;
  m.visit([&](const std::string& name, const nn::Module& layer) {
    const auto* spectral = dynamic_cast<const SpectralLayer*>(&layer);
    if (!spectral) return;
    const double s = spectral->singular_value();
    low = std::min(low, s);
    high = std::max(high, s);
    layers.emplace_back(cat("sv/", network, ".", name), s);
  });
  values.emplace_back(cat(network, "_sv_min"), low);
  values.emplace_back(cat(network, "_sv_max"), high);
  values.insert(values.end(), layers.begin(), layers.end());
}

}  // namespace

GanTrainer::GanTrainer(const data::Dataset& data, const GanSettings& settings, const Stream& stream, nn::Monitor& monitor, Device device)
    : data_(data), settings_(settings), stream_(stream), monitor_(monitor), device_(device), augment_(settings.augment),
      standardise_(data::halves(data).mean, data::halves(data).deviation, device) {
  check_settings(data, settings);
  g_ = create_generator(generator_config(data, settings));
  g_ema_ = create_generator(generator_config(data, settings));
  d_ = create_discriminator(discriminator_config(data, settings));
  initialise(*g_, settings.init, stream_.fork("init/G"));
  initialise(*d_, settings.init, stream_.fork("init/D"));
  g_ema_->load_state_dict(g_->state_dict());
  g_ema_->set_requires_grad(false);
  g_ema_->eval();
  for (nn::Module* m : {static_cast<nn::Module*>(g_.get()), static_cast<nn::Module*>(g_ema_.get()), static_cast<nn::Module*>(d_.get())}) m->to(device_);
  const auto adam = [&](double lr) { return nn::Adam::Config{.lr = lr, .beta1 = settings.beta1, .beta2 = settings.beta2, .eps = settings.adam_eps}; };
  g_optimizer_ = std::make_unique<nn::Adam>(g_->parameters(), adam(settings.g_lr));
  d_optimizer_ = std::make_unique<nn::Adam>(d_->parameters(), adam(settings.d_lr));
  const std::vector<nn::Module*> both{g_.get(), d_.get()};
  d_graph_ = std::make_unique<nn::StepGraph>(device_, both, [this](const Tensors& in) { return update_discriminator(in); });
  g_graph_ = std::make_unique<nn::StepGraph>(device_, both, [this](const Tensors& in) { return update_generator(in); });
  ema_ = std::make_unique<nn::EMA>(*g_ema_, *g_, settings.ema_decay, settings.ema_start);
  if (const auto saved = monitor_.load()) load(*saved);
  loader_ = std::make_unique<data::Loader>(data_, loader_config(data_, settings_, device_), stream_.fork("data"), step_ * settings_.d_steps);
}

GanTrainer::~GanTrainer() = default;

TensorFile GanTrainer::state() {
  account(0);
  for (const auto& [name, module] : {std::pair<const char*, const nn::Module*>{"D", d_.get()}, {"G", g_.get()}})
    if (const std::string broken = first_broken(name, *module); !broken.empty())
      fail("GAN training diverged at step ", step_, ": ", broken, " is not finite");
  TensorFile file;
  file.add_part("G/", g_->state_dict());
  file.add_part("D/", d_->state_dict());
  file.add_part("G_ema/", g_ema_->state_dict());
  file.add_part("G_adam/", g_optimizer_->state());
  file.add_part("D_adam/", d_optimizer_->state());
  file.metadata["step"] = std::to_string(step_);
  return file;
}

void GanTrainer::load(const TensorFile& file) {
  const auto step = file.metadata.find("step");
  LIMBECK_CHECK(step != file.metadata.end(), "GAN checkpoint: no 'step' in its metadata");
  g_->load_state_dict(file.part("G/"), "GAN checkpoint (G)");
  d_->load_state_dict(file.part("D/"), "GAN checkpoint (D)");
  g_ema_->load_state_dict(file.part("G_ema/"), "GAN checkpoint (G_ema)");
  g_optimizer_->load_state(file.part("G_adam/"), "GAN checkpoint (G_adam)");
  d_optimizer_->load_state(file.part("D_adam/"), "GAN checkpoint (D_adam)");
  step_ = std::stoll(step->second);
}

/// All that an update's draws depend on: 48 bytes, which travel to the device.
Tensor GanTrainer::places(const Stream& stream) { return places_of({stream.fork("z"), stream.fork("labels"), stream.fork("augment")}); }

GanTrainer::Draws GanTrainer::draw(const Tensor& places, int64_t images) const {
  return {draw_normal(place_at(places, 0), {settings_.batch, g_->config().dim_z}), draw_integers(place_at(places, 1), {settings_.batch}, 0, data_.classes),
          augment_.draw(images, data_.height(), data_.width(), place_at(places, 2))};
}

void GanTrainer::check_loss(const char* name, double loss, int64_t step) const {
  if (std::isfinite(loss) && std::abs(loss) <= settings_.loss_bound) return;
  std::string broken = first_broken("D", *d_);
  if (broken.empty()) broken = first_broken("G", *g_);
  fail("GAN training diverged at step ", step, ": ", name, " = ", loss, " (bound gan.loss_bound = ", settings_.loss_bound, ")",
       broken.empty() ? std::string("; all weights are still finite") : "; first non-finite tensor: " + broken);
}

/// Places, real images (bytes with draws at the end, or floats), their labels -> loss, scores on real, scores on fake.
Tensors GanTrainer::update_discriminator(const Tensors& in) {
  const Draws drawn = draw(in[0], 2 * settings_.batch);
  Tensor fake;
  {
    NoGrad no_grad;
    fake = g_->forward(drawn.z, drawn.labels).data();
  }
  const Variable images = augment_.apply(stacked(fake, standardise_(in[1], in[3])), drawn.augmentation);
  const Variable scores = d_->forward(images, stacked(drawn.labels, in[2]));
  const Variable on_fake = slice(scores, 0, 0, settings_.batch), on_real = slice(scores, 0, settings_.batch, 2 * settings_.batch);
  const Variable loss = hinge_loss_discriminator(on_real, on_fake);
  d_optimizer_->zero_grad();
  loss.backward();
  d_optimizer_->step();
  return {loss.data(), on_real.data(), on_fake.data()};
}

/// Places -> loss. The moving average belongs to the step, so that a device runs it without a launch of its own.
Tensors GanTrainer::update_generator(const Tensors& in) {
  const Draws drawn = draw(in[0], settings_.batch);
  d_->set_requires_grad(false);
  const Variable fake = g_->forward(drawn.z, drawn.labels);
  const Variable loss = hinge_loss_generator(d_->forward(augment_.apply(fake, drawn.augmentation), drawn.labels));
  d_->set_requires_grad(true);
  g_optimizer_->zero_grad();
  loss.backward();
  g_optimizer_->step();
  ema_->update([this] { return step_ + 1; });
  return {loss.data()};
}

void GanTrainer::discriminator_step(const Stream& stream) {
  const data::Batch real = loader_->next();
  pending_.push_back({step_, true, read_later((*d_graph_)({places(stream), real.images, real.labels, real.draws}), device_)});
  account(device_ == cpu ? 0 : 1);
}

void GanTrainer::generator_step(const Stream& stream) {
  pending_.push_back({step_, false, read_later((*g_graph_)({places(stream)}), device_)});
  account(device_ == cpu ? 0 : 1);
}

/// Takes in the results of all updates but the last `unread`: a device works on one update while the host reads those of the one before.
void GanTrainer::account(size_t unread) {
  for (; pending_.size() > unread; pending_.pop_front()) {
    const Pending& p = pending_.front();
    const std::vector<Tensor> results = p.results->wait();
    double& loss = p.discriminator ? health_.d_loss : health_.g_loss;
    loss = results[0].item();
    check_loss(p.discriminator ? "the discriminator's loss" : "the generator's loss", loss, p.step);
    if (!p.discriminator) continue;
    health_.real_accuracy = fraction_above_zero(results[1], 1);
    health_.fake_accuracy = fraction_above_zero(results[2], -1);
  }
}

void GanTrainer::step() {
  const Stream here = stream_.fork("step", static_cast<uint64_t>(step_));
  for (int64_t k = 0; k < settings_.d_steps; ++k) discriminator_step(here.fork("D", static_cast<uint64_t>(k)));
  generator_step(here.fork("G"));
  ++step_;
  nn::Values values{{"d_loss", health_.d_loss}};
  if (!std::isnan(health_.g_loss)) values.emplace_back("g_loss", health_.g_loss);  // a device's first one is still on its way
  monitor_.progress(step_, settings_.steps, settings_.batch * settings_.d_steps, values);
  if (step_ % settings_.health_every == 0 || step_ == settings_.steps) log_health();
  if (step_ == settings_.steps || (settings_.sample_every > 0 && step_ % settings_.sample_every == 0)) show_samples();
}

void GanTrainer::run() {
  while (step_ < settings_.steps) {
    step();
    nn::checkpoint(monitor_, [&] { return state(); });
  }
}

void GanTrainer::log_health() {
  account(0);
  nn::Values values = {{"d_loss", health_.d_loss},
                       {"g_loss", health_.g_loss},
                       {"d_accuracy_real", health_.real_accuracy},
                       {"d_accuracy_fake", health_.fake_accuracy},
                       {"d_gradient_norm", gradient_norm(*d_)},
                       {"g_gradient_norm", gradient_norm(*g_)}};
  add_singular_values(values, "D", *d_);
  add_singular_values(values, "G", *g_);
  monitor_.metrics(step_, values);
}

void GanTrainer::show_samples() {
  const Stream fixed = stream_.fork("samples");
  std::vector<int64_t> labels(static_cast<size_t>(grid_side * grid_side));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i) % data_.classes;
  std::string number = std::to_string(step_);
  number.insert(0, number.size() < 6 ? 6 - number.size() : 0, '0');
  monitor_.image("samples-" + number, data::grid(data::to_bytes(sample(*g_ema_, Tensor::of(labels), fixed)), grid_side));
  monitor_.image("classes-" + number, class_sheet(*g_ema_, sheet_columns, fixed));
}

}  // namespace limbeck::gan
