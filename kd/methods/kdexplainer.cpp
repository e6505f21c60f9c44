// KDExplainer: distillation to a student that shows what it does (Xue et al., "KDExplainer: a
// task-oriented attention model for explaining knowledge distillation", IJCAI 2021; official code:
// zju-vipa/KamalEngine). The student is a tree of experts (nn/models/explainer.h).
//   0.1 CE + 0.9 T^2 KL, T = 4;   mixtures of the tree: softmax(2 b / t), t = 10 / epoch
// As t falls every expert listens to fewer others; what distillation adds shows in the entropy of
// the mixtures (nn::mean_entropy): the paper finds it lower than with labels alone.
// Official and here: the code trains 300 epochs by Adam (lr 0.05; 0.01 for b, which rests in the
// first two epochs), then on with one parent for each child, by SGD. Here both parts are one
// training with the optimiser of [student] for all parameters, and `hard_from` is where the second
// begins. t changes with the first step's end of an epoch, one step late. The code calls its
// mixtures Gumbel softmax and draws no noise.
#include <cmath>

#include "kd/terms.h"
#include "nn/models/explainer.h"

namespace limbeck::kd::kdexplainer {
namespace {

struct KdExplainerSettings : LossWeights {
  double epochs_of_one = 10, hard_from = 1;
  KdExplainerSettings() { hard_weight = 0.1, soft_weight = 0.9; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("epochs_of_one", epochs_of_one, "t = this / epoch: the epoch whose mixtures have t = 1");
    v("hard_from", hard_from,
      "share of the epochs behind which every child has one parent; 1: never");
  }
};

class KdExplainer : public Method {
 public:
  using Settings = KdExplainerSettings;
  explicit KdExplainer(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.epochs_of_one > 0 && std::isfinite(s.epochs_of_one),
                  "methods.kdexplainer.epochs_of_one: expected a positive number, found ",
                  s.epochs_of_one);
    LIMBECK_CHECK(s.hard_from >= 0 && s.hard_from <= 1,
                  "methods.kdexplainer.hard_from: expected a number in [0, 1], found ",
                  s.hard_from);
  }
  LossWeights weights() const override { return settings_; }
  /// With labels alone the mixtures grow sharp too: the paper's comparison.
  bool teaches_without_term() const override { return true; }

  void check_names(const std::string& /*teacher*/, const std::string& student) override {
    LIMBECK_CHECK(student == "explainer_tree", "kdexplainer: the student is explainer_tree, found ",
                  student);
  }
  void check(const Pair& pair) override { tree_of(pair.student_network); }
  void prepare(const Pair& pair) override {
    hard_epoch_ = std::round(settings_.hard_from * static_cast<double>(pair.epochs));
    first_row_ = Tensor::zeros({1}, DType::i64).to(pair.student_network.device());
  }

  /// 1 / t of the epoch that the step belongs to, for the next one.
  void after_step(const DistillationStep& step) override {
    Tensor& inverse = tree_of(step.step.network).inverse_temperature();
    const Variable epoch = slice(Variable(step.step.clock.to(inverse.dtype())), 0, 1, 2);
    const Variable hard = clamp(epoch - (hard_epoch_ - 1), 0, 1) * one_parent;
    const Variable soft = (epoch + 1.0) * (1 / settings_.epochs_of_one);
    scatter_rows(inverse, first_row_, reshape(soft + hard, {1, 1}).data());
  }

 private:
  static nn::ExplainerTree& tree_of(nn::Network& network) {
    auto* const tree = dynamic_cast<nn::ExplainerTree*>(&network);
    LIMBECK_CHECK(tree, "kdexplainer: the student is explainer_tree, found another network");
    return *tree;
  }

  static constexpr double one_parent = 1e6;
  const Settings settings_;
  double hard_epoch_ = 0;
  Tensor first_row_;
};

const RegisterMethod<KdExplainer> kdexplainer(
    "kdexplainer", "KDExplainer", Family::logits,
    "a tree of experts whose mixtures grow sharp (Xue et al. 2021)");

}  // namespace
}  // namespace limbeck::kd::kdexplainer
