#include "kd/pretraining.h"

#include <algorithm>

namespace limbeck::kd {
namespace {

/// The output is the loss.
class MeanLoss : public train::Criterion {
 public:
  void check(const data::Dataset&, int64_t outputs) const override {
    LIMBECK_CHECK(outputs == 1, "pretraining: expected a loss of each image, found ", outputs);
  }
  Variable loss(const Variable& output, const data::Batch&) const override { return mean(output); }
  double score(const Tensor& output, const data::Batch&) const override {
    double total = 0;
    for (int64_t i = 0; i < output.numel(); ++i) total += output.at(i);
    return total;
  }
  const char* metric() const override { return "error"; }
  std::string unit() const override { return ""; }
  train::Better better() const override { return train::Better::lower; }
};

std::string student_file(const std::string& directory) {
  return directory + "/student.safetensors";
}

}  // namespace

nn::Features SampleLoss::forward_features(const Variable& images, bool) {
  const Variable output = reshape(losses(images), {images.size(0), 1});
  return {{}, output, output};
}

void pretrain(SampleLoss& network, const PreparationContext& context,
              const train::Settings& settings) {
  const MeanLoss criterion;
  train::fit({.network = network,
              .train = context.data.train,
              .test = context.data.test,
              .standardisation = context.standardisation,
              .criterion = criterion,
              .stream = context.stream,
              .monitor = context.monitor},
             settings);
}

Body::Body(nn::Network& network, const Shape& image) : network_(network) {
  const GradMode on(true);
  network.eval();
  const Variable images(
      Tensor::zeros({2, image[0], image[1], image[2]}, DType::f32, network.device()));
  const nn::Features f = network.forward_features(images);
  LIMBECK_CHECK(f.taps.size() > 1, "pretraining: the student has no maps; it has ", f.taps.size(),
                " taps");
  Variable total;
  for (size_t i = 0; i + 1 < f.taps.size(); ++i)
    total = total ? total + sum(f.taps[i]) : sum(f.taps[i]);
  network.zero_grad();
  total.backward();
  std::unordered_set<const void*> body;
  for (const Variable& p : network.parameter_values()) {
    if (p.grad().defined())
      body.insert(p.impl());
    else
      rest_.push_back(p);
  }
  network.visit([&](const std::string&, nn::Module& m) {
    const std::vector<Variable> own = m.parameter_values();
    if (!own.empty() && std::all_of(own.begin(), own.end(),
                                    [&](const Variable& p) { return body.count(p.impl()) > 0; }))
      modules_.push_back(&m);
  });
  network.zero_grad();
  for (const Variable& p : rest_) p.set_requires_grad(false);
}

Body::~Body() {
  for (const Variable& p : rest_) p.set_requires_grad(true);
}

void Body::train() {
  network_.eval();
  for (nn::Module* m : modules_) m->train();
}

BodyLoss::BodyLoss(const PreparationContext& context, bool preact)
    : student_(context.student),
      teacher_(context.teacher),
      preact_(preact),
      body_(context.student, {context.data.train.height(), context.data.train.width(),
                              context.data.train.channels()}) {
  add("student", student_);
}

Variable BodyLoss::losses(const Variable& images) {
  if (training()) body_.train();
  nn::Features teacher;
  {
    const NoGrad no_grad;
    teacher = teacher_.forward_features(images, preact_);
  }
  return losses(student_.forward_features(images, preact_), teacher);
}

void save_student(const PreparationContext& context) {
  write_safetensors(student_file(context.directory), context.student.state_dict());
}

void load_student(const Pair& pair, const std::string& preparation) {
  const std::string path = student_file(pair.directory_of(preparation));
  pair.student_network.load_state_dict(read_safetensors(path), path);
}

}  // namespace limbeck::kd
