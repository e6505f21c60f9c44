#include "nn/models/explainer.h"

#include <cmath>

#include "nn/init.h"
#include "nn/models/blocks.h"

namespace limbeck::nn {
namespace {

/// [conv, BN, ReLU] twice, over 64 maps, and a max pool.
struct ExplainerBlock : Module {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  ExplainerBlock(int64_t in, int64_t out)
      : conv1(in, 64, {.kernel = 3, .padding = 1, .bias = true}),
        bn1(64),
        conv2(64, out, {.kernel = 3, .padding = 1, .bias = true}),
        bn2(out) {
    add("conv1", conv1);
    add("bn1", bn1);
    add("conv2", conv2);
    add("bn2", bn2);
  }
  Variable forward(const Variable& x) override {
    return max_pool2d(bn2.relu(conv2(bn1.relu(conv1(x)))));
  }
};

/// One class's: [N, in] to its logit [N, 1].
struct ExplainerHead : Module {
  Linear fc1, fc2, fc3;
  Dropout dropout1{0.15}, dropout2{0.15};
  explicit ExplainerHead(int64_t in) : fc1(in, 128), fc2(128, 128), fc3(128, 1) {
    add("fc1", fc1);
    add("dropout1", dropout1);
    add("fc2", fc2);
    add("dropout2", dropout2);
    add("fc3", fc3);
  }
  Variable forward(const Variable& x) override {
    return fc3(dropout2(limbeck::relu(fc2(dropout1(limbeck::relu(fc1(x)))))));
  }
};

/// Of each child the mixture of the parents' outputs, which are all of one shape.
Variables mixtures(const Variables& parents, const Variable& d) {
  const Shape& shape = parents[0].shape();
  const int64_t n = shape[0];
  Variables rows;
  for (const Variable& p : parents) rows.push_back(reshape(p, {n, 1, shape.numel() / n}));
  const Variable mixed = matmul(d, concat(rows, 1));
  Variables children;
  for (int64_t i = 0; i < d.size(0); ++i)
    children.push_back(reshape(slice(mixed, 1, i, i + 1), shape));
  return children;
}

constexpr int64_t side = 7;  // of what a head sees of a map: larger than the 4x4 of 32x32 images

/// adaptive_avg_pool2d to 7x7, [N, 49 C]. Of 4x4 maps in the words that ONNX has: the windows are
/// those of 2x2 on maps twice as large.
Variable seen_by_heads(const Variable& x) {
  if (x.size(1) != 4 || x.size(2) != 4) return flatten_chw(adaptive_avg_pool2d(x, side, side));
  return flatten_chw(avg_pool2d(upsample_nearest(x, 2), {.kernel = {2, 2}, .stride = {1, 1}}));
}

class Tree : public ExplainerTree {
 public:
  explicit Tree(const ModelOptions& o) {
    constexpr int64_t blocks[] = {2, 4, 8}, widths[] = {64, 64, 32};
    for (int64_t level = 0; level < 3; ++level) {
      auto& stage =
          own("level" + std::to_string(level + 1), std::make_unique<Stage<ExplainerBlock>>());
      for (int64_t i = 0; i < blocks[level]; ++i)
        stage.emplace(level ? widths[level - 1] : o.channels, widths[level]);
      levels_.push_back(&stage);
    }
    heads_ = &own("heads", std::make_unique<Stage<ExplainerHead>>());
    for (int64_t i = 0; i < o.outputs; ++i) heads_->emplace(widths[2] * side * side);
    mixes_ = {add_parameter("mix2", {4, 2}), add_parameter("mix3", {8, 4}),
              add_parameter("mix_heads", {o.outputs, 8})};
    temperature_ = add_buffer("inverse_temperature", Tensor::full({1, 1}, first_inverse));
  }

  Variables decisions() const override {
    Variables all;
    const Variable inverse(buffer(temperature_));
    for (const Variable& b : mixes_) all.push_back(softmax(b * (inverse * 2.0)));
    return all;
  }
  Tensor& inverse_temperature() override { return buffer(temperature_); }

  /// No taps: the maps of a level are many.
  Features forward_features(const Variable& x, bool /*preact*/) override {
    const Variables d = decisions();
    Features f;
    Variables maps;
    for (ExplainerBlock* b : levels_[0]->blocks) maps.push_back(b->forward(x));
    for (size_t level = 1; level < levels_.size(); ++level) {
      maps = mixtures(maps, d[level - 1]);
      for (size_t i = 0; i < maps.size(); ++i)
        maps[i] = levels_[level]->blocks[i]->forward(maps[i]);
    }
    Variables means;
    for (const Variable& m : maps) means.push_back(global_avg_pool(m));
    f.pooled = concat(means, 1);
    // Pooling and mixing commute, and there are fewer parents than heads.
    for (Variable& m : maps) m = seen_by_heads(m);
    Variables logits = mixtures(maps, d.back());
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = heads_->blocks[i]->forward(logits[i]);
    f.output = concat(logits, 1);
    return f;
  }

  void initialise(const Stream& stream) override {
    Module::initialise(stream);
    buffer(temperature_).fill(first_inverse);
    init::kaiming_normal_convolutions(*this, stream);
    visit([&](const std::string& name, Module& m) {
      if (auto* linear = dynamic_cast<Linear*>(&m))
        init::normal(linear->weight, 0, 0.01, stream.fork(name + ".weight"));
    });
    for (size_t i = 0; i < mixes_.size(); ++i) {
      const Tensor b = Tensor::empty(mixes_[i].shape());
      stream.fork("mix", i).fill_uniform(b);
      mixes_[i].data().copy_from(b.to(mixes_[i].dtype()));
    }
  }

 private:
  static constexpr double first_inverse = 0.1;  // t = 10 / epoch

  std::vector<Stage<ExplainerBlock>*> levels_;
  Stage<ExplainerHead>* heads_ = nullptr;
  Variables mixes_;
  size_t temperature_ = 0;
};

const RegisterModel tree({.name = "explainer_tree",
                          .family = "explainer",
                          .build = [](const ModelOptions& o) { return std::make_unique<Tree>(o); },
                          .classification_only = true});

}  // namespace

double mean_entropy(const Variables& decisions) {
  double sum = 0;
  int64_t rows = 0;
  for (const Variable& d : decisions) {
    LIMBECK_CHECK(d.shape().rank() == 2 && d.size(1) > 1,
                  "entropy of decisions: expected [children, parents] with at least two parents, "
                  "found ",
                  d.shape());
    const Tensor p = d.data().to(cpu).to(DType::f64);
    for (const double x : p.to_vector<double>())
      sum -= x > 0 ? x * std::log(x) / std::log(d.size(1)) : 0;
    rows += d.size(0);
  }
  return sum / static_cast<double>(rows);
}

}  // namespace limbeck::nn
