// A method of data-free distillation for `limbeck bench train --model STUDENT --method dafl
// --teacher TEACHER`: one round of random weights, as the benchmark in CMI's repository runs the
// method (bench/data_free_pytorch.py). A method with a generator: one step of it and five of the
// student. Syntheses: one of five steps. Inference is the student's.
#include "apps/bench_subject.h"
#include "kd/data_free/registry.h"
#include "kd/data_free/synthesis.h"

namespace limbeck {
namespace {

using namespace kd::data_free;

constexpr int64_t student_steps = 5, synthesis_steps = 5;

/// DAFL, ZSKT, DFAD and DFQ share a generator there, and the student's images come from it in eval
/// mode.
Settings benchmark_settings(const std::string& method, int64_t batch) {
  Settings s = find_entry(method)->defaults;
  s.batch = batch;
  if (s.synthesis.used()) return s;
  s.generator.arch = "dfq";
  s.generator.ch = 256, s.generator.dim_z = 256;
  s.generator.eval_images = true;
  s.loss.student_eval = true;
  return s;
}

class DataFreeSubject : public BenchSubject {
 public:
  DataFreeSubject(const SubjectOptions& o, const nn::ModelOptions& network)
      : settings_(benchmark_settings(o.method, o.batch)),
        teacher_(create(o.teacher, network, "teacher", o.device)),
        student_(create(o.model, network, "student", o.device)),
        generator_(gan::create_data_free_generator({.arch = settings_.generator.arch,
                                                    .ch = settings_.generator.ch,
                                                    .dim_z = settings_.generator.dim_z,
                                                    .classes = network.outputs,
                                                    .resolution = network.size,
                                                    .channels = network.channels,
                                                    .shared_dim = settings_.generator.embedding})),
        method_(o.method + " from " + o.teacher) {
    size_ = network.size;
    teacher_->set_requires_grad(false);
    teacher_->eval();
    generator_->initialise(Stream(1).fork("generator"));
    generator_->to(o.device);
    const Networks networks{*teacher_, *student_, *generator_};
    if (settings_.synthesis.used())
      synthesis_ = std::make_unique<Synthesis>(networks, settings_, network.outputs,
                                               Stream(1).fork("contrast"));
    else
      update_ = std::make_unique<Update>(networks, settings_, network.outputs);
  }

  void train_step(int64_t step) override {
    student_->train(), generator_->train();
    const Stream here = Stream(3).fork("round", static_cast<uint64_t>(step));
    if (synthesis_) {
      synthesis_->make(here, step - 1, synthesis_steps, settings_.loss.adversarial, [] {});
      return;
    }
    update_->generator(here.fork("generator"), here.fork("dropout"), settings_.loss.adversarial);
    for (uint64_t k = 0; k < student_steps; ++k)
      update_->student(here.fork("student", k), here.fork("dropout", k));
  }
  void begin_inference() override {
    student_->eval();
    images_ = random_normal({settings_.batch, size_, size_, 3}, "images").to(student_->device());
  }
  void infer() override {
    const NoGrad no_grad;
    student_->forward(images_);
  }
  std::string step_text() const override {
    return synthesis_ ? cat("a synthesis of ", synthesis_steps, " steps by ", method_)
                      : cat("one step of the generator and ", student_steps, " of the student by ",
                            method_);
  }

 private:
  static std::unique_ptr<nn::Network> create(const std::string& name,
                                             const nn::ModelOptions& options, const char* purpose,
                                             Device device) {
    auto network = nn::create_model(name, options);
    network->initialise(Stream(1).fork(purpose));
    network->to(device);
    return network;
  }

  const Settings settings_;
  const std::unique_ptr<nn::Network> teacher_, student_;
  const std::unique_ptr<gan::DataFreeGenerator> generator_;
  const std::string method_;
  std::unique_ptr<Update> update_;
  std::unique_ptr<Synthesis> synthesis_;
  Tensor images_;
};

}  // namespace

std::unique_ptr<BenchSubject> create_data_free_subject(const SubjectOptions& o) {
  if (!find_entry(o.method)) return nullptr;
  task_of(o, {nn::Task::classification}, nn::Task::classification);
  LIMBECK_CHECK(!o.teacher.empty(), "bench train: --method ", o.method, " needs --teacher");
  LIMBECK_CHECK(o.width == 0, "bench train: --width is for GANs; ", o.model, " has its own");
  return std::make_unique<DataFreeSubject>(
      o, nn::ModelOptions{.outputs = o.classes, .channels = 3, .size = o.size > 0 ? o.size : 32});
}

}  // namespace limbeck
