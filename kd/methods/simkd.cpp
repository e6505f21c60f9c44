// SimKD: the student's last map is carried to the teacher's, and the teacher's own classifier reads
// it (Chen, Mei, Zhang, Wang, Wang, Feng, Chen, "Knowledge distillation with the reused teacher
// classifier", CVPR 2022, Eq. 3; official code: DefangChen/SimKD).
//   loss = weight mean((P(f_s) - f_t)^2), nothing else: hard and soft weights are 0
//   P: conv1x1 C_s -> C_t / 2, BN, ReLU, conv3x3, BN, ReLU, conv1x1 -> C_t, BN, ReLU; the larger
//   map is pooled to the smaller one first
//   deployed: student without its head, P, mean over pixels, the teacher's linear layer
// The student's own head trains on nothing and decays, as in the official code. f_t is what the
// teacher's classifier takes the mean of: its last map, behind the activation (and, of a WRN, the
// batch norm) that follows it, which the official code, without WRNs, need not tell apart. VGG for
// 128x128 images has no mean: its classifier is the 4x4 maxima of the last map and three layers,
// without dropout here; a projected map of 4x4 is read as it is. Teachers of other forms
// (MobileNetV2, ShuffleV2, DenseNet, regressors) are refused.
#include <algorithm>
#include <array>

#include "kd/checkpoint.h"
#include "kd/levels.h"
#include "kd/method.h"
#include "nn/layers.h"

namespace limbeck::kd::simkd {
namespace {

struct SimkdSettings : EarlyDropWeights {
  double weight = 1;
  SimkdSettings() { hard_weight = 0, soft_weight = 0; }
  void fields(FieldVisitor& v) {
    EarlyDropWeights::fields(v);
    v("weight", weight, "of the squared difference");
  }
};

class Projector : public nn::Module {
 public:
  Projector(int64_t in, int64_t out)
      : conv1_(in, out / 2, {.kernel = 1}),
        conv2_(out / 2, out / 2, {.kernel = 3, .padding = 1}),
        conv3_(out / 2, out, {.kernel = 1}),
        bn1_(out / 2),
        bn2_(out / 2),
        bn3_(out) {
    add("conv1", conv1_), add("bn1", bn1_), add("conv2", conv2_), add("bn2", bn2_);
    add("conv3", conv3_), add("bn3", bn3_);
  }
  Variable forward(const Variable& x) override {
    return bn3_.relu(conv3_(bn2_.relu(conv2_(bn1_.relu(conv1_(x))))));
  }

 private:
  nn::Conv2d conv1_, conv2_, conv3_;
  nn::BatchNorm2d bn1_, bn2_, bn3_;
};

/// What reads a teacher's last map, behind its activation: one linear layer of the means over
/// pixels, or, of a VGG for large images, three of the 4x4 maxima.
class Classifier : public nn::Module {
 public:
  static constexpr int64_t vgg_side = 4;
  /// `hidden`: width of the VGG's layers; 0: one layer.
  Classifier(int64_t channels, int64_t hidden, int64_t outputs) : hidden_(hidden) {
    if (hidden == 0) {
      layer("", channels, outputs);
      return;
    }
    layer("0", channels * vgg_side * vgg_side, hidden);
    layer("3", hidden, hidden);
    layer("6", hidden, outputs);
  }
  /// What the first layer takes.
  Variable pooled(const Variable& map) const {
    if (hidden_ == 0) return global_avg_pool(map);
    const int64_t step = map.size(1) / vgg_side;
    return flatten_chw(
        step == 1 ? map : max_pool2d(map, {.kernel = {step, step}, .stride = {step, step}}));
  }
  Variable forward(const Variable& pooled) override {
    Variable h = pooled;
    for (nn::Linear* l : layers_) h = (*l)(l == layers_.front() ? h : relu(h));
    return h;
  }
  const std::vector<nn::Linear*>& layers() const { return layers_; }
  int64_t hidden() const { return hidden_; }

 private:
  void layer(const std::string& key, int64_t in, int64_t out) {
    layers_.push_back(&own(key, std::make_unique<nn::Linear>(in, out)));
  }
  const int64_t hidden_;
  std::vector<nn::Linear*> layers_;
};

/// Student, projector and the teacher's classifier as one network.
class Deployed : public Composite {
 public:
  Deployed(std::shared_ptr<nn::Network> student, std::shared_ptr<Projector> projector,
           std::shared_ptr<Classifier> classifier, std::array<int64_t, 2> channels, int64_t side)
      : student_(std::move(student)),
        projector_(std::move(projector)),
        classifier_(std::move(classifier)),
        channels_(channels),
        side_(side) {
    add("student", *student_), add("projector", *projector_), add("classifier", *classifier_);
  }
  nn::Features forward_features(const Variable& x, bool preact) override {
    nn::Features f = student_->forward_features(x, preact);
    const Variable map = last_map("simkd", f, "student");
    f.pooled = classifier_->pooled((*projector_)(pooled_to(map, std::min(map.size(1), side_))));
    f.output = (*classifier_)(f.pooled);
    return f;
  }
  std::string form() const override { return "simkd"; }
  std::map<std::string, std::string> numbers() const override {
    return {{"simkd.student_channels", std::to_string(channels_[0])},
            {"simkd.teacher_channels", std::to_string(channels_[1])},
            {"simkd.teacher_hidden", std::to_string(classifier_->hidden())},
            {"simkd.teacher_side", std::to_string(side_)}};
  }

 private:
  const std::shared_ptr<nn::Network> student_;
  const std::shared_ptr<Projector> projector_;
  const std::shared_ptr<Classifier> classifier_;
  const std::array<int64_t, 2> channels_;  // of the student's and of the teacher's map
  const int64_t side_;                     // of the teacher's map
};

std::unique_ptr<nn::Network> rebuild(std::unique_ptr<nn::Network> student,
                                     const nn::ModelOptions& options,
                                     const MetadataReader& metadata) {
  const int64_t in = metadata.integer("simkd.student_channels"),
                out = metadata.integer("simkd.teacher_channels");
  const auto classifier = std::make_shared<Classifier>(
      out, metadata.integer("simkd.teacher_hidden", 0), options.outputs);
  return std::make_unique<Deployed>(std::move(student), std::make_shared<Projector>(in, out),
                                    classifier, std::array{in, out},
                                    metadata.integer("simkd.teacher_side"));
}
const RegisterComposite composite("simkd", rebuild);

/// A copy of the classifier of a teacher whose last map has so many channels, by the shapes of its
/// last linear layers; null when they have no such form.
std::shared_ptr<Classifier> classifier_of(const nn::Network& teacher, int64_t channels,
                                          int64_t outputs) {
  std::vector<const nn::Linear*> all;
  teacher.visit([&](const std::string&, const nn::Module& m) {
    if (const auto* linear = dynamic_cast<const nn::Linear*>(&m)) all.push_back(linear);
  });
  const int64_t hidden = all.size() < 3 ? 0 : all.back()->weight.size(1);
  const auto classifier = std::make_shared<Classifier>(channels, hidden, outputs);
  const auto& layers = classifier->layers();
  if (all.size() < layers.size()) return nullptr;
  for (size_t i = 0; i < layers.size(); ++i) {
    const nn::Linear& theirs = *all[all.size() - layers.size() + i];
    if (theirs.weight.shape() != layers[i]->weight.shape() || !theirs.bias.defined())
      return nullptr;
    layers[i]->load_state_dict(theirs.state_dict());
  }
  return classifier;
}

bool close(const Variable& a, const Variable& b) {
  const double scale = max(abs(b)).item();
  return max(abs(a - b)).item() <= 1e-3 * (scale + 1e-6);
}

class SimKd : public Method {
 public:
  using Settings = SimkdSettings;
  explicit SimKd(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.weight > 0, "methods.simkd.weight: expected a positive number, found ",
                  s.weight);
  }
  LossWeights weights() const override { return settings_; }
  void adjust(train::Settings& training, bool) const override {
    training.late_drop = settings_.late_drop;
  }
  bool teacher_preact() const override { return true; }

  void check(const Pair& pair) override {
    const Variable s = last_map("simkd", pair.student, "student"),
                   t = last_map("simkd", pair.teacher, "teacher");
    const auto classifier =
        classifier_of(pair.teacher_network, t.size(3), pair.teacher.output.size(1));
    LIMBECK_CHECK(classifier, "simkd: the teacher's output is not a classifier of its ", t.size(3),
                  " last maps, so a student cannot reuse it");
    const int64_t side = std::min(s.size(1), t.size(1));
    LIMBECK_CHECK(classifier->hidden() == 0 || side % Classifier::vgg_side == 0,
                  "simkd: the teacher's classifier reads 4x4 maxima; maps of ", side, "x", side,
                  " do not divide into them");
  }

  void prepare(const Pair& pair) override {
    const Variable s = last_map("simkd", pair.student, "student"),
                   t = last_map("simkd", pair.teacher, "teacher");
    classifier_ = classifier_of(pair.teacher_network, t.size(3), pair.teacher.output.size(1));
    classifier_->to(t.dtype());
    classifier_->to(t.data().device());
    classifier_->set_requires_grad(false);
    rectified_ = !close(read(t), pair.teacher.output);
    LIMBECK_CHECK(!rectified_ || close(read(relu(t)), pair.teacher.output),
                  "simkd: the teacher's output is not what its classifier says of its last maps");
    projector_ = std::make_shared<Projector>(s.size(3), t.size(3));
    projector_->initialise(pair.init);
    channels_ = {s.size(3), t.size(3)}, side_ = t.size(1);
  }
  nn::Module* auxiliary() override { return projector_.get(); }

  Variable loss(const DistillationStep& step) override {
    const Variable s = last_map("simkd", step.student, "student");
    Variable t(last_map("simkd", step.teacher, "teacher").data());
    if (rectified_) t = relu(t);
    const int64_t side = std::min(s.size(1), t.size(1));
    projected_ = (*projector_)(pooled_to(s, side));
    return mse_loss(projected_, pooled_to(t, side)) * settings_.weight;
  }
  Tensor prediction(const DistillationStep&) override { return read(projected_).data(); }
  void after_step(const DistillationStep&) override { projected_ = {}; }

  nn::Network& deployed(nn::Network& student) override {
    const auto not_ours = [](nn::Network*) {};
    if (!deployed_)
      deployed_ = std::make_unique<Deployed>(std::shared_ptr<nn::Network>(&student, not_ours),
                                             projector_, classifier_, channels_, side_);
    return *deployed_;
  }

 private:
  Variable read(const Variable& map) { return (*classifier_)(classifier_->pooled(map)); }

  const Settings settings_;
  std::shared_ptr<Projector> projector_;
  std::shared_ptr<Classifier> classifier_;
  bool rectified_ = false;  // an activation lies between the teacher's tap and its pooling
  std::array<int64_t, 2> channels_{};
  int64_t side_ = 0;
  std::unique_ptr<Deployed> deployed_;
  Variable projected_;  // of the step in work
};

const RegisterMethod<SimKd> registered("simkd", "SimKD", Family::features,
                                       "the teacher's classifier reused (Chen et al. 2022)");

}  // namespace
}  // namespace limbeck::kd::simkd
