// The task with responses.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "data/sheet.h"
#include "gan/autoencoder_trainer.h"
#include "gan/response_ratio.h"
#include "gan/sampler.h"
#include "gan/vicinity_conditioning.h"
#include "kd/response_fakes.h"
#include "kd/task.h"

namespace limbeck::kd {
namespace {

class Regression : public Task {
 public:
  Regression(const data::Dataset& train, ExperimentSettings settings)
      : scale_(train.scale), s_(std::move(settings)), criterion_(scale_), truncated_(scale_, true) {
    if (!train.targets.defined()) return;  // check() tells
    for (const float y : distinct_of(train)) distinct_.push_back(y);
  }

  nn::Task kind() const override { return nn::Task::regression; }

  void check(const data::Split& data) const override {
    scale_.expect_line("data");
    check_responses(data.train, "training");
    if (data.train.size() == 0) return;  // who needs images says so
    const std::vector<float> distinct = distinct_of(data.train);
    LIMBECK_CHECK(distinct.size() > 1, "data: expected different responses, found only ",
                  distinct.at(0), " ", scale_.unit, " in all ", data.train.size(),
                  " training images");
    if (data.test.size() > 0) {
      check_responses(data.test, "test");
      LIMBECK_CHECK(data.test.scale == scale_, "data: the test responses have another scale");
    }
  }

  nn::ModelOptions options(const data::Dataset& d) const override {
    return {
        .outputs = 1, .channels = d.channels(), .size = d.height(), .task = nn::Task::regression};
  }
  const train::Criterion& criterion() const override { return criterion_; }
  std::vector<const train::Criterion*> further_criteria() const override {
    return scale_.truncates ? std::vector<const train::Criterion*>{&truncated_}
                            : std::vector<const train::Criterion*>{};
  }
  data::ResponseScale scale() const override { return scale_; }
  data::Standardisation standardisation(const data::Dataset& d) const override {
    return data::halves(d);
  }

  data::Dataset for_generation(const data::Dataset& d) const override {
    data::Dataset normalised = d;
    normalised.targets = scale_.to_unit(d.targets);
    normalised.scale = {};
    // The scale is in f64, a response on its border may lie an f32 rounding outside.
    for (float& y : normalised.targets.span<float>()) y = std::clamp(y, 0.0f, 1.0f);
    return normalised;
  }

  std::unique_ptr<gan::Conditioning> conditioning(const data::Dataset& d, const gan::GanSettings& s,
                                                  const LabelNet& embedding,
                                                  Device device) const override {
    const bool naive = gan::condition_kind(s.arch) == gan::ConditionKind::response;
    return gan::condition_on_responses(
        d, s, naive ? gan::responses_as_they_are() : gan::embedded_by(embedding), device);
  }

  std::unique_ptr<gan::RatioNet> ratio_net(const data::Dataset&, const gan::RatioSettings& s,
                                           int64_t feature,
                                           const LabelNet& embedding) const override {
    return std::make_unique<gan::ResponseRatioNet>(
        gan::embedded_by(embedding).embed, embedding->dim(), feature,
        gan::response_ratio_widths(s.net, s.width), s.dropout);
  }

  RatioFeatures load_features(const data::Dataset& d, const std::string& directory,
                              Device device) const override {
    const auto net = std::make_shared<gan::SparseEncoder>(gan::size_of(s_.autoencoder, d));
    const std::string path = directory + "/autoencoder.safetensors";
    net->load_state_dict(read_safetensors(path), path);
    net->set_requires_grad(false);
    net->eval();
    net->to(device);
    gan::SparseEncoder* const encoder = net.get();
    return {.extractor = *encoder,
            .pooled = [encoder](const Variable& x) { return (*encoder)(x); },
            .owner = net};
  }

  std::vector<Tensor> conditions(const data::Dataset& d) const override {
    std::vector<Tensor> all;
    const int64_t count = s_.fake_responses.count;
    if (count == 0) {
      for (const float y : distinct_of(for_generation(d))) all.push_back(Tensor::of<float>({y}));
      return all;
    }
    for (int64_t i = 0; i < count; ++i)
      all.push_back(Tensor::of<float>(
          {static_cast<float>(static_cast<double>(i) / static_cast<double>(count - 1))}));
    return all;
  }

  /// Without augmentation: the original judges images as they are.
  Judge judge(nn::Network& network, const data::Standardisation& standardisation,
              const data::Augmentation&) const override {
    return regressor_judge(network, standardisation, scale_);
  }

  int64_t fakes_used(const data::Dataset& d, const FakeSettings& f, int64_t wanted) const override {
    const int64_t made = f.per_class * static_cast<int64_t>(conditions(d).size());
    const int64_t all = f.filter ? kept_of(made, f.rho, f.form) : made;
    return wanted > 0 ? std::min(wanted, all) : all;
  }

  data::Dataset load_fakes(const std::string& path, const data::Dataset&) const override {
    return load_response_fakes(path, scale_);
  }

  Results make_fakes(const FakeTask& task, const FakeSettings& settings) const override {
    const ResponseFakeStatistics s = make_response_fakes(task, settings, scale_);
    Results r;
    r["images"] = {s.kept, "images", Better::neither, "cost"};
    r["acceptance"] = {s.accepted / s.proposed, "share", Better::neither, "fakes"};
    if (!settings.filter) return r;
    r["label_error_before"] = {s.error_before, scale_.unit, Better::lower, "fakes"};
    r["label_error_after"] = {s.error_after, scale_.unit, Better::lower, "fakes"};
    r["cutoff"] = {s.cutoff, scale_.unit, Better::neither, "fakes"};
    return r;
  }

  Results describe(const data::Dataset&, const Judgement& verdict, const std::string& set,
                   double) const override {
    double sum = 0;
    for (const double e : verdict.loss) sum += e;
    Results r;
    r["label_score_" + set] = {sum / static_cast<double>(std::max<size_t>(1, verdict.loss.size())),
                               scale_.unit, Better::lower, "fakes"};
    return r;
  }

  bool intra_fid() const override { return true; }
  int64_t official_batch() const override { return s_.response_evaluation.official_batch; }

  std::vector<Group> groups(const data::Dataset& real, const data::Dataset& fakes) const override {
    std::vector<Group> all;
    for (const double centre : centres()) {
      const auto within = [&](const data::Dataset& d) {
        std::vector<int64_t> rows;
        const auto y = d.targets.span<float>();
        // A response that is equal but for an f32 rounding is equal.
        const double radius = s_.response_evaluation.radius + 1e-6 * (scale_.high - scale_.low);
        for (size_t i = 0; i < y.size(); ++i)
          if (std::abs(static_cast<double>(y[i]) - centre) <= radius)
            rows.push_back(static_cast<int64_t>(i));
        return rows;
      };
      all.push_back({within(real), within(fakes)});
    }
    return all;
  }

  Tensor sheet(const data::Dataset& fakes) const override {
    constexpr int64_t columns = 10;
    return data::grid(data::response_sheet(fakes, columns), columns);
  }

 private:
  void check_responses(const data::Dataset& d, const char* part) const {
    LIMBECK_CHECK(d.targets.defined(), "data: the ", part, " images have no responses");
    LIMBECK_CHECK(scale_.low < scale_.high, "data: the scale of the responses is empty: [",
                  scale_.low, ", ", scale_.high, "]");
    const auto responses = d.targets.span<float>();
    for (size_t i = 0; i < responses.size(); ++i) {
      const double y = scale_.to_unit(static_cast<double>(responses[i]));
      LIMBECK_CHECK(std::isfinite(y), "data: the response of ", part, " image ", i, " is ",
                    responses[i]);
      // A test response may lie outside of a scale taken from the training images.
      LIMBECK_CHECK(std::string(part) == "test" || (y > -1e-6 && y < 1 + 1e-6),
                    "data: the response of ", part, " image ", i, " is ", responses[i],
                    ", expected ", scale_.low, "..", scale_.high, " ", scale_.unit);
    }
  }

  /// Of the windows, in the unit.
  std::vector<double> centres() const {
    const int64_t count = s_.response_evaluation.centres;
    if (count == 0) return distinct_;
    const double low = scale_.low + s_.response_evaluation.radius,
                 high = scale_.high - s_.response_evaluation.radius;
    std::vector<double> all;
    for (int64_t i = 0; i < count; ++i)
      all.push_back(
          count == 1
              ? std::midpoint(low, high)
              : std::lerp(low, high, static_cast<double>(i) / static_cast<double>(count - 1)));
    return all;
  }

  static std::vector<float> distinct_of(const data::Dataset& d) {
    const auto all = d.targets.span<float>();
    const std::set<float> set(all.begin(), all.end());
    return {set.begin(), set.end()};
  }

  const data::ResponseScale scale_;
  const ExperimentSettings s_;
  const train::RegressionCriterion criterion_, truncated_;
  std::vector<double> distinct_;  // responses of the training images, rising
};

}  // namespace

std::unique_ptr<Task> regression_task(const data::Dataset& train,
                                      const ExperimentSettings& settings) {
  return std::make_unique<Regression>(train, settings);
}

}  // namespace limbeck::kd
