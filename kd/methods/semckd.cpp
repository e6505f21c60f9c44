// SemCKD: each student level learns from all teacher levels, each image with weights of its own
// (Chen, Mei, Zhang, Wang, Feng, Chen, "Cross-layer distillation with semantic calibration", AAAI
// 2021, Eq. 4 to 8; official code: DefangChen/SemCKD).
//   levels: all maps but the first tap's; G = F F^T [B, B] of a level's flattened maps
//   query_i = unit(MLP_i(G_s_i)), key_j = unit(MLP'_j(G_t_j)), row by row, MLP: B -> B/2 -> B/4
//   w[b, i, :] = softmax over j of <query_i[b], key_j[b]>
//   d[b, i, j] = mean (r_ij(s_i) - t_j)^2 of image b, the larger map pooled to the smaller first;
//   r_ij: conv1x1 C_s -> 2 C_t, BN, ReLU, conv3x3, BN, ReLU, conv1x1 -> C_t
//   loss = weight / (B n_s) sum w d,  weight 400 (the code's for CIFAR-100; ImageNet 50); plus CE
//   and soft targets
// The MLPs take a batch's rows: the batch size is part of the structure, and incomplete batches are
// left out, as in the official code. Its L2 norm has no guard, so a row of zeros gives NaN (one
// candidate for the divergence of resnet110 > resnet20, NA in the cGAN-KD paper for that reason);
// here the norm is at least 1e-12. `na_pairs` asks for that pair.
#include <algorithm>

#include "kd/levels.h"
#include "kd/method.h"
#include "nn/layers.h"

namespace limbeck::kd::semckd {
namespace {

struct SemckdSettings : EarlyDropWeights {
  double weight = 400;
  bool na_pairs = false;
  void fields(FieldVisitor& v) {
    EarlyDropWeights::fields(v);
    v("weight", weight, "beta: weight of the calibrated differences");
    v("na_pairs", na_pairs, "also resnet110 > resnet20, which the paper marks NA", Influence::none);
  }
};

/// Similarities of the images of a batch [B, B] to unit vectors [B, B/4].
struct Embedding : nn::Module {
  nn::Linear linear1, linear2;
  explicit Embedding(int64_t batch) : linear1(batch, batch / 2), linear2(batch / 2, batch / 4) {
    add("linear1", linear1);
    add("linear2", linear2);
  }
  Variable forward(const Variable& map) override {
    const Variable f = flatten(map);
    return l2_normalize(linear2(relu(linear1(matmul(f, f, false, true)))));
  }
};

struct Regressor : nn::Module {
  nn::Conv2d conv1, conv2, conv3;
  nn::BatchNorm2d bn1, bn2;
  Regressor(int64_t in, int64_t out)
      : conv1(in, 2 * out, {.kernel = 1}),
        conv2(2 * out, 2 * out, {.kernel = 3, .padding = 1}),
        conv3(2 * out, out, {.kernel = 1}),
        bn1(2 * out),
        bn2(2 * out) {
    add("conv1", conv1), add("bn1", bn1), add("conv2", conv2), add("bn2", bn2), add("conv3", conv3);
  }
  Variable forward(const Variable& x) override {
    return conv3(bn2.relu(conv2(bn1.relu(conv1(x)))));
  }
};

struct Calibration : nn::Module {
  std::vector<Embedding*> queries, keys;
  std::vector<std::vector<Regressor*>> regressors;  ///< [student level][teacher level]
  Calibration(const Variables& student, const Variables& teacher, int64_t batch) {
    for (size_t i = 0; i < student.size(); ++i)
      queries.push_back(&own(cat("query", i), std::make_unique<Embedding>(batch)));
    for (size_t j = 0; j < teacher.size(); ++j)
      keys.push_back(&own(cat("key", j), std::make_unique<Embedding>(batch)));
    for (size_t i = 0; i < student.size(); ++i) {
      regressors.emplace_back();
      for (size_t j = 0; j < teacher.size(); ++j)
        regressors[i].push_back(
            &own(cat("regressor", i, "_", j),
                 std::make_unique<Regressor>(student[i].size(3), teacher[j].size(3))));
    }
  }
};

/// Mean over all but the images: [B].
Variable mean_of_images(const Variable& x) { return mean(flatten(x), {1}); }

class SemCkd : public Method {
 public:
  using Settings = SemckdSettings;
  explicit SemCkd(const Settings& s) : settings_(s) {
    LIMBECK_CHECK(s.weight >= 0, "methods.semckd.weight: expected 0 or more, found ", s.weight);
  }
  LossWeights weights() const override { return settings_; }
  void adjust(train::Settings& training, bool) const override {
    training.late_drop = settings_.late_drop;
  }
  bool drop_last() const override { return true; }
  void check_names(const std::string& teacher, const std::string& student) override {
    LIMBECK_CHECK(settings_.na_pairs || teacher != "resnet110" || student != "resnet20",
                  "semckd: NA in the paper, where its training diverged; "
                  "methods.semckd.na_pairs = true runs it");
  }

  void check(const Pair& pair) override {
    maps_of("semckd", pair.student, "student"), maps_of("semckd", pair.teacher, "teacher");
    LIMBECK_CHECK(pair.batch >= 4, "semckd embeds a batch in a quarter of its size; expected ",
                  "batches of at least 4 images, found ", pair.batch);
    LIMBECK_CHECK(pair.train.size() == 0 || pair.train.size() >= pair.batch,
                  "semckd leaves out incomplete batches; ", pair.train.size(),
                  " images give no batch of ", pair.batch);
  }

  void prepare(const Pair& pair) override {
    modules_ =
        std::make_unique<Calibration>(maps_of("semckd", pair.student, "student"),
                                      maps_of("semckd", pair.teacher, "teacher"), pair.batch);
    modules_->initialise(pair.init);
  }
  nn::Module* auxiliary() override { return modules_.get(); }

  Variable loss(const DistillationStep& step) override {
    const Variables s = maps_of("semckd", step.student, "student");
    Variables t, keys;
    for (const Variable& map : maps_of("semckd", step.teacher, "teacher"))
      t.emplace_back(map.data());
    for (size_t j = 0; j < t.size(); ++j) keys.push_back((*modules_->keys[j])(t[j]));
    Variable total;
    for (size_t i = 0; i < s.size(); ++i) {
      const Variable query = (*modules_->queries[i])(s[i]);
      Variables affinities, differences;
      for (size_t j = 0; j < t.size(); ++j) {
        affinities.push_back(sum(query * keys[j], {1}, true));
        differences.push_back(difference(s[i], t[j], *modules_->regressors[i][j]));
      }
      const Variable level = sum(softmax(concat(affinities, 1)) * concat(differences, 1));
      total = total.defined() ? total + level : level;
    }
    return total *
           (settings_.weight / static_cast<double>(s[0].size(0)) / static_cast<double>(s.size()));
  }

 private:
  /// [B, 1].
  static Variable difference(const Variable& s, const Variable& t, Regressor& regressor) {
    const int64_t side = std::min(s.size(1), t.size(1));
    const Variable d = square(regressor(pooled_to(s, side)) - pooled_to(t, side));
    return reshape(mean_of_images(d), {s.size(0), 1});
  }

  const Settings settings_;
  std::unique_ptr<Calibration> modules_;
};

const RegisterMethod<SemCkd> registered("semckd", "SemCKD", Family::features,
                                        "all levels, weighed by each image (Chen et al. 2021)");

}  // namespace
}  // namespace limbeck::kd::semckd
