// DenseNet-BC (Huang et al. 2017; RepDistiller models/densenet.py): densenet121, 169, 201 (growth
// 32), 161 (growth 48), reduction 0.5. Regressors (cGAN-KD SteeringAngle/models/densenet.py) have
// the large images' stem without its pool. New features are concatenated in FRONT of the old ones.
// PyTorch's default initialisation. The original returns no taps.
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// concat[conv2(relu(bn2(conv1(relu(bn1(x)))))), x].
struct DenseLayer : Module {
  BatchNorm2d bn1;
  Conv2d conv1;
  BatchNorm2d bn2;
  Conv2d conv2;
  DenseLayer(int64_t in, int64_t growth)
      : bn1(in),
        conv1(in, 4 * growth, conv1x1()),
        bn2(4 * growth),
        conv2(4 * growth, growth, conv3x3()) {
    add("bn1", bn1);
    add("conv1", conv1);
    add("bn2", bn2);
    add("conv2", conv2);
  }
  Variable forward(const Variable& x) override {
    return concat({conv2(bn2.relu(conv1(bn1.relu(x)))), x}, -1);
  }
};

/// Halves channels, height and width.
struct Transition : Module {
  BatchNorm2d bn;
  Conv2d conv;
  Transition(int64_t in, int64_t out) : bn(in), conv(in, out, conv1x1()) {
    add("bn", bn);
    add("conv", conv);
  }
  Variable forward(const Variable& x) override { return avg_pool2d(conv(bn.relu(x))); }
};

/// Convolution "0" with stride 2, batch norm "1", ReLU; at 128x128 a max pool behind them.
struct HalvingStem : Module {
  Conv2d conv;
  BatchNorm2d bn;
  const bool pool;
  HalvingStem(const ModelOptions& o, int64_t out)
      : conv(o.channels, out, stem_conv(true)), bn(out), pool(large_images(o)) {
    add("0", conv);
    add("1", bn);
  }
  Variable forward(const Variable& x) override { return stem_pool(bn.relu(conv(x)), pool); }
};

struct DenseNet : Network {
  std::unique_ptr<Module> conv1;
  Stage<DenseLayer> dense[4];
  std::unique_ptr<Transition> transitions[3];
  std::unique_ptr<BatchNorm2d> bn;
  std::unique_ptr<Module> linear;

  DenseNet(const std::array<int64_t, 4>& counts, int64_t growth, const ModelOptions& o) {
    int64_t channels = 2 * growth;
    if (halving_stem(o))
      conv1 = std::make_unique<HalvingStem>(o, channels);
    else
      conv1 = std::make_unique<Conv2d>(o.channels, channels, conv3x3());
    add("conv1", *conv1);
    for (int64_t s = 0; s < 4; ++s) {
      for (int64_t i = 0; i < counts[s]; ++i, channels += growth)
        dense[s].emplace(channels, growth);
      add("dense" + std::to_string(s + 1), dense[s]);
      if (s == 3) break;
      transitions[s] = std::make_unique<Transition>(channels, channels / 2);
      add("trans" + std::to_string(s + 1), *transitions[s]);
      channels /= 2;
    }
    bn = std::make_unique<BatchNorm2d>(channels);
    linear = make_head(channels, o);
    add("bn", *bn);
    add("linear", *linear);
  }

  Features forward_features(const Variable& x, bool) override {
    Variable h = conv1->forward(x);
    for (int s = 0; s < 4; ++s) {
      h = dense[s](h);
      if (s < 3) h = transitions[s]->forward(h);
    }
    const Variable pooled = global_avg_pool(bn->relu(h));
    return {{}, linear->forward(pooled), pooled};
  }
};

ModelEntry densenet_entry(std::string name, std::array<int64_t, 4> counts, int64_t growth) {
  return {std::move(name), "densenet",
          [=](const ModelOptions& o) { return std::make_unique<DenseNet>(counts, growth, o); }};
}

const RegisterModel densenet_models[] = {
    RegisterModel(densenet_entry("densenet121", {6, 12, 24, 16}, 32)),
    RegisterModel(densenet_entry("densenet169", {6, 12, 32, 32}, 32)),
    RegisterModel(densenet_entry("densenet201", {6, 12, 48, 32}, 32)),
    RegisterModel(densenet_entry("densenet161", {6, 12, 36, 24}, 48))};

}  // namespace
}  // namespace limbeck::nn
