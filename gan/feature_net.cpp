#include "gan/feature_net.h"

#include "tensor/ranges.h"

namespace limbeck::gan {
namespace {

/// Post-activation residual block; shortcut = 1x1 convolution + BN when the shape changes.
class Block : public nn::Module {
 public:
  Block(int64_t in, int64_t out, int64_t stride)
      : conv1_(in, out, {.kernel = 3, .stride = stride, .padding = 1}),
        bn1_(out),
        conv2_(out, out, {.kernel = 3, .padding = 1}),
        bn2_(out) {
    add("conv1", conv1_);
    add("bn1", bn1_);
    add("conv2", conv2_);
    add("bn2", bn2_);
    if (stride != 1 || in != out) {
      shortcut_.emplace<nn::Conv2d>(in, out, nn::Conv2dConfig{.kernel = 1, .stride = stride});
      shortcut_.emplace<nn::BatchNorm2d>(out);
    }
    add("shortcut", shortcut_);
  }
  Variable forward(const Variable& x) override {
    const Variable y = conv2_(bn1_.relu(conv1_(x)));
    return bn2_.add_relu(y, shortcut_.size() ? shortcut_(x) : x);
  }

 private:
  nn::Conv2d conv1_;
  nn::BatchNorm2d bn1_;
  nn::Conv2d conv2_;
  nn::BatchNorm2d bn2_;
  nn::Sequential shortcut_;
};

class MaxPool : public nn::Module {
 public:
  Variable forward(const Variable& x) override { return max_pool2d(x); }
};

int64_t feature_dimension(const nn::ModelOptions& o, const FeatureNetSize& s) {
  return s.feature > 0 ? s.feature : o.channels * o.size * o.size;
}

}  // namespace

void check(const FeatureNetSize& s) {
  expect_count("features.net.width", 1, s.width, 1 << 16);
  LIMBECK_CHECK(!s.blocks.empty() && s.blocks.size() <= 4,
                "features.net.blocks: expected those of 1 to 4 stages, found ", s.blocks.size());
  for (const int64_t n : s.blocks) expect_count("features.net.blocks", 1, n, 1 << 10);
  expect_count("features.net.feature", 0, s.feature);
  for (const int64_t n : s.head) expect_count("features.net.head", 1, n);
  expect_share("features.net.dropout", s.dropout);
}

/// Children "0" conv, "1" BN, "2" the ReLU (fused into the BN here), "3" ... stages and pools.
class FeatureNet::Main : public nn::Module {
 public:
  Main(const nn::ModelOptions& o, const FeatureNetSize& s)
      : conv_(o.channels, s.width, {.kernel = 3, .padding = 1}), bn_(s.width) {
    check(s);
    add("0", conv_);
    add("1", bn_);
    int64_t index = 3, in = s.width;
    for (size_t i = 0; i < s.blocks.size(); ++i) {
      const int64_t out = s.width << i;
      auto stage = std::make_unique<nn::Sequential>();
      for (int64_t b = 0; b < s.blocks[i]; ++b) {
        stage->emplace<Block>(in, out, b == 0 && i > 0 ? 2 : 1);
        in = out;
      }
      chain_.push_back(&own(std::to_string(index++), std::move(stage)));
      if (o.size >= 128 && i < 2)
        chain_.push_back(&own(std::to_string(index++), std::make_unique<MaxPool>()));
    }
    width_ = in;
  }
  Variable forward(const Variable& x) override {
    Variable y = bn_.relu(conv_(x));
    for (nn::Module* m : chain_) y = (*m)(y);
    return global_avg_pool(y);  // the original's 4x4 average over a 4x4 map
  }
  int64_t width() const { return width_; }

 private:
  nn::Conv2d conv_;
  nn::BatchNorm2d bn_;
  std::vector<nn::Module*> chain_;
  int64_t width_ = 0;
};

/// BN, ReLU, dropout, linear per hidden layer and for the logits: children 0, 3, 4, 7, 8, 11 hold
/// weights for two hidden layers.
class FeatureNet::Head : public nn::Module {
 public:
  Head(int64_t in, const FeatureNetSize& s, int64_t outputs) {
    std::vector<int64_t> widths = s.head;
    widths.push_back(outputs);
    int64_t index = 0;
    for (int64_t out : widths) {
      Layer layer;
      layer.bn = &own(std::to_string(index), std::make_unique<nn::BatchNorm1d>(in));
      layer.dropout = &own(std::to_string(index + 2), std::make_unique<nn::Dropout>(s.dropout));
      layer.linear = &own(std::to_string(index + 3), std::make_unique<nn::Linear>(in, out));
      layers_.push_back(layer);
      index += 4;
      in = out;
    }
  }
  Variable forward(const Variable& x) override {
    Variable y = x;
    for (const Layer& l : layers_) y = (*l.linear)((*l.dropout)(l.bn->relu(y)));
    return y;
  }

 private:
  struct Layer {
    nn::BatchNorm1d* bn;
    nn::Dropout* dropout;
    nn::Linear* linear;
  };
  std::vector<Layer> layers_;
};

FeatureNet::FeatureNet(const nn::ModelOptions& options, const FeatureNetSize& size)
    : feature_size_(feature_dimension(options, size)),
      main_(std::make_unique<Main>(options, size)) {
  classifier_1_.emplace<nn::Linear>(main_->width(), feature_size_);
  classifier_2_ = std::make_unique<Head>(feature_size_, size, options.outputs);
  add("main", *main_);
  add("classifier_1", classifier_1_);
  add("classifier_2", *classifier_2_);
}

FeatureNet::~FeatureNet() = default;

Variable FeatureNet::feature(const Variable& x) { return classifier_1_((*main_)(x)); }

nn::Features FeatureNet::forward_features(const Variable& x, bool) {
  const Variable pooled = (*main_)(x);
  const Variable feature = classifier_1_(pooled);
  return {{pooled, feature}, (*classifier_2_)(feature), feature};
}

}  // namespace limbeck::gan
