// MobileNetV2 of half width (Sandler et al. 2018; RepDistiller models/mobilenetv2.py, mobile_half): expansion 6, plain ReLU, no dropout.
#include <cmath>

#include "nn/init.h"
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// 1x1 expand - BN - ReLU - depthwise 3x3 - BN - ReLU - 1x1 project - BN; keys conv.0, 1, 3, 4, 6, 7 (2 and 5 are the ReLUs).
/// The 1x1 expansion is there for expansion 1 too.
struct InvertedResidual : Module {
  struct Body : Module {
    Conv2d expand;
    BatchNorm2d bn1;
    Conv2d spatial;
    BatchNorm2d bn4;
    Conv2d project;
    BatchNorm2d bn7;
    Body(int64_t in, int64_t mid, int64_t out, int64_t stride)
        : expand(in, mid, conv1x1()), bn1(mid), spatial(mid, mid, depthwise(mid, stride)), bn4(mid), project(mid, out, conv1x1()), bn7(out) {
      add("0", expand);
      add("1", bn1);
      add("3", spatial);
      add("4", bn4);
      add("6", project);
      add("7", bn7);
    }
  };
  Body conv;
  const bool skip;

  InvertedResidual(int64_t in, int64_t out, int64_t stride, int64_t expansion)
      : conv(in, in * expansion, out, stride), skip(stride == 1 && in == out) {
    add("conv", conv);
  }
  Variable forward(const Variable& x) override {
    const Variable h = conv.project(conv.bn4.relu(conv.spatial(conv.bn1.relu(conv.expand(x)))));
    return conv.bn7.apply(h, false, skip ? x : Variable());  // linear bottleneck; the skip rides in the batch norm
  }
};

/// Convolution "0" and batch norm "1" with ReLU.
struct ConvNorm : Module {
  Conv2d conv;
  BatchNorm2d bn;
  ConvNorm(int64_t in, int64_t out, const Conv2dConfig& config) : conv(in, out, config), bn(out) {
    add("0", conv);
    add("1", bn);
  }
  Variable forward(const Variable& x) override { return bn.relu(conv(x)); }
};

struct MobileNetV2 : Network {
  ConvNorm conv1;
  Stage<Stage<InvertedResidual>> blocks;
  ConvNorm conv2;
  Sequential classifier;

  explicit MobileNetV2(const ModelOptions& o) : conv1(o.channels, 16, conv3x3(2)), conv2(160, 1280, conv1x1()) {
    struct Row {
      int64_t expansion, out, repeats, stride;
    };
    // At 128x128 the second row has stride 2.
    const Row rows[] = {{1, 8, 1, 1}, {6, 12, 2, large_images(o) ? 2 : 1}, {6, 16, 3, 2}, {6, 32, 4, 2}, {6, 48, 3, 1}, {6, 80, 3, 2}, {6, 160, 1, 1}};
    int64_t in = 16;
    for (const Row& row : rows) {
      auto& stage = blocks.emplace();
      for (int64_t i = 0; i < row.repeats; ++i, in = row.out) stage.emplace(in, row.out, i == 0 ? row.stride : 1, row.expansion);
    }
    classifier.emplace<Linear>(1280, o.outputs);
    add("conv1", conv1);
    add("blocks", blocks);
    add("conv2", conv2);
    add("classifier", classifier);
  }

  /// The original ignores its preact flag.
  Features forward_features(const Variable& x, bool) override {
    Variable h = conv1(x);
    Features f{{h}, {}};
    for (size_t i = 0; i < blocks.blocks.size(); ++i) {
      h = blocks.blocks[i]->forward(h);
      if (i == 1 || i == 2 || i == 4 || i == 6) f.taps.push_back(h);
    }
    f.taps.push_back(global_avg_pool(conv2(h)));
    f.output = classifier(f.taps.back());
    return f;
  }

  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    init::kaiming_normal_convolutions(*this, stream);  // also depthwise: the fan-out ignores the groups
    visit([&](const std::string& name, Module& m) {
      if (auto* linear = dynamic_cast<Linear*>(&m)) {
        init::normal(linear->weight, 0, 0.01, stream.fork(name + ".weight"));
        init::constant(linear->bias, 0);
      }
    });
  }
};

const RegisterModel registered({"MobileNetV2", "mobilenetv2", [](const ModelOptions& o) { return std::make_unique<MobileNetV2>(o); }});

}  // namespace
}  // namespace limbeck::nn
