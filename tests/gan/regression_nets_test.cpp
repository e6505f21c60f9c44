// Helper networks of the regression experiments: beside PyTorch's numbers, and with the sizes of
// the original.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "gan/response_ratio.h"
#include "gan/sparse_autoencoder.h"
#include "nn/parity.h"
#include "ops_cpu/isa.h"

namespace limbeck::gan {
namespace {

const char* const fixture = "tests/data/fixtures/gan/regression_nets.json";

void expect_ok(const std::vector<nn::ParityReport>& reports, size_t cases) {
  ASSERT_EQ(reports.size(), cases);
  for (const nn::ParityReport& report : reports) {
    std::string text;
    for (const nn::ParityLine& l : report.lines)
      if (!l.ok()) text += l.group + ": " + l.quantity + ": " + l.detail + "\n";
    EXPECT_TRUE(report.ok()) << report.name << "\n" << text;
  }
}

TEST(RegressionNetsParity, F32OnEveryInstructionSet) {
  for (Isa isa : {Isa::base, Isa::avx2, Isa::avx512}) {
    if (isa > best_isa()) continue;
    const ExecutionScope use(with(&Execution::isa, isa));
    expect_ok(nn::run_parity(fixture, DType::f32), 4);
  }
}

/// The fixture after a change, in f64 and without the embedding ResNet, which is slow on the
/// reference kernels; `limbeck parity` runs it.
std::vector<nn::ParityReport> run_small_cases(
    const std::function<void(nlohmann::json& cases)>& change) {
  nlohmann::json j = nlohmann::json::parse(read_file(fixture));
  j["cases"].erase("ResNet34_embed");
  change(j["cases"]);
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() /
      ("limbeck_regression_nets_" + std::to_string(getpid()) + ".json");
  write_file_atomically(path.string(), j.dump());
  std::vector<nn::ParityReport> reports;
  try {
    reports = nn::run_parity(path.string(), DType::f64);
  } catch (...) {
    std::filesystem::remove(path);
    throw;
  }
  std::filesystem::remove(path);
  return reports;
}

TEST(RegressionNetsParity, F64OfTheSmallCases) {
  expect_ok(run_small_cases([](nlohmann::json&) {}), 3);
}

TEST(RegressionNetsParity, NoticesAWrongNumberAndSaysWhere) {
  const auto failing = [](const std::function<void(nlohmann::json&)>& change) {
    std::string text;
    for (const nn::ParityReport& report : run_small_cases(change))
      for (const nn::ParityLine& l : report.lines)
        if (!l.ok()) text += report.name + ": " + l.group + ": " + l.quantity + "\n";
    return text;
  };
  const auto scale = [](nlohmann::json& number, double factor) {
    number = number.get<double>() * factor;
  };
  const std::string mlp = "cDR_MLP5_in48_embed16_nodropout",
                    sparse = "sparse_autoencoder_ch8_bottleneck256";
  EXPECT_EQ(failing([&](nlohmann::json& c) { scale(c[mlp]["dr_fake"][2], 1 + 1e-5); }),
            mlp + ": dr_fake: sample 2\n");
  EXPECT_EQ(failing([&](nlohmann::json& c) {
              scale(c["model_y2h"]["grads"]["main.4.weight"]["l2"], 1 + 1e-7);
            }),
            "model_y2h: gradients: main.4.weight\n");
  EXPECT_EQ(failing([&](nlohmann::json& c) { scale(c[sparse]["loss"], 1 + 1e-5); }),
            sparse + ": loss: loss\n");
  EXPECT_EQ(failing([&](nlohmann::json& c) { c[sparse]["decoder_grads"].erase("fc.0.bias"); }),
            sparse + ": decoder gradients: fc.0.bias\n" + sparse + ": decoder gradients: count\n");
  EXPECT_THROW(run_small_cases([](nlohmann::json& c) { c["model_z2h"] = c["model_y2h"]; }), Error);
}

TEST(ResponseRatio, SizesOfTheOriginal) {
  const auto embed = [](const Tensor& y) { return Tensor::zeros({y.size(0), 128}); };
  EXPECT_EQ(ResponseRatioNet(embed, 128, 12288, response_ratio_widths("MLP5")).parameter_count(),
            13416321);
  EXPECT_EQ(ResponseRatioNet(embed, 128, 12288, response_ratio_widths("MLP3")).parameter_count(),
            6523649);
  EXPECT_EQ(response_ratio_widths("MLP5", 0.25), (std::vector<int64_t>{256, 128, 64, 32, 16}));
  EXPECT_THROW(response_ratio_widths("MLP7"), Error);
}

TEST(ResponseRatio, DependsOnTheResponseThroughItsEmbeddingOnly) {
  const auto embed = [](const Tensor& y) {
    Tensor h = Tensor::zeros({y.size(0), 2});
    for (int64_t i = 0; i < y.size(0); ++i) h.data<float>()[2 * i] = static_cast<float>(y.at(i));
    return h;
  };
  ResponseRatioNet net(embed, 2, 3, {16});
  net.initialise(Stream(1));
  net.eval();
  net.start_alive();
  const Variable x(Tensor::full({1, 3}, 0.3));
  EXPECT_NE(net.ratio(x, Tensor::of<float>({0.0f})).item(),
            net.ratio(x, Tensor::of<float>({1.0f})).item());
  EXPECT_THROW(net.ratio(x, Tensor::of<int64_t>({1})), Error);
  EXPECT_THROW(net.ratio(x, Tensor::of<float>({0.1f, 0.2f})), Error);
}

TEST(SparseAutoencoder, SizesOfTheOriginal) {
  EXPECT_EQ(SparseEncoder({}).parameter_count(), 52722240);
  EXPECT_EQ(SparseDecoder({}).parameter_count(), 52230787);
  EXPECT_EQ(SparsePredictor(12288).parameter_count(), 13243905);
}

TEST(SparseAutoencoder, OtherSizesAndChannels) {
  SparseAutoencoder net({.ch = 2, .bottleneck = 10, .channels = 1, .size = 32});
  net.initialise(Stream(1));
  net.eval();
  const SparseAutoencoder::Result r = net.run(Tensor::full({2, 32, 32, 1}, 0.5));
  EXPECT_EQ(r.feature.shape(), (Shape{2, 10}));
  EXPECT_EQ(r.reconstruction.shape(), (Shape{2, 32, 32, 1}));
  EXPECT_EQ(r.prediction.shape(), (Shape{2, 1}));
  for (float v : r.feature.data().span<float>()) EXPECT_GE(v, 0);
  for (float v : r.reconstruction.data().span<float>()) EXPECT_LE(std::abs(v), 1);
  EXPECT_THROW(SparseEncoder({.size = 40}), Error);
}

TEST(SparseAutoencoder, LossIsTheFormula) {
  SparseAutoencoder::Result r;
  r.feature = Variable(Tensor::of<double>({1, 3}, {1, 2}));
  r.reconstruction = Variable(Tensor::of<double>({0.5, 0}, {1, 1, 1, 2}));
  r.prediction = Variable(Tensor::of<double>({0.25}, {1, 1}));
  const Variable images(Tensor::of<double>({1, 1}, {1, 1, 1, 2})),
      responses(Tensor::of<double>({1}, {1, 1}));
  EXPECT_NEAR(sparse_autoencoder_loss(r, images, responses, 0.1, 2).item(),
              (0.25 + 1) / 2 + 0.1 * 2 + 2 * 0.5625, 1e-14);
}

}  // namespace
}  // namespace limbeck::gan
