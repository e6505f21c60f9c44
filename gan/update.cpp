#include "gan/update.h"

#include <utility>

#include "nn/init.h"
#include "ops/random.h"
#include "tensor/rows.h"

namespace limbeck::gan {
namespace {

/// Rows of a, then rows of b, on their device.
Condition joined(const Condition& a, const Condition& b) {
  const Tensor classes = join_rows({a.classes, b.classes});
  if (!a.embedding) return {classes, {}};
  return {classes, Variable(join_rows({a.embedding.data(), b.embedding.data()}))};
}

Tensor rows_of(const Tensor& t, int64_t begin, int64_t end) {
  return t.defined() ? t.rows(begin, end) : t;
}

NetworkConfig network_config(const GanSettings& s, const Conditioning& conditioning) {
  const data::Dataset& data = conditioning.data();
  NetworkConfig c = {.arch = s.arch,
                     .dim_z = s.dim_z,
                     .resolution = data.height(),
                     .channels = data.channels(),
                     .sn_eps = s.sn_eps,
                     .bn_eps = s.bn_eps,
                     .shared_dim = s.shared_dim,
                     .hierarchical = s.hierarchical,
                     .depth = s.depth};
  conditioning.configure(c);
  return c;
}

NetworkConfig sized(NetworkConfig c, int64_t ch, const std::string& attention, const char* key) {
  c.ch = ch;
  c.attention = parse_resolutions(attention, key);
  return c;
}

struct NetworkPair {
  NetworkConfig g, d;
};

NetworkPair network_pair(const GanSettings& s, const Conditioning& conditioning) {
  check(s);
  const NetworkConfig config = network_config(s, conditioning);
  NetworkPair pair{sized(config, s.g_ch, s.g_attention, "gan.g_attention"),
                   sized(config, s.d_ch, s.d_attention, "gan.d_attention")};
  pair.d.response_head = s.regression.d_weight > 0;
  return pair;
}

/// The networks' own rule is N02; "ortho" replaces every weight with two or more dimensions,
/// embeddings included, as BigGAN does.
void initialise(nn::Module& net, const std::string& rule, const Stream& stream) {
  net.initialise(stream);
  if (rule == "N02") return;
  for (const nn::Parameter& p : net.parameters())
    if (p.value.rank() >= 2) nn::init::orthogonal(p.value, stream.fork("orthogonal/" + p.name));
}

/// Each resolution must give the network a self-attention. Only the families know where they have
/// blocks, so narrow ones are built with and without it.
template <class Create>
void check_attention(NetworkConfig c, Create create, const char* key) {
  constexpr int64_t narrow = 8;
  const std::vector<int64_t> wanted = std::exchange(c.attention, {});
  if (wanted.empty()) return;
  c.ch = narrow;
  const int64_t without = create(c)->parameter_count();
  const auto has = [&](int64_t resolution) {
    c.attention = {resolution};
    return create(c)->parameter_count() > without;
  };
  std::vector<std::string> places;
  for (int64_t r = bottom_size; r <= c.resolution; r *= 2)
    if (has(r)) places.push_back(std::to_string(r));
  for (const int64_t r : wanted)
    LIMBECK_CHECK(has(r), key, ": no block of ", c.arch, " for images of ", c.resolution,
                  " pixels ends at ", r, "; expected some of ", limbeck::joined(places));
}

std::vector<nn::Module*> modules_of(const GanNetworks& n) { return {n.g.get(), n.d.get()}; }

nn::Adam::Config adam(const GanSettings& s, double lr) {
  return {.lr = lr, .beta1 = s.beta1, .beta2 = s.beta2, .eps = s.adam_eps};
}

/// All that an update's own draws depend on: 48 bytes, which travel to the device.
Tensor update_places(const Stream& stream) {
  return places_of({stream.fork("z"), stream.fork("labels"), stream.fork("augment")});
}

Tensors followed_by(Tensors first, const Tensors& rest) {
  first.insert(first.end(), rest.begin(), rest.end());
  return first;
}

Tensors rest_of(const Tensors& all, size_t begin) {
  return {all.begin() + static_cast<std::ptrdiff_t>(begin), all.end()};
}

}  // namespace

GanObjective::DiscriminatorResult GanObjective::discriminator(
    const Tensor& z, const Tensor& real, const Conditioning::DiscriminatorConditions& c,
    const Tensor& augmentation, const Tensor& negatives) {
  DiscriminatorResult r;
  {
    const NoGrad no_grad;
    r.fake = g_.forward(z, c.made).data();
  }
  const int64_t n = real.size(0), fakes = r.fake.size(0);
  Variable real_response, fake_response;
  if (one_batch_) {
    const Variable images = augment_.apply(join_rows({r.fake, real}), augmentation);
    const Variable scores = d_.forward(images, joined(c.judged_fake, c.judged_real));
    r.on_fake = slice(scores, 0, 0, fakes), r.on_real = slice(scores, 0, fakes, fakes + n);
  } else {
    const Judged of_real =
        d_.judge(augment_.apply(real, rows_of(augmentation, fakes, fakes + n)), c.judged_real);
    const Judged of_fake =
        d_.judge(augment_.apply(r.fake, rows_of(augmentation, 0, fakes)), c.judged_fake);
    r.on_real = of_real.score, r.on_fake = of_fake.score;
    real_response = of_real.response, fake_response = of_fake.response;
  }
  r.loss = negatives.defined()
               ? with_negatives(r, c, augmentation, negatives)
               : discriminator_loss(loss_, r.on_real, r.on_fake, c.real_weights, c.fake_weights);
  if (auxiliary_.d_regression > 0) {
    const Tensor slack = affine(Variable(c.base), auxiliary_.slack, 0).data();
    r.loss =
        r.loss + auxiliary_.d_regression * (response_loss(real_response, c.target, slack) +
                                            response_loss(fake_response, c.fake_response, slack));
  }
  return r;
}

Variable GanObjective::with_negatives(const DiscriminatorResult& r,
                                      const Conditioning::DiscriminatorConditions& c,
                                      const Tensor& augmentation, const Tensor& negatives) {
  const int64_t n = r.on_real.size(0);
  double rest = 1;
  for (const double w : auxiliary_.negatives) rest -= w;
  Variable loss = real_loss(loss_, r.on_real, c.real_weights) +
                  rest * fake_loss(loss_, r.on_fake, c.fake_weights);
  for (size_t k = 0; k < auxiliary_.negatives.size(); ++k) {
    const int64_t at = static_cast<int64_t>(k) * n;
    const Variable images =
        augment_.apply(negatives.rows(at, at + n), rows_of(augmentation, 2 * n + at, 3 * n + at));
    loss = loss + auxiliary_.negatives[k] * fake_loss(loss_, d_.forward(images, c.judged_real));
  }
  return loss;
}

Variable GanObjective::generator(const Tensor& z, const Condition& condition,
                                 const Tensor& augmentation, const Tensor& responses) {
  d_.set_requires_grad(false);
  const Judged judged = d_.judge(augment_.apply(g_.forward(z, condition), augmentation), condition);
  Variable loss = generator_loss(loss_, judged.score);
  if (auxiliary_.g_regression > 0)
    loss = loss + auxiliary_.g_regression * response_loss(judged.response, responses);
  d_.set_requires_grad(true);
  return loss;
}

AuxiliaryLosses auxiliary_losses(const GanSettings& s) {
  AuxiliaryLosses a{.d_regression = s.regression.d_weight,
                    .g_regression = s.regression.g_weight,
                    .slack = s.regression.slack};
  for (const double weight : {s.negatives.mismatched, s.negatives.poor})
    if (weight > 0) a.negatives.push_back(weight);
  return a;
}

GanSizes check_networks(const GanSettings& s, const Conditioning& conditioning) {
  const NoGrad no_grad;
  const NetworkPair pair = network_pair(s, conditioning);
  check_attention(pair.g, create_generator, "gan.g_attention");
  check_attention(pair.d, create_discriminator, "gan.d_attention");
  const std::unique_ptr<Generator> g = create_generator(pair.g);
  const std::unique_ptr<Discriminator> d = create_discriminator(pair.d);
  g->eval(), d->eval();
  const bool by_class = condition_kind(s.arch) == ConditionKind::classes;
  const Condition condition{
      by_class ? Tensor::zeros({2}, DType::i64) : Tensor(),
      by_class ? Variable() : Variable(Tensor::zeros({2, g->config().label_dim}))};
  const Variable z(Tensor::zeros({2, g->config().dim_z}));
  d->forward(g->forward(z, condition), condition);
  return {g->parameter_count(), d->parameter_count()};
}

GanNetworks create_networks(const GanSettings& s, const Conditioning& conditioning,
                            const Stream& stream, Device device, bool average) {
  const NetworkPair pair = network_pair(s, conditioning);
  GanNetworks n{create_generator(pair.g), create_discriminator(pair.d), nullptr};
  initialise(*n.g, s.init, stream.fork("init/G"));
  initialise(*n.d, s.init, stream.fork("init/D"));
  if (average) {
    n.average = create_generator(pair.g);
    n.average->load_state_dict(n.g->state_dict());
    n.average->set_requires_grad(false);
    n.average->eval();
    n.average->to(device);
  }
  n.g->to(device);
  n.d->to(device);
  return n;
}

GanUpdate::GanUpdate(const GanNetworks& networks, const Conditioning& conditioning,
                     const GanSettings& s)
    : networks_(networks),
      conditioning_(conditioning),
      batch_(s.batch),
      objective_(*networks.g, *networks.d, parse_adversarial_loss(s.loss, "gan.loss"), s.augment,
                 conditioning.one_batch(), auxiliary_losses(s)),
      standardise_(data::halves(conditioning.data()).mean,
                   data::halves(conditioning.data()).deviation, networks.g->device()),
      g_optimizer_(networks.g->parameters(), adam(s, s.g_lr)),
      d_optimizer_(networks.d->parameters(), adam(s, s.d_lr)),
      ema_(networks.average
               ? std::make_unique<nn::EMA>(*networks.average, *networks.g, s.ema_decay, s.ema_start)
               : nullptr),
      d_graph_(networks.g->device(), modules_of(networks),
               [this](const Tensors& in) { return update_discriminator(in, false); }),
      d_negative_graph_(networks.g->device(), modules_of(networks),
                        [this](const Tensors& in) { return update_discriminator(in, true); }),
      g_graph_(networks.g->device(), modules_of(networks),
               [this](const Tensors& in) { return update_generator(in); }) {}

GanUpdate::Draws GanUpdate::draw(const Tensor& places, int64_t images) const {
  const NetworkConfig& c = networks_.d->config();
  return {.z = draw_normal(place_at(places, 0), {batch_, networks_.g->config().dim_z}),
          .augmentation =
              objective_.augment().draw(images, c.resolution, c.resolution, place_at(places, 2)),
          .place = place_at(places, 1)};
}

/// Places, real images (bytes with draws, or floats), perhaps negatives alike, inputs of the
/// conditioning.
Tensors GanUpdate::update_discriminator(const Tensors& in, bool with_negatives) {
  const int64_t negatives = with_negatives ? in[3].size(0) : 0;
  const Draws drawn = draw(in[0], 2 * batch_ + negatives);
  const GanObjective::DiscriminatorResult r = objective_.discriminator(
      drawn.z, standardise_(in[1], in[2]),
      conditioning_.discriminator_conditions(rest_of(in, with_negatives ? 5 : 3), drawn.place),
      drawn.augmentation, with_negatives ? standardise_(in[3], in[4]) : Tensor());
  d_optimizer_.zero_grad();
  r.loss.backward();
  d_optimizer_.step();
  return {r.loss.data(), r.on_real.data(), r.on_fake.data()};
}

/// Places, inputs of the conditioning. The moving average belongs to the update, so that a device
/// runs it without a launch of its own.
Tensors GanUpdate::update_generator(const Tensors& in) {
  const Draws drawn = draw(in[0], batch_);
  const Variable loss =
      objective_.generator(drawn.z, conditioning_.generator_condition(rest_of(in, 1), drawn.place),
                           drawn.augmentation, conditioning_.generator_responses(rest_of(in, 1)));
  g_optimizer_.zero_grad();
  loss.backward();
  g_optimizer_.step();
  if (ema_) ema_->update([this] { return average_step_; });
  return {loss.data()};
}

Tensors GanUpdate::discriminator(const Stream& stream, const Conditioning::Real& real) {
  const Tensors images{update_places(stream), real.images, real.draws};
  if (!real.negatives.defined()) return d_graph_(followed_by(images, real.inputs));
  return d_negative_graph_(
      followed_by(followed_by(images, {real.negatives, real.negative_draws}), real.inputs));
}

Tensors GanUpdate::generator(const Stream& stream, const Tensors& targets, int64_t step) {
  average_step_ = step;
  return g_graph_(followed_by({update_places(stream)}, targets));
}

}  // namespace limbeck::gan
