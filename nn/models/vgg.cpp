// VGG with batch norm (Simonyan and Zisserman 2015; RepDistiller models/vgg.py): vgg8, 11, 13, 16,
// 19. Convolutions have a bias. 32x32: five blocks, max pools behind the first three (behind the
// fourth only at height 64), global average pool, one linear layer. 128x128: a 4x4 max pool behind
// the fifth block and three linear layers with dropout. Regressors (64x64, cGAN-KD
// SteeringAngle/models/vgg.py): a max pool behind every block, no global pool: 512 maps of 2x2 are
// flattened.
#include "nn/init.h"
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// [conv, BN, ReLU]* whose last ReLU is left to the caller. PyTorch's indices count the ReLUs: conv
/// 0, BN 1, conv 3, BN 4, ... and start at `first`.
struct VggBlock : Module {
  std::vector<std::pair<Conv2d*, BatchNorm2d*>> pairs;
  VggBlock(int64_t in, int64_t out, int64_t count, int64_t first) {
    for (int64_t i = 0; i < count; ++i) {
      const Conv2dConfig config{.kernel = 3, .padding = 1, .bias = true};
      Conv2d& conv = own(std::to_string(first + 3 * i),
                         std::make_unique<Conv2d>(i == 0 ? in : out, out, config));
      BatchNorm2d& bn = own(std::to_string(first + 3 * i + 1), std::make_unique<BatchNorm2d>(out));
      pairs.emplace_back(&conv, &bn);
    }
  }
  /// With relu = false: the value before the closing activation.
  Variable run(const Variable& x, bool relu) {
    Variable h = x;
    for (auto& [conv, bn] : pairs) h = bn->apply((*conv)(h), relu || bn != pairs.back().second, {});
    return h;
  }
};

/// One linear layer, or 8192 -> 1024 -> 1024 -> outputs with ReLU and dropout (keys 0, 3, 6).
struct Classifier : Module {
  std::unique_ptr<Linear> fc0, fc3, fc6;
  Dropout dropout1{0.5}, dropout2{0.5};
  explicit Classifier(int64_t outputs)
      : fc0(std::make_unique<Linear>(512 * 4 * 4, 1024)),
        fc3(std::make_unique<Linear>(1024, 1024)),
        fc6(std::make_unique<Linear>(1024, outputs)) {
    add("0", *fc0);
    add("2", dropout1);
    add("3", *fc3);
    add("5", dropout2);
    add("6", *fc6);
  }
  Variable hidden(const Variable& x) {
    return dropout2(limbeck::relu((*fc3)(dropout1(limbeck::relu((*fc0)(x))))));
  }
  Variable forward(const Variable& x) override { return (*fc6)(hidden(x)); }
};

struct VGG : Network {
  std::vector<VggBlock*> blocks;
  std::unique_ptr<Module> classifier;
  const bool large, regression;

  VGG(const std::array<int64_t, 5>& counts, const ModelOptions& o)
      : large(large_images(o)), regression(is_regression(o)) {
    constexpr int64_t widths[] = {64, 128, 256, 512, 512};
    LIMBECK_CHECK(
        !large || o.size == 128,
        "vgg: the network for large images takes 128x128 (its head is 512 * 4 * 4 wide), found ",
        o.size);
    LIMBECK_CHECK(
        !regression || o.size >= 32,
        "vgg: a regressor halves its image five times; expected a size of at least 32, found ",
        o.size);
    // The regressors' blocks share one list of layers, "features", in which each pool takes an
    // index.
    for (int64_t i = 0, first = 0; i < 5; first += 3 * counts[i] + 1, ++i)
      blocks.push_back(&own(regression ? "features" : "block" + std::to_string(i),
                            std::make_unique<VggBlock>(i ? widths[i - 1] : o.channels, widths[i],
                                                       counts[i], regression ? first : 0)));
    const int64_t side = o.size / 32;
    if (large)
      classifier = std::make_unique<Classifier>(o.outputs);
    else
      classifier = make_head(regression ? 512 * side * side : 512, o);
    add(regression ? "fc" : "classifier", *classifier);
  }

  Features forward_features(const Variable& x, bool preact) override {
    Features f;
    Variable h = x;
    for (size_t i = 0; i < blocks.size(); ++i) {
      const bool split = preact && i > 0;
      h = blocks[i]->run(h, !split);
      f.taps.push_back(h);
      if (split) h = limbeck::relu(h);
      if (i < 3 || regression || (i == 3 && x.size(1) == 64)) h = max_pool2d(h);
    }
    if (large) h = max_pool2d(h, {.kernel = {4, 4}, .stride = {4, 4}});
    f.pooled = large || regression ? flatten_chw(h) : global_avg_pool(h);
    f.taps.push_back(f.pooled);
    if (auto* several = dynamic_cast<Classifier*>(classifier.get())) {
      f.penultimate = several->hidden(f.pooled);
      f.output = (*several->fc6)(f.penultimate);
    } else {
      f.output = classifier->forward(f.pooled);
    }
    return f;
  }

  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    if (regression) return;  // PyTorch's defaults
    init::kaiming_normal_convolutions(*this, stream);
    visit([&](const std::string& name, Module& m) {
      if (auto* conv = dynamic_cast<Conv2d*>(&m)) init::constant(conv->bias, 0);
      if (auto* linear = dynamic_cast<Linear*>(&m)) {
        init::normal(linear->weight, 0, 0.01, stream.fork(name + ".weight"));
        init::constant(linear->bias, 0);
      }
    });
  }
};

ModelEntry vgg_entry(std::string name, std::array<int64_t, 5> counts) {
  return {std::move(name), "vgg",
          [=](const ModelOptions& o) { return std::make_unique<VGG>(counts, o); }};
}

const RegisterModel vgg_models[] = {
    RegisterModel(vgg_entry("vgg8", {1, 1, 1, 1, 1})),
    RegisterModel(vgg_entry("vgg11", {1, 1, 2, 2, 2})),
    RegisterModel(vgg_entry("vgg13", {2, 2, 2, 2, 2})),
    RegisterModel(vgg_entry("vgg16", {2, 2, 3, 3, 3})),
    RegisterModel(vgg_entry("vgg19", {2, 2, 4, 4, 4})),
};

}  // namespace
}  // namespace limbeck::nn
