// Post-activation CIFAR ResNets (He et al. 2016, section 4.2; RepDistiller models/resnet.py):
// resnet8 ... resnet110, 8x4, 32x4. Depth 6n+2: stem, three stages of n basic blocks with strides
// 1, 2, 2, global average pool, fc. Regressors (64x64, cGAN-KD SteeringAngle/models/resnet.py)
// halve the image in the first stage too.
#include "nn/init.h"
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)).
struct BasicBlock : Module {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  std::unique_ptr<Projection> downsample;

  BasicBlock(int64_t in, int64_t out, int64_t stride)
      : conv1(in, out, conv3x3(stride)), bn1(out), conv2(out, out, conv3x3()), bn2(out) {
    add("conv1", conv1);
    add("bn1", bn1);
    add("conv2", conv2);
    add("bn2", bn2);
    if (stride != 1 || in != out) {
      downsample = std::make_unique<Projection>(in, out, stride);
      add("downsample", *downsample);
    }
  }
  Variable forward(const Variable& x) override { return run(x, true); }
  /// With relu = false: the sum before the closing activation.
  Variable run(const Variable& x, bool relu) {
    const Variable residual = downsample ? downsample->forward(x) : x;
    return bn2.apply(conv2(bn1.relu(conv1(x))), relu, residual);
  }
};

struct ResNet : Network {
  Conv2d conv1;
  BatchNorm2d bn1;
  Stage<BasicBlock> layer1, layer2, layer3;
  std::unique_ptr<Module> fc;
  const bool large;

  ResNet(int64_t n, const std::array<int64_t, 4>& widths, const ModelOptions& o)
      : conv1(o.channels, widths[0], stem_conv(large_images(o))),
        bn1(widths[0]),
        fc(make_head(widths[3], o)),
        large(large_images(o)) {
    add("conv1", conv1);
    add("bn1", bn1);
    Stage<BasicBlock>* stages[] = {&layer1, &layer2, &layer3};
    for (int64_t s = 0; s < 3; ++s) {
      for (int64_t i = 0; i < n; ++i)
        stages[s]->emplace(i == 0 ? widths[s] : widths[s + 1], widths[s + 1],
                           i == 0 && (s > 0 || is_regression(o)) ? 2 : 1);
      add("layer" + std::to_string(s + 1), *stages[s]);
    }
    add("fc", *fc);
  }

  Features forward_features(const Variable& x, bool preact) override {
    Variable h = stem_pool(bn1.relu(conv1(x)), large);
    Features f{{h}, {}};
    for (Stage<BasicBlock>* stage : {&layer1, &layer2, &layer3}) {
      for (BasicBlock* block : stage->blocks) {
        const bool split = preact && block == stage->blocks.back();
        h = block->run(h, !split);
        if (block == stage->blocks.back()) f.taps.push_back(h);
        if (split) h = limbeck::relu(h);
      }
    }
    f.pooled = global_avg_pool(h);
    f.taps.push_back(f.pooled);
    f.output = fc->forward(f.pooled);
    return f;
  }

  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    init::kaiming_normal_convolutions(*this, stream);
  }
};

ModelEntry resnet_entry(std::string name, int64_t n, std::array<int64_t, 4> widths) {
  return {std::move(name), "resnet",
          [=](const ModelOptions& o) { return std::make_unique<ResNet>(n, widths, o); }};
}
constexpr std::array<int64_t, 4> thin{16, 16, 32, 64}, wide{32, 64, 128, 256};

const RegisterModel resnet_models[] = {
    RegisterModel(resnet_entry("resnet8", 1, thin)),
    RegisterModel(resnet_entry("resnet14", 2, thin)),
    RegisterModel(resnet_entry("resnet20", 3, thin)),
    RegisterModel(resnet_entry("resnet32", 5, thin)),
    RegisterModel(resnet_entry("resnet44", 7, thin)),
    RegisterModel(resnet_entry("resnet56", 9, thin)),
    RegisterModel(resnet_entry("resnet110", 18, thin)),
    RegisterModel(resnet_entry("resnet8x4", 1, wide)),
    RegisterModel(resnet_entry("resnet32x4", 5, wide)),
};

}  // namespace
}  // namespace limbeck::nn
