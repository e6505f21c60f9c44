#include "gan/vicinity_conditioning.h"

#include <cmath>

#include "gan/sampler.h"
#include "tensor/rows.h"

namespace limbeck::gan {
namespace {

constexpr int64_t sweep_rows = 10,
                  sweep_columns = 10;  // responses from the 5 % to the 95 % quantile, evenly

class VicinityConditioning : public Conditioning {
 public:
  VicinityConditioning(const data::Dataset& data, const GanSettings& settings,
                       EmbeddedResponses embedding, Device device)
      : data_(data),
        batch_(settings.batch),
        device_(device),
        embedding_(std::move(embedding)),
        responses_(data.targets.span<float>()),
        vicinity_(vicinity_of(responses_, settings.vicinity)),
        negatives_(settings.negatives),
        loading_{.batch = settings.batch,
                 .augmentation = {.crop_padding = 0, .flip = settings.flip},
                 .standardisation = data::halves(data),
                 .threads = settings.loader_threads,
                 .device = device} {}

  const data::Dataset& data() const override { return data_; }
  bool one_batch() const override { return false; }
  void configure(NetworkConfig& config) const override {
    check_condition_kind(config.arch, /*classes=*/false);
    config.label_dim = embedding_.size;
  }

  void begin(const Stream& stream, int64_t first) override {
    loader_.reset();  // its threads read what changes here
    negative_loader_.reset();
    stream_ = stream;
    draws_ = stream.fork("vicinity");
    next_ = first;
    data::Loader::Config loading = loading_;
    loading.pick = [this](int64_t update) { return images_of(draws_of(update)); };
    loader_ = std::make_unique<data::Loader>(data_, loading, stream, first);
  }

  void begin_step(int64_t step, Generator& average) override {
    if (!negatives_.used() || negative_loader_ || step < negatives_.start) return;
    if (negatives_.poor > 0 && !poor_.images.defined()) make_poor_fakes(average);
    begin_negatives();
  }

  // The loader drew the same numbers when it picked the images, perhaps in another thread.
  Real next_real() override {
    const data::Batch real = loader_->next();
    Real all{real.images, real.draws, {numbers_of(draws_of(next_++))}};
    if (!negative_loader_) return all;
    const data::Batch negative = negative_loader_->next();
    all.negatives = negative.images, all.negative_draws = negative.draws;
    return all;
  }

  TensorFile state() const override {
    TensorFile file;
    if (!poor_.images.defined()) return file;
    file.add("poor_images", poor_.images);
    file.add("poor_responses", poor_.targets);
    return file;
  }
  void load(const TensorFile& file) override {
    if (!file.find("poor_images")) return;
    poor_.images = file.get("poor_images");
    poor_.targets = file.get("poor_responses");
  }

  Tensors next_targets(const Stream& stream) const override {
    Stream draws = stream.fork("targets");
    const Tensor y = Tensor::empty({batch_});
    float* v = y.data<float>();
    for (const double target : draw_targets(responses_, vicinity_, batch_, draws))
      *v++ = static_cast<float>(target);
    return {y};
  }

  DiscriminatorConditions discriminator_conditions(const Tensors& inputs,
                                                   const Tensor&) const override {
    const auto row = [&](int64_t i) { return inputs.at(0).rows(i, i + 1).reshape({batch_}); };
    const auto column = [&](int64_t i) { return row(i).reshape({batch_, 1}); };
    const auto weights = [&](int64_t i) { return vicinity_.soft ? column(i) : Tensor(); };
    const Condition target = embedded(row(0));
    return {.made = embedded(row(1)),
            .judged_fake = target,
            .judged_real = target,
            .real_weights = weights(2),
            .fake_weights = weights(3),
            .target = column(0),
            .fake_response = column(1),
            .base = column(4)};
  }
  Condition generator_condition(const Tensors& inputs, const Tensor&) const override {
    return embedded(inputs.at(0));
  }
  Tensor generator_responses(const Tensors& inputs) const override {
    return inputs.at(0).reshape({batch_, 1});
  }

  std::vector<Picture> pictures(Generator& generator, const Stream& stream) const override {
    const double low = responses_.quantile(0.05), high = responses_.quantile(0.95);
    const Tensor y = Tensor::empty({sweep_columns});
    for (int64_t i = 0; i < sweep_columns; ++i)
      y.data<float>()[i] =
          static_cast<float>(std::lerp(low, high, static_cast<double>(i) / (sweep_columns - 1)));
    return {{"responses", sweep(generator, embedded(y.to(device_)), sweep_rows, stream)}};
  }

 private:
  using VicinalDraws = std::vector<VicinalDraw>;
  VicinalDraws draws_of(int64_t update) const {
    Stream stream = draws_.fork("update", static_cast<uint64_t>(update));
    return draw_vicinal_batch(responses_, vicinity_, batch_, stream);
  }
  static std::vector<int64_t> images_of(const VicinalDraws& draws) {
    std::vector<int64_t> images;
    for (const VicinalDraw& d : draws) images.push_back(d.image);
    return images;
  }
  /// [5, batch]: targets, responses of the fakes, weights of real and fake images, widths.
  static Tensor numbers_of(const VicinalDraws& draws) {
    const int64_t n = static_cast<int64_t>(draws.size());
    const Tensor all = Tensor::empty({5, n});
    float* const v = all.data<float>();
    for (int64_t i = 0; i < n; ++i) {
      const VicinalDraw& d = draws[static_cast<size_t>(i)];
      const double row[] = {d.target, d.fake_response, d.real_weight, d.fake_weight, d.base};
      for (int64_t r = 0; r < 5; ++r) v[r * n + i] = static_cast<float>(row[r]);
    }
    return all;
  }
  Condition embedded(const Tensor& y) const {
    const NoGrad no_grad;
    return {{}, Variable(embedding_.embed(y))};
  }

  void make_poor_fakes(Generator& average) {
    poor_ = poor_fakes(
        average, [this](const Tensor& y) { return embedded(y.to(device_)); }, data_, negatives_,
        stream_.fork("poor fakes"));
  }
  /// Real images and poor fakes stand in one list, from which each update takes those of its
  /// targets.
  void begin_negatives() {
    data::Dataset all = data_;
    if (negatives_.poor > 0) {
      all.images = join_rows({data_.images, poor_.images});
      all.targets = join_rows({data_.targets, poor_.targets});
      poor_responses_ = std::make_unique<SortedResponses>(poor_.targets.span<float>());
    }
    data::Loader::Config loading = loading_;
    loading.batch = negatives_.kinds() * batch_;
    loading.pick = [this](int64_t update) { return negatives_of(update); };
    negative_loader_ =
        std::make_unique<data::Loader>(all, loading, stream_.fork("negatives"), next_);
  }
  std::vector<int64_t> negatives_of(int64_t update) const {
    Stream stream = draws_.fork("negatives", static_cast<uint64_t>(update));
    const VicinalDraws draws = draws_of(update);
    std::vector<int64_t> images;
    if (negatives_.mismatched > 0)
      for (const VicinalDraw& d : draws)
        images.push_back(
            draw_mismatched(responses_, d.target, negatives_.mismatched_quantile, stream));
    if (negatives_.poor > 0)
      for (const VicinalDraw& d : draws)
        images.push_back(data_.size() + draw_near(*poor_responses_, d.target, d.base, stream));
    return images;
  }

  const data::Dataset data_;
  const int64_t batch_;
  const Device device_;
  const EmbeddedResponses embedding_;
  const SortedResponses responses_;
  const Vicinity vicinity_;
  const NegativeSettings negatives_;
  const data::Loader::Config loading_;
  Stream stream_, draws_;
  int64_t next_ = 0;
  data::Dataset poor_;
  std::unique_ptr<SortedResponses> poor_responses_;
  std::unique_ptr<data::Loader> loader_, negative_loader_;  // last: their threads read the rest
};

}  // namespace

EmbeddedResponses responses_as_they_are() {
  return {[](const Tensor& y) { return y.reshape({y.numel(), 1}); }, 1};
}

std::unique_ptr<Conditioning> condition_on_responses(const data::Dataset& data,
                                                     const GanSettings& settings,
                                                     EmbeddedResponses embedding, Device device) {
  LIMBECK_CHECK(data.targets.defined(), "GAN training: the data set has no responses");
  LIMBECK_CHECK(embedding.embed && embedding.size > 0,
                "GAN training: the responses have no embedding");
  return std::make_unique<VicinityConditioning>(data, settings, std::move(embedding), device);
}

}  // namespace limbeck::gan
