// The fixture runner of the regression experiments' helper networks. A file holds cases, whose
// names say what they are and how large: ResNet34_embed, model_y2h,
// cDR_MLP5_in48_embed16_nodropout, sparse_autoencoder_ch8_bottleneck256. All run in train mode.
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "gan/response_ratio.h"
#include "gan/sparse_autoencoder.h"
#include "nn/models/label_embedding.h"
#include "nn/parity_fixture.h"

namespace limbeck::gan {
namespace {

using nlohmann::json;
using nn::ParityKind, nn::ParityReport;

/// The numbers in a case's name.
using Numbers = std::array<long long, 3>;

/// One case being run.
struct Case {
  const json& fixture;
  const std::string salt;
  const DType dtype;
  const Device device;
  ParityReport report;

  nn::ParityBounds bounds() const { return nn::parity_bounds(dtype, ParityKind::train); }
  Tensor images(int64_t batch, int64_t channels, int64_t size) const {
    return to_channels_last(nn::parity_fill(salt + "input", {batch, channels, size, size}))
        .to(dtype)
        .to(device);
  }
  Tensor responses(const Shape& shape) const {
    return nn::parity_fill_uniform(salt + "labels", shape).to(dtype).to(device);
  }
  /// |s|.
  Tensor magnitudes(const std::string& name, const Shape& shape) const {
    const Tensor t = nn::parity_fill(salt + name, shape);
    for (double& v : t.span<double>()) v = std::abs(v);
    return t.to(dtype).to(device);
  }

  /// Type, values, keys and shapes; gradients on, train mode.
  void prepare(nn::Module& module) {
    module.to(dtype);
    nn::parity_fill_state(module);
    module.to(device);
    module.train();
  }
  void check_state(const nn::Module& module) {
    nn::check_state_dict(report, module, fixture.at("state_dict"));
    if (fixture.contains("params")) nn::check_parameter_count(report, module, fixture.at("params"));
  }
  void check_summary(const char* key, const Tensor& found) {
    report.add("outputs", key,
               found.rank() == 4 ? nn::summarise_memory(found) : nn::summarise(found),
               nn::read_summary(fixture.at(key)), bounds());
  }
  void check_list(const char* key, const Variable& found) {
    nn::check_outputs(report, key, found.data(), fixture.at(key), bounds());
  }
  void check_loss(const char* key, const Variable& loss) {
    report.add("loss", key, loss.item(), fixture.at(key), bounds().element);
  }
};

int64_t size_of(const json& fixture, const char* key, size_t i) {
  return fixture.at("state_dict").at(key).at(i);
}

void run_embedding(Case& c, const Numbers&) {
  const int64_t batch = static_cast<int64_t>(c.fixture.at("out").size()),
                channels = size_of(c.fixture, "main.0.weight", 1);
  const int64_t size = c.fixture.contains("input") ? c.fixture["input"].at(2).get<int64_t>() : 64;
  const auto net = nn::create_embedding_network(
      c.report.name,
      {.outputs = 1, .channels = channels, .size = size, .task = nn::Task::regression});
  c.prepare(*net);
  c.check_state(*net);
  const nn::Features f = net->forward_features(c.images(batch, channels, size));
  c.check_list("out", f.output);
  c.check_summary("features", f.taps.back().data());
  const Variable loss = mse_loss(f.output, c.responses({batch, 1}));
  c.check_loss("mse", loss);
  loss.backward();
  nn::check_gradients(c.report, *net, c.fixture.at("grads"), c.dtype);
}

void run_label_to_embedding(Case& c, const Numbers&) {
  const int64_t dim = size_of(c.fixture, "main.0.weight", 0), count = c.fixture.at("out").at("n");
  nn::LabelToEmbedding net(dim);
  c.prepare(net);
  c.check_state(net);
  const Variable h = net(c.responses({count / dim}));
  c.check_summary("out", h.data());
  const Variable loss = mean(square(h));
  c.check_loss("loss_mean_square", loss);
  loss.backward();
  nn::check_gradients(c.report, net, c.fixture.at("grads"), c.dtype);
}

void run_ratio(Case& c, const Numbers& name) {
  const int64_t feature = name[1], embedding = name[2],
                batch = static_cast<int64_t>(c.fixture.at("dr_real").size());
  const Tensor h = c.magnitudes("label_embedding", {batch, embedding}),
               y = Tensor::zeros({batch}, c.dtype, c.device);
  ResponseRatioNet net([h](const Tensor&) { return h; }, embedding, feature,
                       response_ratio_widths(cat("MLP", name[0])), 0);
  c.prepare(net);
  c.check_state(net);
  const Variable real = net.ratio(c.magnitudes("feat_real", {batch, feature}), y),
                 fake = net.ratio(c.magnitudes("feat_fake", {batch, feature}), y);
  c.check_list("dr_real", real);
  c.check_list("dr_fake", fake);
  const Variable loss = ratio_loss(real, fake, 0.01);
  c.check_loss("loss_lambda0.01", loss);
  loss.backward();
  nn::check_gradients(c.report, net, c.fixture.at("grads"), c.dtype);
}

void run_autoencoder(Case& c, const Numbers& name) {
  const int64_t batch = static_cast<int64_t>(c.fixture.at("prediction").size()),
                channels = size_of(c.fixture, "encoder.conv.0.weight", 1);
  const int64_t ch = name[0], flat = size_of(c.fixture, "encoder.fc.0.weight", 1);
  const int64_t size =
      16 * std::llround(std::sqrt(static_cast<double>(flat) / static_cast<double>(4 * ch)));
  SparseAutoencoder net({.ch = ch, .bottleneck = name[1], .channels = channels, .size = size});
  for (nn::Module* part :
       {static_cast<nn::Module*>(&net.encoder), static_cast<nn::Module*>(&net.decoder),
        static_cast<nn::Module*>(&net.predict)})
    c.prepare(*part);  // each by its own keys
  c.check_state(net);
  const Tensor x = c.images(batch, channels, size);
  const SparseAutoencoder::Result r = net.run(x);
  c.check_summary("features", r.feature.data());
  c.check_summary("reconstruction", r.reconstruction.data());
  c.check_list("prediction", r.prediction);
  const Variable loss = sparse_autoencoder_loss(r, x, c.responses({batch, 1}));
  c.check_loss("loss", loss);
  loss.backward();
  nn::check_gradients(c.report, net.encoder, c.fixture.at("encoder_grads"), c.dtype, 0,
                      "encoder gradients");
  nn::check_gradients(c.report, net.decoder, c.fixture.at("decoder_grads"), c.dtype, 0,
                      "decoder gradients");
  nn::check_gradients(c.report, net.predict, c.fixture.at("predict_grads"), c.dtype, 0,
                      "predictor gradients");
}

/// A name is matched by sscanf: its numbers, and %n behind the last character.
struct Runner {
  const char* name;
  int numbers;
  void (*run)(Case&, const Numbers&);
};
constexpr Runner runners[] = {{"ResNet%lld_embed%n", 1, run_embedding},
                              {"model_y2h%n", 0, run_label_to_embedding},
                              {"cDR_MLP%lld_in%lld_embed%lld_nodropout%n", 3, run_ratio},
                              {"sparse_autoencoder_ch%lld_bottleneck%lld%n", 2, run_autoencoder}};

const Runner* find(const std::string& name, Numbers& numbers) {
  for (const Runner& r : runners) {
    int end = -1;
    long long* const v = numbers.data();
    const int found = r.numbers == 0   ? std::sscanf(name.c_str(), r.name, &end)
                      : r.numbers == 1 ? std::sscanf(name.c_str(), r.name, v, &end)
                      : r.numbers == 2 ? std::sscanf(name.c_str(), r.name, v, v + 1, &end)
                                       : std::sscanf(name.c_str(), r.name, v, v + 1, v + 2, &end);
    if (found == r.numbers && end == static_cast<int>(name.size())) return &r;
  }
  return nullptr;
}

bool is_regression_fixture(const json& fixture) {
  if (!fixture.contains("cases") || !fixture["cases"].is_object()) return false;
  Numbers numbers{};
  for (const auto& [name, unused] : fixture["cases"].items())
    if (find(name, numbers)) return true;
  return false;
}

std::vector<ParityReport> run_regression_fixture(const json& fixture, DType dtype, Device device) {
  std::vector<ParityReport> reports;
  for (const auto& [name, content] : fixture.at("cases").items()) {
    Numbers numbers{};
    const Runner* runner = find(name, numbers);
    LIMBECK_CHECK(runner, "unknown case '", name, "'");
    Case c{content, fixture.value("salt", ""), dtype, device, {}};
    c.report.name = name;
    runner->run(c, numbers);
    reports.push_back(std::move(c.report));
  }
  return reports;
}

const nn::RegisterParityFixture regression_fixture({"regression networks", is_regression_fixture,
                                                    run_regression_fixture});

}  // namespace
}  // namespace limbeck::gan
