// Networks on the device cuda beside the CPU, whose parity with PyTorch tests/nn and tests/gan
// show: outputs, taps, gradients and buffers of a training step, in f64 to its rounding and in f32
// (the tuned kernels) within what rounding may do; weights from and to files.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <ostream>

#include "autograd/functions.h"
#include "gan/density_ratio.h"
#include "gan/losses.h"
#include "gan/network.h"
#include "gan/response_ratio.h"
#include "gan/sparse_autoencoder.h"
#include "nn/models/registry.h"
#include "tensor/safetensors.h"
#include "tests/ops_cuda/pass.h"

namespace limbeck {
namespace {

constexpr Device cuda{DeviceKind::cuda, 0};

void prepare(nn::Module& m, uint64_t seed, DType dtype, Device device) {
  m.initialise(Stream(seed).fork("init"));
  m.to(dtype);
  m.to(device);
}

Pass classifier(const std::string& name, DType dtype, Device device) {
  const auto network = nn::create_model(name, {.outputs = 5, .size = 8});
  prepare(*network, 3, dtype, device);
  const Variable x(draw({4, 8, 8, 3}, 1, dtype, device));
  const Tensor labels = Tensor::of<int64_t>({1, 4, 0, 1}).to(device);
  Pass pass;
  network->eval();
  {
    const NoGrad no_grad;
    const nn::Features f = network->forward_features(x, true);
    pass.add("output in eval mode", f.output.data());
    for (size_t i = 0; i < f.taps.size(); ++i) pass.add(cat("tap ", i), f.taps[i].data());
  }
  network->train();
  const Variable loss = cross_entropy(network->forward(x), labels);
  loss.backward();
  pass.add("loss", loss.data());
  pass.add("", *network);
  return pass;
}

/// Both networks in one step; the generator's gradient flows through the discriminator.
Pass gan_pair(const gan::NetworkConfig& config, DType dtype, Device device) {
  const auto g = gan::create_generator(config);
  const auto d = gan::create_discriminator(config);
  prepare(*g, 5, dtype, device);
  prepare(*d, 6, dtype, device);
  const Tensor y = Tensor::of<int64_t>({2, 0}).to(device);
  const Variable images = g->forward(Variable(draw({2, config.dim_z}, 7, dtype, device)), y);
  const Variable real(draw(images.shape(), 8, dtype, device));
  const Variable fake_score = d->forward(images, y);
  const Variable loss =
      gan::discriminator_loss(gan::AdversarialLoss::hinge, d->forward(real, y), fake_score) +
      gan::generator_loss(gan::AdversarialLoss::hinge, fake_score);
  loss.backward();
  Pass pass;
  pass.add("images", images.data());
  pass.add("loss", loss.data());
  pass.add("G.", *g);
  pass.add("D.", *d);
  return pass;
}

Pass sparse_autoencoder(DType dtype, Device device) {
  gan::SparseAutoencoder net({.ch = 2, .bottleneck = 12, .channels = 3, .size = 16});
  prepare(net, 9, dtype, device);
  const Variable x(draw({3, 16, 16, 3}, 1, dtype, device));
  const gan::SparseAutoencoder::Result r = net.run(x);
  const Variable loss =
      gan::sparse_autoencoder_loss(r, x, Variable(draw({3, 1}, 2, dtype, device, 0, 1)));
  loss.backward();
  Pass pass;
  pass.add("feature", r.feature.data());
  pass.add("reconstruction", r.reconstruction.data());
  pass.add("prediction", r.prediction.data());
  pass.add("loss", loss.data());
  pass.add("", net);
  return pass;
}

/// One step of a density-ratio net on real and generated features.
Pass ratio_step(gan::RatioNet& net, const Tensor& y, DType dtype, Device device) {
  prepare(net, 10, dtype, device);
  net.start_alive();
  const Tensor conditions = y.to(device);
  const Variable real = net.ratio(Variable(draw({4, 6}, 1, dtype, device)), conditions),
                 fake = net.ratio(Variable(draw({4, 6}, 2, dtype, device)), conditions);
  const Variable loss = gan::ratio_loss(real, fake, 0.5);
  loss.backward();
  Pass pass;
  pass.add("ratios of real images", real.data());
  pass.add("loss", loss.data());
  pass.add("", net);
  return pass;
}
Pass class_ratio(DType dtype, Device device) {
  gan::ClassRatioNet net(3, 4, 6, {16, 8}, 0);
  return ratio_step(net, Tensor::of<int64_t>({2, 0, 1, 1}), dtype, device);
}
Pass response_ratio(DType dtype, Device device) {
  const auto embed = [&](const Tensor& y) {
    const Tensor wide = Tensor::empty({y.size(0), 3});
    for (int64_t i = 0; i < wide.numel(); ++i)
      wide.data<float>()[i] = static_cast<float>(y.at(i / 3) * static_cast<double>(1 + i % 3));
    return wide.to(dtype).to(device);
  };
  gan::ResponseRatioNet net(embed, 3, 6, {16}, 0);
  return ratio_step(net, Tensor::of<float>({0.1f, 0.9f, 0.4f, 0.6f}), dtype, device);
}

struct Subject {
  std::string name;
  std::function<Pass(DType, Device)> run;
  bool well_conditioned =
      /// false: batch statistics over four pixels amplify rounding without bound, so f32 says
      /// nothing of gradients
      true;
};
void PrintTo(const Subject& s, std::ostream* out) { *out << s.name; }
std::vector<Subject> subjects() {
  std::vector<Subject> list;
  for (const std::string name : {"resnet8", "wrn_16_1", "MobileNetV2", "ShuffleV2"})
    list.push_back({name, [name](DType t, Device d) { return classifier(name, t, d); },
                    name == "resnet8" || name == "wrn_16_1"});
  const gan::NetworkConfig plain{.ch = 2, .dim_z = 6, .classes = 3, .attention = {16}};
  const gan::NetworkConfig shared{
      .ch = 2, .dim_z = 8, .classes = 3, .shared_dim = 4, .hierarchical = true};
  const gan::NetworkConfig deep{.arch = "biggan-deep",
                                .ch = 2,
                                .dim_z = 5,
                                .classes = 3,
                                .resolution = 64,
                                .channels = 1,
                                .shared_dim = 4,
                                .hierarchical = true};
  list.push_back({"BigGanWithAttention", [=](DType t, Device d) { return gan_pair(plain, t, d); }});
  list.push_back({"BigGanHierarchical", [=](DType t, Device d) { return gan_pair(shared, t, d); }});
  list.push_back({"BigGanDeep", [=](DType t, Device d) { return gan_pair(deep, t, d); }});
  list.push_back({"SparseAutoencoder", sparse_autoencoder});
  list.push_back({"ClassRatio", class_ratio});
  list.push_back({"ResponseRatio", response_ratio});
  return list;
}

class CudaNetworks : public testing::TestWithParam<Subject> {};

TEST_P(CudaNetworks, AreThoseOfTheCpuInF64) {
  expect_close(GetParam().run(DType::f64, cuda), GetParam().run(DType::f64, cpu), 1e-8);
}

// Beside the CPU's f64: a switched ReLU moves single gradients, so these are compared as a whole
// (nn/parity.h has the reasons for 5e-2).
TEST_P(CudaNetworks, AreThoseOfTheCpuInF32) {
  const Pass found = GetParam().run(DType::f32, cuda), expected = GetParam().run(DType::f64, cpu);
  ASSERT_EQ(found.values.size(), expected.values.size());
  double error = 0, norm = 0;
  for (size_t i = 0; i < found.values.size(); ++i) {
    const auto& [name, b] = expected.values[i];
    const bool gradient = name.starts_with("gradient");
    double own_error = 0, own_norm = 0;
    for (int64_t j = 0; j < b.numel(); ++j) {
      const double a = found.values[i].second.data<double>()[j], e = b.data<double>()[j];
      own_error += (a - e) * (a - e), own_norm += e * e;
    }
    if (gradient) {
      error += own_error, norm += own_norm;
    } else {
      EXPECT_LE(std::sqrt(own_error), 1e-3 * std::max(std::sqrt(own_norm), 1e-3)) << name;
    }
  }
  EXPECT_GT(norm, 0);
  if (GetParam().well_conditioned) {
    EXPECT_LE(std::sqrt(error), 5e-2 * std::sqrt(norm)) << "all gradients together";
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaNetworks, testing::ValuesIn(subjects()),
                         [](const auto& info) { return info.param.name; });

TEST(CudaCheckpoint, WeightsTravelThroughFilesInBothDirections) {
  const std::string path = (std::filesystem::temp_directory_path() /
                            cat("limbeck_cuda_weights_", ::getpid(), ".safetensors"))
                               .string();
  const auto there = nn::create_model("resnet8", {.outputs = 5, .size = 8});
  prepare(*there, 4, DType::f32, cuda);
  const auto output = [](nn::Network& n) {
    const NoGrad no_grad;
    n.eval();
    return n.forward(Variable(draw({2, 8, 8, 3}, 1, DType::f32, n.device()))).data().to(cpu);
  };
  write_safetensors(path, there->state_dict());
  const TensorFile file = read_safetensors(path);
  std::filesystem::remove(path);
  for (const Device device : {cpu, cuda}) {
    const auto loaded = nn::create_model("resnet8", {.outputs = 5, .size = 8});
    loaded->to(device);
    loaded->load_state_dict(file, path);
    EXPECT_EQ(loaded->device(), device);
    const TensorFile again = loaded->state_dict();
    ASSERT_EQ(again.tensors.size(), file.tensors.size());
    for (size_t i = 0; i < file.tensors.size(); ++i) {
      const auto& [name, a] = file.tensors[i];
      const Tensor b = again.get(name);
      ASSERT_EQ(a.bytes(), b.bytes()) << name;
      EXPECT_EQ(std::memcmp(a.raw(), b.raw(), size_t(a.bytes())), 0) << name;
    }
    const Tensor x = output(*loaded), y = output(*there);
    for (int64_t i = 0; i < x.numel(); ++i)
      EXPECT_NEAR(x.at(i), y.at(i), device == cuda ? 0 : 1e-4 * (1 + std::abs(y.at(i))));
  }
}

}  // namespace
}  // namespace limbeck
