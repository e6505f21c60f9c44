// MobileNetV2 (Sandler et al. 2018). Classifiers: half width, expansion 6, plain ReLU, no dropout
// (RepDistiller models/mobilenetv2.py, mobile_half). Regressors: full width, ReLU6 and
// torchvision's layout (cGAN-KD SteeringAngle/models/mobilenet.py). The two have other keys, and
// only the classifier keeps the 1x1 expansion where the expansion is 1.
#include <cmath>

#include "nn/init.h"
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// Convolution and batch norm (keys `first` and the next number) with ReLU or ReLU6.
struct ConvNorm : Module {
  Conv2d conv;
  BatchNorm2d bn;
  const bool six;
  ConvNorm(int64_t in, int64_t out, const Conv2dConfig& config, bool relu6, int first = 0)
      : conv(in, out, config), bn(out), six(relu6) {
    add(std::to_string(first), conv);
    add(std::to_string(first + 1), bn);
  }
  Variable forward(const Variable& x) override {
    return six ? clamp(bn(conv(x)), 0, 6) : bn.relu(conv(x));
  }
};

/// 1x1 expand - BN - ReLU - depthwise 3x3 - BN - ReLU - 1x1 project - BN. Keys below "conv": 0, 1,
/// 3, 4, 6, 7 (2 and 5 are the ReLUs); torchvision's: 0.0, 0.1, 1.0, 1.1, 2, 3, or 0.0, 0.1, 1, 2
/// without the expansion.
struct InvertedResidual : Module {
  struct Body : Module {
    std::unique_ptr<ConvNorm> expand;
    ConvNorm spatial;
    Conv2d project;
    BatchNorm2d bn;
    Body(int64_t in, int64_t mid, int64_t out, int64_t stride, bool torchvision)
        : spatial(mid, mid, depthwise(mid, stride), torchvision, torchvision ? 0 : 3),
          project(mid, out, conv1x1()),
          bn(out) {
      int index = 0;
      if (!torchvision || mid != in) {
        expand = std::make_unique<ConvNorm>(in, mid, conv1x1(), torchvision);
        add(torchvision ? std::to_string(index++) : "", *expand);
      }
      add(torchvision ? std::to_string(index++) : "", spatial);
      if (!torchvision) index = 6;
      add(std::to_string(index), project);
      add(std::to_string(index + 1), bn);
    }
  };
  Body conv;
  const bool skip;

  InvertedResidual(int64_t in, int64_t out, int64_t stride, int64_t expansion, bool torchvision)
      : conv(in, in * expansion, out, stride, torchvision), skip(stride == 1 && in == out) {
    add("conv", conv);
  }
  Variable forward(const Variable& x) override {
    const Variable h = conv.project(conv.spatial(conv.expand ? conv.expand->forward(x) : x));
    return conv.bn.apply(
        h, false, skip ? x : Variable());  // linear bottleneck; the skip rides in the batch norm
  }
};

struct MobileNetV2 : Network {
  const bool torchvision;
  ConvNorm first;
  std::vector<std::vector<InvertedResidual*>> stages;
  ConvNorm last;
  std::unique_ptr<Module> classifier;

  explicit MobileNetV2(const ModelOptions& o)
      : torchvision(is_regression(o)),
        first(o.channels, torchvision ? 32 : 16, conv3x3(2), torchvision),
        last(torchvision ? 320 : 160, 1280, conv1x1(), torchvision) {
    struct Row {
      int64_t expansion, out, repeats, stride;  // of the full width
    };
    // The second row's stride: 1 only for classifiers of small images.
    const Row rows[] = {{1, 16, 1, 1}, {6, 24, 2, halving_stem(o) ? 2 : 1},
                        {6, 32, 3, 2}, {6, 64, 4, 2},
                        {6, 96, 3, 1}, {6, 160, 3, 2},
                        {6, 320, 1, 1}};
    const int64_t divisor = torchvision ? 1 : 2;
    int64_t in = 32 / divisor, index = 0;
    add(torchvision ? "features.0" : "conv1", first);
    for (const Row& row : rows) {
      auto& stage = stages.emplace_back();
      for (int64_t i = 0; i < row.repeats; ++i, in = row.out / divisor) {
        const std::string name =
            torchvision ? cat("features.", ++index) : cat("blocks.", stages.size() - 1, ".", i);
        stage.push_back(&own(
            name, std::make_unique<InvertedResidual>(in, row.out / divisor, i == 0 ? row.stride : 1,
                                                     row.expansion, torchvision)));
      }
    }
    add(torchvision ? "features.18" : "conv2", last);
    classifier = make_head(1280, o);
    add(torchvision ? "classifier" : "classifier.0", *classifier);
  }

  /// The original ignores its preact flag.
  Features forward_features(const Variable& x, bool) override {
    Variable h = first(x);
    Features f{{h}, {}};
    for (size_t s = 0; s < stages.size(); ++s) {
      for (InvertedResidual* block : stages[s]) h = block->forward(h);
      if (s == 1 || s == 2 || s == 4 || s == 6) f.taps.push_back(h);
    }
    f.pooled = global_avg_pool(last(h));
    f.taps.push_back(f.pooled);
    f.output = classifier->forward(f.pooled);
    return f;
  }

  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    init::kaiming_normal_convolutions(*this,
                                      stream);  // also depthwise: the fan-out ignores the groups
    visit([&](const std::string& name, Module& m) {
      if (auto* linear = dynamic_cast<Linear*>(&m)) {
        init::normal(linear->weight, 0, 0.01, stream.fork(name + ".weight"));
        init::constant(linear->bias, 0);
      }
    });
  }
};

const RegisterModel mobilenetv2_models({"MobileNetV2", "mobilenetv2", [](const ModelOptions& o) {
                                          return std::make_unique<MobileNetV2>(o);
                                        }});

}  // namespace
}  // namespace limbeck::nn
