// HKD: the flow of information through a network, as similarities between the samples of a batch,
// level by level and in the phases of a training (Passalis, Tzelepi, Tefas, "Heterogeneous
// knowledge distillation using information flow modeling", CVPR 2020; official code:
// passalis/pkth).
//   S1 = (u u^T + 1) / 2, u = f / (|f| + 1e-6);   S2_ij = 1 / (1 + sqrt(|f_i - f_j|^2 + 1e-6));
//   rows of both divided by their sums;  f: a map as a vector, or the pooled vector
//   J(a, b) = mean over the N x N entries of (a - b) (log a - log b)
//   level = J(S1_t, S1_s) + J(S2_t, S2_s)
//   loss = N/128 weight ( level of the pooled vectors
//                         + 100 0.7^(50 epoch / epochs) sum of the levels of the maps f[1..-2] )
// The maps matter in the early, critical epochs; of 50 epochs the weights are the code's. Levels
// are paired from the deepest. Stage before: an auxiliary teacher, the student's family but larger,
// from the level of the pooled vectors alone.
// Official and here: the code has no labels at all (it retrieves); here labels count with weight 1
// in both trainings, so that there is a classifier, and N/128 keeps the terms' size for other
// batches than the code's 128. The code trains the auxiliary by Adam for 40 epochs after one of
// labels alone; here it has a tenth of the student's epochs. The paper pairs levels by what they
// know of the targets, the code by their number.
#include <cmath>

#include "kd/assistant.h"
#include "kd/levels.h"
#include "kd/pretraining.h"

namespace limbeck::kd::hkd {
namespace {

struct HkdSettings : LossWeights {
  double weight = 1, maps_weight = 100, decay = 0.7, auxiliary_share = 0.1;
  std::string auxiliary;
  HkdSettings() { soft_weight = 0; }
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "of all levels");
    v("maps_weight", maps_weight, "of the maps beside the pooled vectors, in the first epoch");
    v("decay", decay, "by which it falls with each fiftieth of the epochs");
    v("auxiliary", auxiliary,
      "network between teacher and student; empty: the larger one of the student's family that is "
      "known; teacher: none, the pair's teacher itself");
    v("auxiliary_share", auxiliary_share, "of the student's epochs, in which it trains");
  }
};

constexpr double official_batch = 128, official_epochs = 50;

/// Larger networks with the student's levels.
struct Larger {
  const char *student, *auxiliary;
};
constexpr Larger larger[] = {
    {"resnet8", "resnet20"},   {"resnet14", "resnet44"},    {"resnet20", "resnet56"},
    {"resnet32", "resnet110"}, {"resnet8x4", "resnet32x4"}, {"wrn_16_1", "wrn_16_2"},
    {"wrn_40_1", "wrn_40_2"},  {"vgg8", "vgg13"},           {"vgg11", "vgg19"},
    {"ResNet18", "ResNet34"},
};

std::string auxiliary_of(const HkdSettings& s, const std::string& student) {
  if (!s.auxiliary.empty()) return s.auxiliary;
  for (const Larger& l : larger)
    if (l.student == student) return l.auxiliary;
  fail("hkd: no larger network is known for ", student, "; name one in methods.hkd.auxiliary");
}

/// Cosines, [N, N].
Variable cosines(const Variable& f) {
  // Below 1e-12 a norm is nothing beside 1e-6; the clamp spares the root its pole at 0.
  const Variable u = f / (sqrt(clamp(sum(square(f), {1}, true), 1e-24, 3e38)) + 1e-6);
  return affine(matmul(u, u, false, true), 0.5, 0.5);
}
/// Student's t of the distances, [N, N].
Variable closeness(const Variable& f) {
  const int64_t n = f.size(0);
  const Variable squares = sum(square(f), {1}, true);
  const Variable squared = squares + reshape(squares, {1, n}) - matmul(f, f, false, true) * 2;
  return pow(sqrt(clamp(squared, 0, 3e38) + 1e-6) + 1.0, -1);
}
/// Far enough from 0 for a logarithm: a cosine of -1 gives a similarity of 0.
Variable rows(const Variable& s) { return clamp(s / sum(s, {1}, true), 1e-30, 2); }

Variable difference(const Variable& a, const Variable& b) {
  const Variable x = rows(a), y = rows(b);
  return mean((x - y) * (log(x) - log(y)));
}

Variable level_loss(const Level& level) {
  const Variable s = flatten(level.student), t = flatten(Variable(level.teacher.data()));
  return difference(cosines(t), cosines(s)) + difference(closeness(t), closeness(s));
}

/// f[1..-2], paired from the deepest.
std::vector<Level> maps_from_the_back(const nn::Features& student, const nn::Features& teacher) {
  const std::vector<Variable> s = maps_of("hkd", student, "student"),
                              t = maps_of("hkd", teacher, "teacher");
  std::vector<Level> levels;
  for (size_t i = 1; i <= std::min(s.size(), t.size()); ++i)
    levels.push_back({s[s.size() - i], t[t.size() - i]});
  return levels;
}

/// What teaches the auxiliary: the pooled vectors alone.
class LastLevel : public Method {
 public:
  explicit LastLevel(const HkdSettings& s) : settings_(s) {}
  LossWeights weights() const override { return settings_; }
  void prepare(const Pair& pair) override { pooled_vectors("hkd", pair.student, pair.teacher); }
  Variable loss(const DistillationStep& step) override {
    return of_batch(level_loss(pooled_vectors("hkd", step.student, step.teacher)), step);
  }

 protected:
  Variable of_batch(const Variable& levels, const DistillationStep& step) const {
    const double n = static_cast<double>(step.student.output.size(0));
    return levels * (settings_.weight * n / official_batch);
  }
  const HkdSettings settings_;
};

void train_auxiliary(PreparationContext& c, const HkdSettings& s) {
  Distillation distillation("hkd", std::make_unique<LastLevel>(s), copy_of_teacher(c),
                            c.options.task);
  train::Settings training = c.training;
  const double epochs =
      std::max(1.0, std::round(s.auxiliary_share * static_cast<double>(c.training.epochs)));
  training.epochs = static_cast<int64_t>(epochs);
  for (double& m : training.milestones) m *= epochs / static_cast<double>(c.training.epochs);
  training.warmup *= epochs / static_cast<double>(c.training.epochs);
  train_assistant(c, auxiliary_of(s, c.student_name), distillation, training);
}

class Hkd : public LastLevel {
 public:
  using Settings = HkdSettings;
  explicit Hkd(const Settings& s) : LastLevel(s) {
    check_weight(s.weight, "hkd");
    check_weight(s.maps_weight, "hkd", "maps_weight");
    LIMBECK_CHECK(s.decay > 0 && s.decay <= 1,
                  "methods.hkd.decay: expected a number in (0, 1], "
                  "found ",
                  s.decay);
    LIMBECK_CHECK(s.auxiliary_share > 0 && s.auxiliary_share <= 10,
                  "methods.hkd.auxiliary_share: expected a number in (0, 10], found ",
                  s.auxiliary_share);
    if (has_auxiliary() && !s.auxiliary.empty())
      check_assistant(s.auxiliary, "methods.hkd.auxiliary");
  }
  std::vector<Preparation> preparations() const override {
    if (!has_auxiliary()) return {};
    return {{"auxiliary", "HKD: the auxiliary teacher",
             [s = settings_](PreparationContext& c) { train_auxiliary(c, s); }}};
  }
  std::unique_ptr<nn::Network> other_teacher(
      const std::function<std::string(const std::string&)>& directory_of, Device device) override {
    if (!has_auxiliary() || !directory_of) return nullptr;
    return load_assistant(directory_of("auxiliary"), device);
  }
  void check_names(const std::string&, const std::string& student) override {
    if (has_auxiliary()) auxiliary_of(settings_, student);
  }
  void prepare(const Pair& pair) override {
    LastLevel::prepare(pair);
    maps_from_the_back(pair.student, pair.teacher);
    epochs_ = std::max<double>(1, static_cast<double>(pair.epochs));
  }

  Variable loss(const DistillationStep& step) override {
    Variable maps;
    for (const Level& level : maps_from_the_back(step.student, step.teacher)) {
      const Variable one = level_loss(level);
      maps = maps ? maps + one : one;
    }
    const Variable last = LastLevel::loss(step);
    const Variable epoch(step.step.clock.to(last.dtype()));
    const Variable weight =
        exp(slice(epoch, 0, 1, 2) * (std::log(settings_.decay) * official_epochs / epochs_)) *
        settings_.maps_weight;
    return last + of_batch(reshape(maps * weight, {}), step);
  }

 private:
  bool has_auxiliary() const { return settings_.auxiliary != "teacher"; }
  double epochs_ = 1;
};

const RegisterMethod<Hkd> registered("hkd", "HKD", Family::relations,
                                     "similarities in a batch, all levels (Passalis et al. 2020)");

}  // namespace
}  // namespace limbeck::kd::hkd
