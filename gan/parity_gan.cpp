// The parity runner of generators and discriminators: BigGAN (fixtures with "kwargs" per case),
// BigGAN-deep (these have a "G_depth"), and SAGAN and SNGAN conditioned on an embedded label
// ("g_kwargs"). Eval forward; then one D step and one G step in train mode, with hinge loss unless
// the case has a "loss": losses, gradients, buffers.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "gan/update.h"
#include "nn/parity_fixture.h"

namespace limbeck::gan {
namespace {

using nlohmann::json;

struct Pair {
  std::unique_ptr<Generator> g;
  std::unique_ptr<Discriminator> d;
};

Pair biggan_pair(const json& c) {
  const json& kwargs = c.at("kwargs");
  const auto config = [&](const std::string& side) {
    NetworkConfig n = {.ch = kwargs.at(side + "_ch"),
                       .dim_z = c.at("z_dim"),
                       .classes = c.at("n_classes"),
                       .resolution = c.at("resolution"),
                       .channels = 3,
                       .sn_eps = c.at("SN_eps"),
                       .bn_eps = c.at("BN_eps")};
    if (kwargs.contains(side + "_depth")) {
      n.arch = "biggan-deep";
      n.depth = kwargs.at(side + "_depth");
    }
    n.attention = parse_resolutions(kwargs.at(side + "_attn"), side + "_attn");
    n.shared_dim = kwargs.at("G_shared") ? kwargs.at("shared_dim").get<int64_t>() : 0;
    n.hierarchical = kwargs.at("hier");
    return n;
  };
  return {create_generator(config("G")), create_discriminator(config("D"))};
}

/// "sagan64_ch8" -> sagan; sngan-nli and sngan-nli-narrow as they are.
std::string arch_of(const std::string& name) {
  const std::vector<std::string> names = gan_names();
  const std::string arch =
      std::find(names.begin(), names.end(), name) != names.end() ? name : name.substr(0, 5);
  LIMBECK_CHECK(arch.starts_with("sagan") || arch.starts_with("sngan"), "case '", name,
                "': expected a name that begins with sagan or sngan");
  return arch;
}

Pair label_pair(const std::string& name, const json& c) {
  const std::string arch = arch_of(name);
  const json &g = c.at("g_kwargs"), &d = c.at("d_kwargs");
  return {create_generator({.arch = arch,
                            .ch = g.at("gene_ch"),
                            .dim_z = g.at("z_dim"),
                            .resolution = 64,
                            .channels = g.at("nc"),
                            .label_dim = g.at("dim_embed")}),
          create_discriminator({.arch = arch,
                                .ch = d.at("disc_ch"),
                                .resolution = 64,
                                .channels = d.at("nc"),
                                .label_dim = d.at("dim_embed")})};
}

/// One case: the networks in their state before any step, and the inputs.
struct Run {
  const json& fixture;
  const DType dtype;
  const Device device;
  const bool by_label;
  nn::ParityReport report;
  Pair nets;
  Tensor z, real, w_real, w_fake;
  Condition condition;  // of the fakes

  Run(const std::string& name, const json& c, const std::string& salt, DType type, Device place)
      : fixture(c),
        dtype(type),
        device(place),
        by_label(c.contains("g_kwargs")),
        nets(by_label ? label_pair(name, c) : biggan_pair(c)) {
    report.name = name;
    const NetworkConfig &g = nets.g->config(), &d = nets.d->config();
    const int64_t n = c.at("batch");
    z = nn::parity_fill(salt + "z", {n, g.dim_z}).to(dtype).to(device);
    real = to_channels_last(
               nn::parity_fill(salt + "input", {n, d.channels, d.resolution, d.resolution}))
               .to(dtype)
               .to(device);
    if (by_label) {
      condition.embedding =
          abs(Variable(nn::parity_fill(salt + "label_embedding", {n, g.label_dim}).to(dtype)))
              .data()
              .to(device);
      w_real = nn::parity_fill_uniform(salt + "w_real", {n, 1}).to(dtype).to(device);
      w_fake = nn::parity_fill_uniform(salt + "w_fake", {n, 1}).to(dtype).to(device);
    } else {
      std::vector<int64_t> labels;
      for (int64_t i = 0; i < n; ++i) labels.push_back((3 * i + 1) % d.classes);
      condition.classes = Tensor::of(labels).to(device);
    }
    for (nn::Module* m :
         {static_cast<nn::Module*>(nets.g.get()), static_cast<nn::Module*>(nets.d.get())}) {
      m->to(dtype);
      nn::parity_fill_state(*m);
      m->to(device);
    }
  }

  void check_state() {
    nn::check_state_dict(report, *nets.g, fixture.at("g_state_dict"), "G ");
    nn::check_state_dict(report, *nets.d, fixture.at("d_state_dict"), "D ");
    nn::check_parameter_count(report, *nets.g, fixture.at("g_params"));
    nn::check_parameter_count(report, *nets.d, fixture.at("d_params"));
  }

  void check_images(const char* key, const Tensor& images, nn::ParityKind kind) {
    report.add("images", key, nn::summarise_memory(images), nn::read_summary(fixture.at(key)),
               nn::parity_bounds(dtype, kind));
  }

  void check_eval() {
    const NoGrad no_grad;
    nets.g->eval();
    nets.d->eval();
    check_images("g_eval", nets.g->forward(z, condition).data(), nn::ParityKind::eval);
    nn::check_outputs(report, "eval scores", nets.d->forward(real, condition).data(),
                      fixture.at("d_eval"), nn::parity_bounds(dtype, nn::ParityKind::eval));
    nets.g->train();
    nets.d->train();
  }

  void check_loss(const char* key, const Variable& loss) {
    report.add("losses", key, loss.item(), fixture.at(key),
               nn::parity_bounds(dtype, nn::ParityKind::train).element);
  }

  /// Without DiffAugment. BigGAN's real images have the classes of the fakes.
  Conditioning::DiscriminatorConditions conditions() const {
    return {.made = condition,
            .judged_fake = condition,
            .judged_real = condition,
            .real_weights = w_real,
            .fake_weights = w_fake};
  }

  /// One D step on G in train mode; then G as it was at first and D as it is after that forward,
  /// one G step.
  void check_training() {
    GanObjective objective(*nets.g, *nets.d,
                           parse_adversarial_loss(fixture.value("loss", "hinge"), "loss"), "",
                           !by_label);
    const GanObjective::DiscriminatorResult r = objective.discriminator(z, real, conditions(), {});
    check_images("g_train", r.fake, nn::ParityKind::train);
    check_loss("d_loss", r.loss);
    r.loss.backward();
    nn::check_gradients(report, *nets.d, fixture.at("d_grads"), dtype, 0, "gradients of D");
    nn::check_buffers(report, *nets.d, fixture.at("d_buffers_after"), dtype, "buffers of D");

    nn::parity_fill_state(*nets.g);
    const Variable g_loss = objective.generator(z, condition, {});
    check_loss("g_loss", g_loss);
    g_loss.backward();
    nn::check_gradients(report, *nets.g, fixture.at("g_grads"), dtype, 0, "gradients of G");
    nn::check_buffers(report, *nets.g, fixture.at("g_buffers_after"), dtype, "buffers of G");
  }
};

bool is_gan_fixture(const json& fixture) {
  if (!fixture.contains("cases") || !fixture["cases"].is_object() || fixture["cases"].empty())
    return false;
  return fixture["cases"].begin()->contains("g_state_dict");
}

std::vector<nn::ParityReport> run_gan_fixture(const json& fixture, DType dtype, Device device) {
  std::vector<nn::ParityReport> reports;
  for (const auto& [name, c] : fixture.at("cases").items()) {
    Run one(name, c, fixture.value("salt", ""), dtype, device);
    one.check_state();
    one.check_eval();
    one.check_training();
    reports.push_back(std::move(one.report));
  }
  return reports;
}

const nn::RegisterParityFixture gan_fixture({"GAN", is_gan_fixture, run_gan_fixture});

}  // namespace
}  // namespace limbeck::gan
