// Inception-V3 (Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision",
// section 6 and figures 5 to 7; keys, channels and windows as in torchvision's
// models/inception.py): the network whose logits and 2048 pooled features the paper's Inception
// score and FID are computed from. The auxiliary classifier (AuxLogits) exists, so that checkpoints
// load and parameters count, but never runs, and the input is not transformed, as in the original's
// evaluation. Batch norms have eps 1e-3; dropout 0.5 lies in front of the last layer.
// Initialisation: PyTorch's default. The only tap is the pooled feature vector. Images have 299x299
// pixels in the original; the network is fully convolutional, and 75x75 is the smallest image that
// leaves a pixel.
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

constexpr int64_t smallest_image = 75;

/// Stride 1, size kept (odd kernels).
Conv2dConfig same(HeightWidth kernel) {
  return {.kernel = kernel, .padding = {kernel.height / 2, kernel.width / 2}};
}
/// 3x3 without padding: trims the border, or halves with stride 2.
Conv2dConfig valid3x3(int64_t stride = 1) { return {.kernel = 3, .stride = stride}; }
Variable halving_pool(const Variable& x) {
  return max_pool2d(x, {.kernel = {3, 3}, .stride = {2, 2}});
}
Variable smoothing_pool(const Variable& x) {
  return avg_pool2d(x, {.kernel = {3, 3}, .stride = {1, 1}, .padding = {1, 1}});
}

/// relu(bn(conv(x))).
struct ConvUnit : Module {
  Conv2d conv;
  BatchNorm2d bn;
  ConvUnit(int64_t in, int64_t out, const Conv2dConfig& config)
      : conv(in, out, config), bn(out, 1e-3) {
    add("conv", conv);
    add("bn", bn);
  }
  Variable forward(const Variable& x) override { return bn.relu(conv(x)); }
};

/// A block's branches are units in a row; their outputs are concatenated. Keys are the branch's
/// name and the unit's suffix.
struct Block : Module {
  struct Step {
    const char* suffix;
    int64_t out;
    Conv2dConfig config;
  };
  struct Branch {
    std::vector<ConvUnit*> units;
    Variable operator()(const Variable& x) const {
      Variable y = x;
      for (ConvUnit* unit : units) y = unit->forward(y);
      return y;
    }
  };
  Branch branch(const std::string& name, int64_t in, const std::vector<Step>& steps) {
    Branch b;
    for (const Step& s : steps) {
      b.units.push_back(&own(name + s.suffix, std::make_unique<ConvUnit>(in, s.out, s.config)));
      in = s.out;
    }
    return b;
  }
};

/// 35x35: 1x1 | 1x1, 5x5 | 1x1, 3x3, 3x3 | pool, 1x1 (figure 5, but with one 5x5 convolution kept
/// whole).
struct InceptionA : Block {
  Branch one, five, three, pool;
  InceptionA(int64_t in, int64_t pooled)
      : one(branch("branch1x1", in, {{"", 64, same(1)}})),
        five(branch("branch5x5", in, {{"_1", 48, same(1)}, {"_2", 64, same(5)}})),
        three(branch("branch3x3dbl", in,
                     {{"_1", 64, same(1)}, {"_2", 96, same(3)}, {"_3", 96, same(3)}})),
        pool(branch("branch_pool", in, {{"", pooled, same(1)}})) {}
  Variable forward(const Variable& x) override {
    return concat({one(x), five(x), three(x), pool(smoothing_pool(x))}, -1);
  }
};

/// 35x35 -> 17x17: 3x3 stride 2 | 1x1, 3x3, 3x3 stride 2 | max pool.
struct InceptionB : Block {
  Branch three, twice;
  explicit InceptionB(int64_t in)
      : three(branch("branch3x3", in, {{"", 384, valid3x3(2)}})),
        twice(branch("branch3x3dbl", in,
                     {{"_1", 64, same(1)}, {"_2", 96, same(3)}, {"_3", 96, valid3x3(2)}})) {}
  Variable forward(const Variable& x) override {
    return concat({three(x), twice(x), halving_pool(x)}, -1);
  }
};

/// 17x17, 7x7 convolutions factored into 1x7 and 7x1: 1x1 | one of them | two of them | pool, 1x1
/// (figure 6).
struct InceptionC : Block {
  Branch one, seven, twice, pool;
  InceptionC(int64_t in, int64_t width)
      : one(branch("branch1x1", in, {{"", 192, same(1)}})),
        seven(branch(
            "branch7x7", in,
            {{"_1", width, same(1)}, {"_2", width, same({1, 7})}, {"_3", 192, same({7, 1})}})),
        twice(branch("branch7x7dbl", in,
                     {{"_1", width, same(1)},
                      {"_2", width, same({7, 1})},
                      {"_3", width, same({1, 7})},
                      {"_4", width, same({7, 1})},
                      {"_5", 192, same({1, 7})}})),
        pool(branch("branch_pool", in, {{"", 192, same(1)}})) {}
  Variable forward(const Variable& x) override {
    return concat({one(x), seven(x), twice(x), pool(smoothing_pool(x))}, -1);
  }
};

/// 17x17 -> 8x8: 1x1, 3x3 stride 2 | 1x1, 1x7, 7x1, 3x3 stride 2 | max pool.
struct InceptionD : Block {
  Branch three, seven;
  explicit InceptionD(int64_t in)
      : three(branch("branch3x3", in, {{"_1", 192, same(1)}, {"_2", 320, valid3x3(2)}})),
        seven(branch("branch7x7x3", in,
                     {{"_1", 192, same(1)},
                      {"_2", 192, same({1, 7})},
                      {"_3", 192, same({7, 1})},
                      {"_4", 192, valid3x3(2)}})) {}
  Variable forward(const Variable& x) override {
    return concat({three(x), seven(x), halving_pool(x)}, -1);
  }
};

/// 8x8: 1x1 | 1x1, then 1x3 beside 3x1 | 1x1, 3x3, then 1x3 beside 3x1 | pool, 1x1 (figure 7).
struct InceptionE : Block {
  Branch one, three, three_a, three_b, twice, twice_a, twice_b, pool;
  explicit InceptionE(int64_t in)
      : one(branch("branch1x1", in, {{"", 320, same(1)}})),
        three(branch("branch3x3", in, {{"_1", 384, same(1)}})),
        three_a(branch("branch3x3", 384, {{"_2a", 384, same({1, 3})}})),
        three_b(branch("branch3x3", 384, {{"_2b", 384, same({3, 1})}})),
        twice(branch("branch3x3dbl", in, {{"_1", 448, same(1)}, {"_2", 384, same(3)}})),
        twice_a(branch("branch3x3dbl", 384, {{"_3a", 384, same({1, 3})}})),
        twice_b(branch("branch3x3dbl", 384, {{"_3b", 384, same({3, 1})}})),
        pool(branch("branch_pool", in, {{"", 192, same(1)}})) {}
  Variable forward(const Variable& x) override {
    const Variable h = three(x), g = twice(x);
    return concat({one(x), three_a(h), three_b(h), twice_a(g), twice_b(g), pool(smoothing_pool(x))},
                  -1);
  }
};

/// The auxiliary classifier's parameters; it has no forward.
struct AuxiliaryClassifier : Module {
  ConvUnit conv0, conv1;
  Linear fc;
  AuxiliaryClassifier(int64_t in, int64_t classes)
      : conv0(in, 128, same(1)), conv1(128, 768, {.kernel = 5}), fc(768, classes) {
    add("conv0", conv0);
    add("conv1", conv1);
    add("fc", fc);
  }
};

struct InceptionV3 : Network {
  ConvUnit stem1, stem2, stem3, stem4, stem5;
  InceptionA mixed5b, mixed5c, mixed5d;
  InceptionB mixed6a;
  InceptionC mixed6b, mixed6c, mixed6d, mixed6e;
  AuxiliaryClassifier auxiliary;
  InceptionD mixed7a;
  InceptionE mixed7b, mixed7c;
  Dropout dropout{0.5};
  Linear fc;

  explicit InceptionV3(const ModelOptions& o)
      : stem1(o.channels, 32, valid3x3(2)),
        stem2(32, 32, valid3x3()),
        stem3(32, 64, same(3)),
        stem4(64, 80, same(1)),
        stem5(80, 192, valid3x3()),
        mixed5b(192, 32),
        mixed5c(256, 64),
        mixed5d(288, 64),
        mixed6a(288),
        mixed6b(768, 128),
        mixed6c(768, 160),
        mixed6d(768, 160),
        mixed6e(768, 192),
        auxiliary(768, o.outputs),
        mixed7a(768),
        mixed7b(1280),
        mixed7c(2048),
        fc(2048, o.outputs) {
    add("Conv2d_1a_3x3", stem1);
    add("Conv2d_2a_3x3", stem2);
    add("Conv2d_2b_3x3", stem3);
    add("Conv2d_3b_1x1", stem4);
    add("Conv2d_4a_3x3", stem5);
    add("Mixed_5b", mixed5b);
    add("Mixed_5c", mixed5c);
    add("Mixed_5d", mixed5d);
    add("Mixed_6a", mixed6a);
    add("Mixed_6b", mixed6b);
    add("Mixed_6c", mixed6c);
    add("Mixed_6d", mixed6d);
    add("Mixed_6e", mixed6e);
    add("AuxLogits", auxiliary);
    add("Mixed_7a", mixed7a);
    add("Mixed_7b", mixed7b);
    add("Mixed_7c", mixed7c);
    add("dropout", dropout);
    add("fc", fc);
  }

  Features forward_features(const Variable& x, bool) override {
    LIMBECK_CHECK(x.rank() == 4 && x.size(1) >= smallest_image && x.size(2) >= smallest_image,
                  "InceptionV3: expected images [N, H, W, C] of at least ", smallest_image, "x",
                  smallest_image, " pixels, found shape ", x.shape());
    Variable h = halving_pool(stem3(stem2(stem1(x))));
    h = halving_pool(stem5(stem4(h)));
    h = mixed5d(mixed5c(mixed5b(h)));
    h = mixed6e(mixed6d(mixed6c(mixed6b(mixed6a(h)))));
    h = mixed7c(mixed7b(mixed7a(h)));
    const Variable pooled = global_avg_pool(h);
    return {{pooled}, fc(dropout(pooled)), pooled};
  }
};

const RegisterModel inception_models(
    {.name = "InceptionV3",
     .family = "inception",
     .build = [](const ModelOptions& o) { return std::make_unique<InceptionV3>(o); },
     .classification_only = true,
     .smallest_image = smallest_image});

}  // namespace
}  // namespace limbeck::nn
