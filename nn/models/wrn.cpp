// Wide ResNets, pre-activation (Zagoruyko and Komodakis 2016; RepDistiller models/wrn.py):
// wrn_16_1, 16_2, 40_1, 40_2. Depth 6n+4. Large images and regressors (64x64) have a 4x4 stem with
// stride 2 and a batch norm of its own.
#include "nn/init.h"
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// a = relu(bn1(x)); y = conv2(relu(bn2(conv1(a)))). Same width: x + y. Otherwise the shortcut
/// convolution sees a too: convShortcut(a) + y.
struct WideBlock : Module {
  BatchNorm2d bn1;
  Conv2d conv1;
  BatchNorm2d bn2;
  Conv2d conv2;
  std::unique_ptr<Conv2d> shortcut;

  WideBlock(int64_t in, int64_t out, int64_t stride)
      : bn1(in), conv1(in, out, conv3x3(stride)), bn2(out), conv2(out, out, conv3x3()) {
    add("bn1", bn1);
    add("conv1", conv1);
    add("bn2", bn2);
    add("conv2", conv2);
    if (in != out) {
      shortcut = std::make_unique<Conv2d>(in, out, conv1x1(stride));
      add("convShortcut", *shortcut);
    }
  }
  Variable forward(const Variable& x) override {
    const Variable a = bn1.relu(x);
    const Variable y = conv2(bn2.relu(conv1(a)));
    return (shortcut ? (*shortcut)(a) : x) + y;
  }
};

/// The blocks sit in a child named "layer".
struct NetworkBlock : Module {
  Stage<WideBlock> layer;
  NetworkBlock(int64_t n, int64_t in, int64_t out, int64_t stride) {
    for (int64_t i = 0; i < n; ++i) layer.emplace(i == 0 ? in : out, out, i == 0 ? stride : 1);
    add("layer", layer);
  }
  Variable forward(const Variable& x) override { return layer.forward(x); }
};

struct WideResNet : Network {
  Conv2d conv1;
  std::unique_ptr<BatchNorm2d> bn0;  // only behind the 4x4 stem
  NetworkBlock block1, block2, block3;
  BatchNorm2d bn1;
  std::unique_ptr<Module> fc;
  const bool large;

  WideResNet(int64_t depth, int64_t width, const ModelOptions& o)
      : conv1(o.channels, 16, stem_conv(halving_stem(o))),
        block1((depth - 4) / 6, 16, 16 * width, 1),
        block2((depth - 4) / 6, 16 * width, 32 * width, 2),
        block3((depth - 4) / 6, 32 * width, 64 * width, 2),
        bn1(64 * width),
        fc(make_head(64 * width, o)),
        large(large_images(o)) {
    add("conv1", conv1);
    if (halving_stem(o)) {
      bn0 = std::make_unique<BatchNorm2d>(16);
      add("bn0", *bn0);
    }
    add("block1", block1);
    add("block2", block2);
    add("block3", block3);
    add("bn1", bn1);
    add("fc", *fc);
  }

  Features forward_features(const Variable& x, bool preact) override {
    Variable h = conv1(x);
    if (bn0) h = stem_pool(bn0->relu(h), large);
    Features f{{h}, {}};
    for (NetworkBlock* b : {&block1, &block2, &block3}) f.taps.push_back(h = b->forward(h));
    f.pooled = global_avg_pool(bn1.relu(h));
    f.taps.push_back(f.pooled);
    f.output = fc->forward(f.pooled);
    if (preact) {
      // Evaluated a second time, as in the original: in training mode these batch norms' running
      // statistics move twice per step.
      f.taps[1] = block2.layer.blocks[0]->bn1(f.taps[1]);
      f.taps[2] = block3.layer.blocks[0]->bn1(f.taps[2]);
      f.taps[3] = bn1(f.taps[3]);
    }
    return f;
  }

  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    init::kaiming_normal_convolutions(*this, stream);
    visit([](const std::string&, Module& m) {
      if (auto* linear = dynamic_cast<Linear*>(&m)) init::constant(linear->bias, 0);
    });
  }
};

ModelEntry wrn_entry(int64_t depth, int64_t width) {
  return {"wrn_" + std::to_string(depth) + "_" + std::to_string(width), "wrn",
          [=](const ModelOptions& o) { return std::make_unique<WideResNet>(depth, width, o); }};
}

const RegisterModel wrn_models[] = {
    RegisterModel(wrn_entry(16, 1)), RegisterModel(wrn_entry(16, 2)),
    RegisterModel(wrn_entry(40, 1)), RegisterModel(wrn_entry(40, 2))};

}  // namespace
}  // namespace limbeck::nn
