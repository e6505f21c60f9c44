// FT: factor transfer (Kim, Park, Kwak, "Paraphrasing complex network: network compression via
// factor transfer", NeurIPS 2018, Eqs. 1 to 3; RepDistiller distiller_zoo/FT.py).
//   stage before  paraphraser on the teacher's last map f = f[-2]:
//                 mean((decoder(encoder(f)) - f)^2)
//   loss = beta mean |u(translator(f_s)) - u(encoder(f_t))|,  beta = 200,
//          u(F) = v / |v| with v[h w] = mean of F^2 over the channels
// Encoder: three 3x3 convolutions C -> C -> C/2 -> C/2; decoder: transposed ones back; LeakyReLU
// with slope 0.1 behind each. Translator: the same as the encoder from C_s, with batch norm. The
// larger factor is averaged to the smaller's size. Official and paper: the paper normalises the
// whole factor and sums over it, the code compares maps of mean squares. The paraphraser is frozen
// in the student's training; its learning rate is 0.01 for ResNet and WRN students, 0.05 for VGG.
#include "autograd/autocast.h"
#include "kd/levels.h"
#include "kd/parity_kd.h"
#include "kd/pretraining.h"
#include "nn/layers.h"

namespace limbeck::kd::ft {
namespace {

struct FtSettings : LossWeights {
  double weight = 200;
  PretrainingSettings paraphraser{0.01};
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the difference between factors");
    v("paraphraser", paraphraser, "how the paraphraser trains");
  }
};

/// Three convolutions with LeakyReLU, in RepDistiller's numbering: convolution, batch norm (or
/// nothing), activation.
class Coder : public nn::Module {
 public:
  enum class Kind { plain, normalised, transposed };
  Coder(const std::array<int64_t, 4>& channels, Kind kind) {
    const nn::Conv2dConfig config{.kernel = 3, .padding = 1, .bias = true};
    for (size_t i = 0; i < 3; ++i) {
      const int64_t in = channels[i], out = channels[i + 1];
      std::unique_ptr<nn::Module> conv;
      if (kind == Kind::transposed)
        conv = std::make_unique<nn::ConvTranspose2d>(in, out, config);
      else
        conv = std::make_unique<nn::Conv2d>(in, out, config);
      layers_.push_back(&own(std::to_string(3 * i), std::move(conv)));
      if (kind == Kind::normalised)
        layers_.push_back(&own(std::to_string(3 * i + 1), std::make_unique<nn::BatchNorm2d>(out)));
      layers_.push_back(nullptr);  // the activation
    }
  }
  Variable forward(const Variable& x) override {
    Variable h = x;
    for (nn::Module* layer : layers_) h = layer ? (*layer)(h) : leaky_relu(h, 0.1);
    return h;
  }

 private:
  std::vector<nn::Module*> layers_;
};

struct Paraphraser : nn::Module {
  Coder encoder, decoder;
  explicit Paraphraser(int64_t channels)
      : encoder({channels, channels, channels / 2, channels / 2}, Coder::Kind::plain),
        decoder({channels / 2, channels / 2, channels, channels}, Coder::Kind::transposed) {
    add("encoder", encoder), add("decoder", decoder);
  }
  /// Squared error of each element.
  Variable errors(const Variable& map) { return square(decoder(encoder(map)) - map); }
};
struct Translator : nn::Module {
  Coder encoder;
  Translator(int64_t student, int64_t factors)
      : encoder({student, student, factors, factors}, Coder::Kind::normalised) {
    add("encoder", encoder);
  }
  Variable forward(const Variable& x) override { return encoder(x); }
};

/// What the paraphraser loses of the teacher's last map of each image.
class Reconstruction : public SampleLoss {
 public:
  Reconstruction(Paraphraser& paraphraser, nn::Network& teacher)
      : paraphraser_(paraphraser), teacher_(teacher) {
    add("paraphraser", paraphraser);
  }

 protected:
  Variable losses(const Variable& images) override {
    nn::Features f;
    {
      const NoGrad no_grad;
      f = teacher_.forward_features(images);
    }
    return mean(paraphraser_.errors(last_maps("ft", f, f).teacher), {1, 2, 3});
  }

 private:
  Paraphraser& paraphraser_;
  nn::Network& teacher_;
};

std::string file_in(const std::string& directory) { return directory + "/paraphraser.safetensors"; }

void train_paraphraser(const PreparationContext& context, const train::Settings& settings) {
  const data::Dataset& d = context.data.train;
  int64_t channels = 0;
  {
    const NoGrad no_grad;
    const nn::Features f = context.teacher.forward_features(Variable(Tensor::zeros(
        {2, d.height(), d.width(), d.channels()}, DType::f32, context.teacher.device())));
    channels = last_maps("ft", f, f).teacher.size(3);
  }
  Paraphraser paraphraser(channels);
  paraphraser.initialise(context.stream.fork("init"));
  paraphraser.to(context.teacher.device());
  Reconstruction reconstruction(paraphraser, context.teacher);
  pretrain(reconstruction, context, settings);
  write_safetensors(file_in(context.directory), paraphraser.state_dict());
}

Variable factor_map(const Variable& factor) {
  return l2_normalize(flatten(mean(square(from_activation(factor)), {3})));
}

class Ft : public Method {
 public:
  using Settings = FtSettings;
  explicit Ft(const Settings& s) : settings_(s) {
    check_weight(s.weight, "ft");
    train::check(s.paraphraser, "methods.ft.paraphraser", false);
  }
  LossWeights weights() const override { return settings_; }
  std::vector<Preparation> preparations() const override {
    return {{"paraphraser", "FT: paraphraser of the teacher's last map",
             [settings = settings_.paraphraser](PreparationContext& c) {
               train_paraphraser(c, settings);
             }}};
  }
  void prepare(const Pair& pair) override {
    const auto [s, t] = last_maps("ft", pair.student, pair.teacher);
    LIMBECK_CHECK(t.size(3) > 1,
                  "ft: the teacher's last map has one channel, half of which is "
                  "none");
    translator_ = std::make_unique<Translator>(s.size(3), t.size(3) / 2);
    translator_->initialise(pair.init);
    paraphraser_ = std::make_unique<Paraphraser>(t.size(3));
    if (pair.directory_of) {
      const std::string path = file_in(pair.directory_of("paraphraser"));
      paraphraser_->load_state_dict(read_safetensors(path), path);
    }
    paraphraser_->set_requires_grad(false);
    paraphraser_->eval();
    paraphraser_->to(t.data().device());
  }
  Translator* auxiliary() override { return translator_.get(); }
  Paraphraser& paraphraser() { return *paraphraser_; }
  Variable loss(const DistillationStep& step) override {
    const auto [s, t] = last_maps("ft", step.student, step.teacher);
    const auto [student, teacher] = same_size({(*translator_)(s), paraphraser_->encoder(t)});
    return l1_loss(factor_map(student), factor_map(teacher)) * settings_.weight;
  }

 private:
  const Settings settings_;
  std::unique_ptr<Translator> translator_;
  std::unique_ptr<Paraphraser> paraphraser_;
};

const RegisterMethod<Ft> registered("ft", "FT", Family::features,
                                    "factors of the teacher's last map (Kim et al. 2018)");
const RegisterParityCase parity("FT", [](const ParityCase& c) {
  const auto method = std::make_shared<Ft>(FtSettings{{}, 1});
  return own_term(
      c, method, features_with_maps(c.student.all), features_with_maps(c.teacher.all), [method] {
        return std::vector<ParityOutcome::Part>{{"translator.", method->auxiliary()},
                                                {"paraphraser.", &method->paraphraser()}};
      });
});
const RegisterParityCase reconstruction("FT_paraphraser_reconstruction", [](const ParityCase& c) {
  const auto paraphraser = std::make_shared<Paraphraser>(c.teacher[0].size(3));
  c.fill(*paraphraser);
  return ParityOutcome{.loss = mean(paraphraser->errors(c.teacher[0])),
                       .modules = {{"paraphraser.", paraphraser.get()}},
                       .owner = paraphraser};
});

}  // namespace
}  // namespace limbeck::kd::ft
