// The task with classes.
#include <algorithm>
#include <cmath>

#include "data/sheet.h"
#include "gan/class_conditioning.h"
#include "gan/metrics.h"
#include "kd/task.h"

namespace limbeck::kd {
namespace {

Result share(double value, const char* kind, Better better = Better::higher) {
  return {value, "share", better, kind};
}

class Classification : public Task {
 public:
  nn::Task kind() const override { return nn::Task::classification; }

  explicit Classification(const ExperimentSettings& settings) : s_(settings) {}

  void check(const data::Split& data) const override {
    LIMBECK_CHECK(data.train.classes > 1, "data: expected at least two classes, found ",
                  data.train.classes);
    const std::vector<int64_t> count = data.train.histogram();
    for (size_t c = 0; c < count.size() && data.train.size() > 0; ++c)
      LIMBECK_CHECK(count[c] > 0, "data: class ", c, " of ", count.size(),
                    " has no training image; fakes of it would be of nothing");
    LIMBECK_CHECK(data.test.size() == 0 || data.test.classes == data.train.classes,
                  "data: ", data.train.classes, " classes in the training part, ",
                  data.test.classes, " in the test part");
  }

  nn::ModelOptions options(const data::Dataset& d) const override {
    return {.outputs = d.classes, .channels = d.channels(), .size = d.height()};
  }
  const train::Criterion& criterion() const override { return criterion_; }
  data::Standardisation standardisation(const data::Dataset& d) const override {
    return data::standardisation_of(d);
  }

  std::unique_ptr<gan::Conditioning> conditioning(const data::Dataset& d, const gan::GanSettings& s,
                                                  const LabelNet&, Device device) const override {
    return gan::condition_on_classes(d, s, device);
  }

  std::unique_ptr<gan::RatioNet> ratio_net(const data::Dataset& d, const gan::RatioSettings& s,
                                           int64_t feature, const LabelNet&) const override {
    return std::make_unique<gan::ClassRatioNet>(d.classes, s.embedding, feature,
                                                gan::ratio_widths(s.net, s.width), s.dropout);
  }

  RatioFeatures load_features(const data::Dataset& d, const std::string& directory,
                              Device device) const override {
    const auto net = std::make_shared<gan::FeatureNet>(options(d), s_.features.net);
    const std::string path = directory + "/features.safetensors";
    net->load_state_dict(read_safetensors(path), path);
    net->set_requires_grad(false);
    net->eval();
    net->to(device);
    gan::FeatureNet* const features = net.get();
    return {.extractor = *features,
            .pooled = [features](const Variable& x) { return features->feature(x); },
            .owner = net};
  }

  std::vector<Tensor> conditions(const data::Dataset& d) const override {
    std::vector<Tensor> all;
    for (int64_t c = 0; c < d.classes; ++c) all.push_back(Tensor::of<int64_t>({c}));
    return all;
  }

  Judge judge(nn::Network& network, const data::Standardisation& standardisation,
              const data::Augmentation& augmentation) const override {
    return classifier_judge(network, standardisation, augmentation);
  }

  int64_t fakes_used(const data::Dataset& d, const FakeSettings& f, int64_t wanted) const override {
    const int64_t kept = f.filter && f.form == "paper"
                             ? std::llround(f.rho * static_cast<double>(f.per_class))
                             : f.per_class;
    const int64_t all = kept * d.classes;
    return wanted > 0 ? std::min(wanted, all) : all;
  }

  data::Dataset load_fakes(const std::string& path, const data::Dataset& real) const override {
    return load_fake_data(path, real.classes);
  }

  Results make_fakes(const FakeTask& task, const FakeSettings& settings) const override {
    FakeStatistics sum;
    for (const FakeStatistics& s : make_fake_data(task, settings)) {
      sum.proposed += s.proposed, sum.accepted += s.accepted, sum.kept += s.kept;
      sum.candidates += s.candidates, sum.candidates_consistent += s.candidates_consistent,
          sum.kept_consistent += s.kept_consistent;
    }
    Results r;
    r["images"] = {sum.kept, "images", Better::neither, "cost"};
    r["acceptance"] = share(sum.accepted / sum.proposed, "fakes", Better::neither);
    if (sum.candidates > 0) {
      r["consistency_before"] = share(sum.candidates_consistent / sum.candidates, "fakes");
      r["consistency_after"] = share(sum.kept_consistent / sum.kept, "fakes");
    }
    return r;
  }

  Results describe(const data::Dataset& fakes, const Judgement& verdict, const std::string& set,
                   double rho) const override {
    Results r;
    r["consistency_" + set] = share(
        gan::label_consistency(verdict.predicted, fakes.labels.to_vector<int64_t>()), "fakes");
    if (set == "m1") {
      r["table6_before"] = r["consistency_m1"];
      r["table6_after"] = share(consistency_of_best(fakes, verdict, rho), "fakes");
    }
    return r;
  }

  std::vector<Group> groups(const data::Dataset& real, const data::Dataset& fakes) const override {
    std::vector<Group> all(static_cast<size_t>(real.classes));
    const auto real_labels = real.labels.span<int64_t>(),
               fake_labels = fakes.labels.span<int64_t>();
    for (size_t i = 0; i < real_labels.size(); ++i)
      all[static_cast<size_t>(real_labels[i])].real.push_back(static_cast<int64_t>(i));
    for (size_t i = 0; i < fake_labels.size(); ++i)
      all[static_cast<size_t>(fake_labels[i])].fake.push_back(static_cast<int64_t>(i));
    return all;
  }

  /// The first images of every class, a class per row.
  Tensor sheet(const data::Dataset& fakes) const override {
    constexpr int64_t columns = 10, rows = 20;
    return data::grid(data::class_sheet(fakes, columns, rows), columns);
  }

 private:
  /// Table 6 of the paper: accepted images of each class after dropping those above the
  /// rho-quantile of the judge's loss.
  static double consistency_of_best(const data::Dataset& fakes, const Judgement& verdict,
                                    double rho) {
    std::vector<int64_t> predicted, assigned;
    const auto labels = fakes.labels.span<int64_t>();
    for (int64_t c = 0; c < fakes.classes; ++c) {
      std::vector<double> loss;
      std::vector<size_t> rows;
      for (size_t i = 0; i < labels.size(); ++i)
        if (labels[i] == c) loss.push_back(verdict.loss[i]), rows.push_back(i);
      for (const int64_t k : keep_best(loss, rho)) {
        predicted.push_back(verdict.predicted[rows[static_cast<size_t>(k)]]);
        assigned.push_back(c);
      }
    }
    return gan::label_consistency(predicted, assigned);
  }

  const ExperimentSettings s_;
  train::ClassificationCriterion criterion_;
};

}  // namespace

std::unique_ptr<Task> classification_task(const ExperimentSettings& settings) {
  return std::make_unique<Classification>(settings);
}

}  // namespace limbeck::kd
