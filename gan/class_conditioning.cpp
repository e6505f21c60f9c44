#include "gan/class_conditioning.h"

#include "gan/sampler.h"
#include "ops/random.h"

namespace limbeck::gan {
namespace {

constexpr int64_t samples_side = 8;    // fixed noise: 8 x 8 images, classes in turn
constexpr int64_t sheet_columns = 10;  // a row per class

class ClassConditioning : public Conditioning {
 public:
  ClassConditioning(const data::Dataset& data, const GanSettings& settings, Device device)
      : data_(data),
        batch_(settings.batch),
        loading_{.batch = settings.batch,
                 .drop_last = true,
                 .shuffle = true,
                 .augmentation = {.crop_padding = 0, .flip = settings.flip},
                 .standardisation = data::halves(data),
                 .threads = settings.loader_threads,
                 .device = device} {}

  const data::Dataset& data() const override { return data_; }
  bool one_batch() const override { return true; }
  void configure(NetworkConfig& config) const override {
    check_condition_kind(config.arch, /*classes=*/true);
    config.classes = data_.classes;
  }

  void begin(const Stream& stream, int64_t first) override {
    loader_ = std::make_unique<data::Loader>(data_, loading_, stream, first);
  }
  Real next_real() override {
    data::Batch real = loader_->next();
    return {real.images, real.draws, {real.labels}};
  }
  Tensors next_targets(const Stream&) const override { return {}; }

  DiscriminatorConditions discriminator_conditions(const Tensors& inputs,
                                                   const Tensor& place) const override {
    const Condition fake = drawn(place);
    return {.made = fake,
            .judged_fake = fake,
            .judged_real = {inputs.at(0), {}},
            .real_weights = {},
            .fake_weights = {}};
  }
  Condition generator_condition(const Tensors&, const Tensor& place) const override {
    return drawn(place);
  }

  std::vector<Picture> pictures(Generator& generator, const Stream& stream) const override {
    std::vector<int64_t> labels(static_cast<size_t>(samples_side * samples_side));
    for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int64_t>(i) % data_.classes;
    return {{"samples", data::grid(data::to_bytes(sample(generator, Tensor::of(labels), stream)),
                                   samples_side)},
            {"classes", class_sheet(generator, sheet_columns, stream)}};
  }

 private:
  Condition drawn(const Tensor& place) const {
    return {draw_integers(place, {batch_}, 0, data_.classes), {}};
  }

  const data::Dataset data_;
  const int64_t batch_;
  const data::Loader::Config loading_;
  std::unique_ptr<data::Loader> loader_;
};

}  // namespace

std::unique_ptr<Conditioning> condition_on_classes(const data::Dataset& data,
                                                   const GanSettings& settings, Device device) {
  LIMBECK_CHECK(data.classes > 0 && data.labels.defined(),
                "GAN training: the data set has no classes");
  LIMBECK_CHECK(settings.batch >= 1 && settings.batch <= data.size(), "gan.batch: expected 1 to ",
                data.size(), " (the number of training images), found ", settings.batch);
  return std::make_unique<ClassConditioning>(data, settings, device);
}

}  // namespace limbeck::gan
