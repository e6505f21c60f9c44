#include "apps/bench_subject.h"

#include <algorithm>
#include <numeric>

#include "gan/feature_net.h"
#include "gan/network.h"
#include "kd/distillation.h"
#include "nn/trace.h"
#include "train/supervised_step.h"

namespace limbeck {
namespace {

constexpr const char* feature_net =
    "ResNet34_extract";  // the feature network of the density ratio is no entry of the registry

/// A method with a teacher of random weights. What its stages before would have made is there with
/// zeros: the work of a step is the same.
std::unique_ptr<kd::Distillation> distillation_of(const SubjectOptions& o,
                                                  const nn::ModelOptions& options) {
  if (o.method.empty() && o.teacher.empty()) return nullptr;
  LIMBECK_CHECK(!o.method.empty() && !o.teacher.empty() && options.task == nn::Task::classification,
                "bench train: --method needs --teacher, --teacher needs --method, and both a task "
                "with classes");
  auto method = kd::create_method(o.method, kd::default_method_settings());
  auto teacher = nn::create_model(o.teacher, options);
  teacher->initialise(Stream(1).fork("teacher"));
  teacher->to(o.device);
  return std::make_unique<kd::Distillation>(o.method, std::move(method), std::move(teacher),
                                            options.task);
}

/// A classifier (cross entropy) or a regressor (squared error), trained by SGD with momentum; a
/// classifier also by a distillation method.
class NetworkSubject : public BenchSubject {
 public:
  NetworkSubject(std::unique_ptr<nn::Network> network, const nn::ModelOptions& options,
                 const SubjectOptions& o)
      : network_(std::move(network)),
        regression_(options.task == nn::Task::regression),
        distillation_(distillation_of(o, options)),
        method_(o.method + " from " + o.teacher) {
    size_ = options.size;
    network_->initialise(Stream(1).fork("init"));
    const int64_t views = distillation_ ? distillation_->views().count() : 1;
    batch_.images = random_normal({views * o.batch, size_, size_, options.channels}, "images");
    if (regression_)
      batch_.targets = random_uniform({o.batch}, "targets");
    else
      batch_.labels = random_classes(o.batch, options.outputs, "targets");
    if (!distillation_) count_macs();
    network_->to(o.device);
    batch_ = batch_.to(o.device);
    if (distillation_) prepare(options, o.batch);
    if (regression_)
      criterion_ = std::make_unique<train::RegressionCriterion>();
    else
      criterion_ = std::make_unique<train::ClassificationCriterion>();
    const std::vector<double> zero(static_cast<size_t>(options.channels), 0), one(zero.size(), 1);
    step_ = std::make_unique<train::SupervisedStep>(
        *network_, *criterion_, data::Standardisation{zero, one},
        nn::SGD::Config{.lr = regression_ ? 0.01 : 0.05, .momentum = 0.9, .weight_decay = 5e-4},
        distillation_.get());
  }

  void train_step(int64_t step) override {
    network_->train();
    (*step_)(batch_, Stream(3).fork("step", static_cast<uint64_t>(step)), step);
  }
  void begin_inference() override { network_->eval(); }
  void infer() override {
    const NoGrad no_grad;
    network_->forward(batch_.images);
  }
  int64_t macs() const override { return macs_; }
  std::string step_text() const override {
    if (distillation_) return "distillation by " + method_ + ", SGD";
    return regression_ ? "squared error, SGD" : "cross entropy, SGD";
  }

 private:
  /// As for a training set of 50,000 images, of which a step sees the first ones.
  void prepare(const nn::ModelOptions& options, int64_t batch) {
    constexpr int64_t images = 50000;
    data::Dataset train;
    train.images = Tensor::zeros({images, 1, 1, options.channels}, DType::u8);
    train.labels = random_classes(images, options.outputs, "labels");
    train.classes = options.outputs;
    batch_.index.resize(static_cast<size_t>(batch));
    std::iota(batch_.index.begin(), batch_.index.end(), 0);
    const NoGrad no_grad;
    network_->eval();
    const Variable probe(batch_.images.rows(0, 2));
    const nn::Features features = network_->forward_features(probe, distillation_->preact());
    distillation_->prepare({*network_, features, probe, train, Stream(4), batch});
    if (nn::Module* auxiliary = distillation_->auxiliary()) auxiliary->to(network_->device());
  }

  void count_macs() {
    const NoGrad no_grad;
    network_->eval();
    nn::LayerTrace trace;
    network_->forward(batch_.images.rows(0, 1));
    macs_ = trace.macs();
  }

  std::unique_ptr<nn::Network> network_;
  bool regression_;
  std::unique_ptr<kd::Distillation> distillation_;  // or null
  const std::string method_;
  data::Batch batch_;
  int64_t macs_ = 0;
  std::unique_ptr<train::Criterion> criterion_;
  std::unique_ptr<train::SupervisedStep> step_;
};

const nn::ModelEntry* entry_of(const std::string& name) {
  for (const nn::ModelEntry& e : nn::all_models())
    if (e.name == name) return &e;
  return nullptr;
}

std::unique_ptr<BenchSubject> create_network_subject(const SubjectOptions& o) {
  const nn::ModelEntry* entry = entry_of(o.model);
  if (!entry && o.model != feature_net) return nullptr;
  LIMBECK_CHECK(entry || o.method.empty(), "bench train: --method is for networks of the registry");
  const nn::Task usual =
      entry && entry->regression_only ? nn::Task::regression : nn::Task::classification;
  std::vector<nn::Task> served;
  for (const nn::Task task : {nn::Task::classification, nn::Task::regression})
    if (entry ? entry->serves(task) : task == nn::Task::classification) served.push_back(task);
  const nn::Task task = task_of(o, served, usual);
  LIMBECK_CHECK(o.width == 0, "bench train: --width is for GANs; ", o.model, " has its own");
  const bool regression = task == nn::Task::regression;
  const nn::ModelOptions options{.outputs = regression ? 1 : o.classes,
                                 .channels = 3,
                                 .size = o.size > 0   ? o.size
                                         : regression ? 64
                                                      : 32,
                                 .task = task};
  std::unique_ptr<nn::Network> network;
  if (entry)
    network = nn::create_model(o.model, options);
  else
    network = std::make_unique<gan::FeatureNet>(options, gan::FeatureNetSize{});
  return std::make_unique<NetworkSubject>(std::move(network), options, o);
}

}  // namespace

nn::Task task_of(const SubjectOptions& o, const std::vector<nn::Task>& served, nn::Task usual) {
  if (o.task.empty()) return usual;
  const nn::Task wanted = nn::parse_task(o.task);
  LIMBECK_CHECK(std::find(served.begin(), served.end(), wanted) != served.end(),
                "bench train: ", o.model, " is not for the task ", o.task, ", only for ",
                nn::name_of(usual));
  return wanted;
}

Tensor random_normal(const Shape& shape, const char* purpose) {
  const Tensor t = Tensor::empty(shape);
  Stream(2).fork(purpose).fill_normal(t);
  return t;
}

Tensor random_uniform(const Shape& shape, const char* purpose) {
  const Tensor t = Tensor::empty(shape);
  Stream(2).fork(purpose).fill_uniform(t);
  return t;
}

Tensor random_classes(int64_t count, int64_t n, const char* purpose) {
  const Tensor t = Tensor::empty({count}, DType::i64);
  Stream(2).fork(purpose).fill_integers(t, 0, n);
  return t;
}

std::unique_ptr<BenchSubject> create_subject(const SubjectOptions& o) {
  LIMBECK_CHECK(o.size >= 0 && o.width >= 0,
                "bench train: --size and --width must not be negative, found ", o.size, " and ",
                o.width);
  LIMBECK_CHECK(o.classes > 0, "bench train: --classes must be at least 1, found ", o.classes);
  for (const auto& create : {create_data_free_subject, create_network_subject, create_gan_subject,
                             create_helper_subject})
    if (auto subject = create(o)) return subject;
  std::vector<std::string> names = helper_names();
  names.push_back(feature_net);
  for (const std::string& name : gan::gan_names()) names.push_back(name);
  for (const nn::ModelEntry& e : nn::all_models()) names.push_back(e.name);
  fail("bench train: unknown network '", o.model, "'",
       did_you_mean(o.model, names, "; `limbeck models` lists them"));
}

}  // namespace limbeck
