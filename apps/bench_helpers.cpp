// The networks around a GAN for `limbeck bench train`: label-to-embedding net, sparse autoencoder,
// density-ratio nets. Losses and optimisers are the original's.
#include <algorithm>

#include "apps/bench_subject.h"
#include "gan/response_ratio.h"
#include "gan/sparse_autoencoder.h"
#include "nn/models/label_embedding.h"
#include "nn/optim.h"
#include "nn/step_graph.h"

namespace limbeck {
namespace {

constexpr int64_t embedding_size = 128;

/// What the three share: modules and an optimiser on a device, and a step of the subclass's loss.
class HelperSubject : public BenchSubject {
 public:
  void train_step(int64_t step) override {
    trained_->train();
    trained_->set_streams(Stream(3).fork("step", static_cast<uint64_t>(step)));
    (*graph_)(inputs_);
  }
  void begin_inference() override { trained_->eval(); }

 protected:
  /// `optimiser` is made after the module has moved.
  template <class Make>
  void prepare(nn::Module& trained, const SubjectOptions& o, Tensors inputs, Make&& optimiser) {
    trained_ = &trained;
    trained.initialise(Stream(1).fork("init"));
    trained.to(o.device);
    for (Tensor& t : inputs) t = t.to(o.device);
    inputs_ = std::move(inputs);
    optimiser_ = optimiser(trained.parameters());
    graph_ = std::make_unique<nn::StepGraph>(o.device, std::vector<nn::Module*>{trained_},
                                             [this](const Tensors& in) {
                                               optimiser_->zero_grad();
                                               loss(in).backward();
                                               optimiser_->step();
                                               return Tensors{};
                                             });
  }
  virtual Variable loss(const Tensors& in) = 0;
  Tensors inputs_;

 private:
  nn::Module* trained_ = nullptr;
  std::unique_ptr<nn::Optimizer> optimiser_;
  std::unique_ptr<nn::StepGraph> graph_;
};

std::unique_ptr<nn::Optimizer> sgd(std::vector<nn::Parameter> parameters) {
  return std::make_unique<nn::SGD>(
      std::move(parameters), nn::SGD::Config{.lr = 0.01, .momentum = 0.9, .weight_decay = 1e-4});
}

/// Learns embeddings from which a frozen h -> response layer gives the response back.
class LabelToEmbeddingSubject : public HelperSubject {
 public:
  explicit LabelToEmbeddingSubject(const SubjectOptions& o)
      : net_(embedding_size),
        back_(nn::create_embedding_network(
            "ResNet18_embed", {.outputs = 1, .size = 64, .task = nn::Task::regression})) {
    back_->initialise(Stream(1).fork("init/back"));
    back_->set_requires_grad(false);
    back_->eval();
    back_->to(o.device);
    prepare(net_, o, {random_uniform({o.batch, 1}, "responses")}, sgd);
  }
  void infer() override {
    const NoGrad no_grad;
    net_(inputs_[0]);
  }
  std::string step_text() const override {
    return "squared error of the response that a frozen layer reads from the embedding, SGD";
  }

 private:
  Variable loss(const Tensors& in) override {
    return mse_loss(back_->response(net_(in[0])), Variable(in[0]));
  }
  nn::LabelToEmbedding net_;
  std::unique_ptr<nn::EmbeddingNetwork> back_;
};

class AutoencoderSubject : public HelperSubject {
 public:
  explicit AutoencoderSubject(const SubjectOptions& o)
      : net_({.bottleneck = 3 * side(o) * side(o), .channels = 3, .size = side(o)}) {
    size_ = side(o);
    prepare(net_, o,
            {random_uniform({o.batch, size_, size_, 3}, "images"),
             random_uniform({o.batch, 1}, "responses")},
            sgd);
  }
  void infer() override {
    const NoGrad no_grad;
    net_.encoder(inputs_[0]);
  }
  std::string step_text() const override {
    return "reconstruction, sparsity and response, SGD; inference is the encoder";
  }

 private:
  static int64_t side(const SubjectOptions& o) { return o.size > 0 ? o.size : 64; }
  Variable loss(const Tensors& in) override {
    return gan::sparse_autoencoder_loss(net_.run(in[0]), Variable(in[0]), Variable(in[1]));
  }
  gan::SparseAutoencoder net_;
};

/// Of features as long as an image; a class has a trained embedding, a response the one that the
/// label-to-embedding net gives.
class RatioSubject : public HelperSubject {
 public:
  RatioSubject(const SubjectOptions& o, nn::Task task) : regression_(task == nn::Task::regression) {
    size_ = o.size > 0 ? o.size : regression_ ? 64 : 32;
    const int64_t feature = 3 * size_ * size_;
    const std::string name = o.model.substr(o.model.find('_') + 1);
    if (regression_) {
      const Tensor embedding = random_uniform({o.batch, embedding_size}, "embedding").to(o.device);
      net_ = std::make_unique<gan::ResponseRatioNet>(
          [embedding](const Tensor&) { return embedding; }, embedding_size, feature,
          gan::response_ratio_widths(name));
    } else {
      net_ = std::make_unique<gan::ClassRatioNet>(o.classes, o.classes, feature,
                                                  gan::ratio_widths(name));
    }
    const Tensor y =
        regression_ ? random_uniform({o.batch}, "y") : random_classes(o.batch, o.classes, "y");
    prepare(
        *net_, o,
        {random_normal({o.batch, feature}, "real"), random_normal({o.batch, feature}, "fake"), y},
        [](std::vector<nn::Parameter> parameters) {
          return std::make_unique<nn::Adam>(
              std::move(parameters),
              nn::Adam::Config{.lr = 1e-4, .beta1 = 0.5, .beta2 = 0.999, .weight_decay = 1e-4});
        });
  }
  void infer() override {
    const NoGrad no_grad;
    net_->ratio(inputs_[1], inputs_[2]);
  }
  std::string step_text() const override {
    return "softplus loss with penalty of as many real and fake features, Adam";
  }

 private:
  Variable loss(const Tensors& in) override {
    const Variable real = net_->ratio(in[0], in[2]);
    return gan::ratio_loss(real, net_->ratio(in[1], in[2]), 0.01);
  }
  const bool regression_;
  std::unique_ptr<gan::RatioNet> net_;
};

}  // namespace

std::vector<std::string> helper_names() {
  return {"y2h", "sparse_autoencoder", "ratio_MLP3", "ratio_MLP5", "ratio_MLP7", "ratio_MLP9"};
}

std::unique_ptr<BenchSubject> create_helper_subject(const SubjectOptions& o) {
  const std::vector<std::string> names = helper_names();
  if (std::find(names.begin(), names.end(), o.model) == names.end()) return nullptr;
  LIMBECK_CHECK(o.width == 0, "bench train: --width is for GANs; ", o.model, " has its own");
  if (o.model.starts_with("ratio_"))
    return std::make_unique<RatioSubject>(
        o, task_of(o, {nn::Task::classification, nn::Task::regression}, nn::Task::classification));
  task_of(o, {nn::Task::regression}, nn::Task::regression);
  if (o.model == "sparse_autoencoder") return std::make_unique<AutoencoderSubject>(o);
  LIMBECK_CHECK(o.size == 0, "bench train: --size is of images; y2h takes numbers");
  return std::make_unique<LabelToEmbeddingSubject>(o);
}

}  // namespace limbeck
