// Ten steps of CcGAN's training against PyTorch: GanTrainer's losses and those of
// tests/oracle/ccgan_steps.py, which knows the description and our streams, not our code.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>

#include "gan/trainer.h"
#include "gan/vicinity_conditioning.h"
#include "nn/parity.h"

namespace limbeck::gan {
namespace {

using nlohmann::json;

const json& fixture() {
  static const json content =
      json::parse(std::ifstream("tests/data/fixtures/oracle/ccgan_steps.json"));
  return content;
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  for (const auto& [name, content] : fixture().at("cases").items()) names.push_back(name);
  return names;
}

/// Bytes by the fill rule, responses with ties and gaps.
data::Dataset data_of(const json& s) {
  const int64_t n = s.at("images"), size = s.at("size");
  const Tensor u = to_channels_last(nn::parity_fill_uniform("images", {n, 3, size, size}));
  data::Dataset d;
  d.images = Tensor::empty(u.shape(), DType::u8);
  for (int64_t i = 0; i < u.numel(); ++i)
    d.images.data<uint8_t>()[i] = static_cast<uint8_t>(256 * u.data<double>()[i]);
  d.targets = Tensor::empty({n});
  for (int64_t i = 0; i < n; ++i)
    d.targets.data<float>()[i] = static_cast<float>(static_cast<double>(i * i * 7 % 23) / 22);
  return d;
}

GanSettings settings_of(const json& s, const json& c) {
  GanSettings g;
  g.arch = c.at("arch"), g.loss = c.at("loss"), g.augment = c.at("augment"), g.flip = c.at("flip");
  g.vicinity = {.type = c.at("type"), .sigma = c.at("sigma"), .kappa = c.at("kappa")};
  g.steps = s.at("steps"), g.batch = s.at("batch"), g.d_steps = s.at("d_steps");
  g.g_ch = g.d_ch = c.at("ch"), g.dim_z = s.at("dim_z");
  g.g_lr = g.d_lr = s.at("lr");
  g.beta1 = s.at("beta1"), g.beta2 = s.at("beta2"), g.adam_eps = s.at("adam_eps");
  g.ema_start = g.steps;
  g.sample_every = 0;
  return g;
}

/// What a training reports at each step.
struct Losses : nn::Monitor {
  std::vector<double> d, g;
  void progress(int64_t, int64_t, int64_t, const nn::Values& values) override {
    for (const auto& [name, value] : values) (name == "d_loss" ? d : g).push_back(value);
  }
};

/// Any function that tells responses well apart; a trained net is compared elsewhere.
EmbeddedResponses embedding(int64_t size) {
  return {[size](const Tensor& y) {
            const Tensor h = Tensor::empty({y.numel(), size});
            for (int64_t i = 0; i < h.numel(); ++i) {
              const double wave = std::cos(y.at(i / size) * static_cast<double>(i % size + 1) *
                                           std::numbers::pi / 4);
              h.data<float>()[i] = static_cast<float>(wave * wave);
            }
            return h;
          },
          size};
}

Losses train(const json& s, const json& c) {
  const GanSettings settings = settings_of(s, c);
  Losses losses;
  GanTrainer trainer(condition_on_responses(data_of(s), settings, embedding(s.at("embedding"))),
                     settings, Stream(s.at("seed").get<uint64_t>()), losses);
  nn::parity_fill_state(trainer.generator());
  nn::parity_fill_state(trainer.discriminator());
  trainer.run();
  return losses;
}

/// f32 beside f64: after some steps an activation near 0 has another sign, which moves weights.
double tolerance_of(size_t step) { return step < 5 ? 2e-5 : 1e-3; }

void expect_near(const std::vector<double>& found, const json& expected, const char* what) {
  const std::vector<double> wanted = expected;
  ASSERT_EQ(found.size(), wanted.size()) << what;
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(found[i], wanted[i], tolerance_of(i) * (1 + std::abs(wanted[i])))
        << what << " of step " << i;
  const auto [low, high] = std::minmax_element(wanted.begin(), wanted.end());
  EXPECT_GT(*high - *low, 0.01) << what << ": nothing was learnt that could differ";
}

class CcganSteps : public testing::TestWithParam<std::string> {};
TEST_P(CcganSteps, LossesAreThoseOfPyTorch) {
  const json& c = fixture().at("cases").at(GetParam());
  const Losses losses = train(fixture().at("settings"), c);
  expect_near(losses.d, c.at("d_loss"), "d_loss");
  expect_near(losses.g, c.at("g_loss"), "g_loss");
}
INSTANTIATE_TEST_SUITE_P(Cases, CcganSteps, testing::ValuesIn(case_names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), ' ', '_');
  return name;
});

}  // namespace
}  // namespace limbeck::gan
