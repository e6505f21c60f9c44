#include "gan/vicinity_conditioning.h"

#include <cmath>

#include "gan/sampler.h"

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
        loading_{.batch = settings.batch,
                 .augmentation = {.crop_padding = 0, .flip = settings.flip},
                 .standardisation = data::halves(data),
                 .threads = settings.loader_threads,
                 .device = device} {}

  const data::Dataset& data() const override { return data_; }
  bool one_batch() const override { return false; }
  void configure(NetworkConfig& config) const override {
    check_condition_kind(config.arch, ConditionKind::embedding);
    config.label_dim = embedding_.size;
  }

  void begin(const Stream& stream, int64_t first) override {
    loader_.reset();  // its threads read what changes here
    draws_ = stream.fork("vicinity");
    next_ = first;
    data::Loader::Config loading = loading_;
    loading.pick = [this](int64_t update) { return images_of(draws_of(update)); };
    loader_ = std::make_unique<data::Loader>(data_, loading, stream, first);
  }

  // The loader drew the same numbers when it picked the images, perhaps in another thread.
  Real next_real() override {
    const data::Batch real = loader_->next();
    return {real.images, real.draws, {numbers_of(draws_of(next_++))}};
  }

  Tensors next_targets(const Stream& stream) const override {
    Stream draws = stream.fork("targets");
    const Tensor y = Tensor::empty({batch_});
    for (float& v : y.span<float>())
      v = static_cast<float>(draw_target(responses_, vicinity_, draws));
    return {y};
  }

  DiscriminatorConditions discriminator_conditions(const Tensors& inputs,
                                                   const Tensor&) const override {
    const auto row = [&](int64_t i) { return inputs.at(0).rows(i, i + 1).reshape({batch_}); };
    const auto weights = [&](int64_t i) {
      return vicinity_.soft ? row(i).reshape({batch_, 1}) : Tensor();
    };
    const Condition target = embedded(row(0));
    return {.made = embedded(row(1)),
            .judged_fake = target,
            .judged_real = target,
            .real_weights = weights(2),
            .fake_weights = weights(3)};
  }
  Condition generator_condition(const Tensors& inputs, const Tensor&) const override {
    return embedded(inputs.at(0));
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
    VicinalDraws all;
    for (int64_t i = 0; i < batch_; ++i) all.push_back(draw_vicinal(responses_, vicinity_, stream));
    return all;
  }
  static std::vector<int64_t> images_of(const VicinalDraws& draws) {
    std::vector<int64_t> images;
    for (const VicinalDraw& d : draws) images.push_back(d.image);
    return images;
  }
  /// [4, batch]: targets, responses of the fakes, weights of real and fake images.
  static Tensor numbers_of(const VicinalDraws& draws) {
    const int64_t n = static_cast<int64_t>(draws.size());
    const Tensor all = Tensor::empty({4, n});
    float* const v = all.data<float>();
    for (int64_t i = 0; i < n; ++i) {
      const VicinalDraw& d = draws[static_cast<size_t>(i)];
      const double row[] = {d.target, d.fake_response, d.real_weight, d.fake_weight};
      for (int64_t r = 0; r < 4; ++r) v[r * n + i] = static_cast<float>(row[r]);
    }
    return all;
  }
  Condition embedded(const Tensor& y) const {
    const NoGrad no_grad;
    return {{}, Variable(embedding_.embed(y))};
  }

  const data::Dataset data_;
  const int64_t batch_;
  const Device device_;
  const EmbeddedResponses embedding_;
  const SortedResponses responses_;
  const Vicinity vicinity_;
  const data::Loader::Config loading_;
  Stream draws_;
  int64_t next_ = 0;
  std::unique_ptr<data::Loader> loader_;  // last: its threads read the rest
};

}  // namespace

std::unique_ptr<Conditioning> condition_on_responses(const data::Dataset& data,
                                                     const GanSettings& settings,
                                                     EmbeddedResponses embedding, Device device) {
  LIMBECK_CHECK(data.targets.defined(), "GAN training: the data set has no responses");
  LIMBECK_CHECK(embedding.embed && embedding.size > 0,
                "GAN training: the responses have no embedding");
  return std::make_unique<VicinityConditioning>(data, settings, std::move(embedding), device);
}

}  // namespace limbeck::gan
