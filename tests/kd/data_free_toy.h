// A data-free distillation of seconds: small networks, three classes, images of eight pixels.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kd/data_free/registry.h"
#include "kd/data_free/responses.h"
#include "kd/data_free/trainer.h"

namespace limbeck::kd::data_free {

/// Keeps the last value of every metric.
class Metrics : public nn::Monitor {
 public:
  void metrics(int64_t, const nn::Values& values) override {
    for (const auto& [name, value] : values) all[name].push_back(value);
  }
  void note(const std::string& text) override { notes.push_back(text); }
  std::map<std::string, std::vector<double>> all;
  std::vector<std::string> notes;
};

/// Counts how often it is run: of a recorded step only the recording counts.
class Counted : public nn::Network {
 public:
  explicit Counted(std::unique_ptr<nn::Network> network) : network_(std::move(network)) {
    add("network", *network_);
  }
  nn::Features forward_features(const Variable& x, bool preact) override {
    ++calls;
    return network_->forward_features(x, preact);
  }
  int64_t calls = 0;

 private:
  std::unique_ptr<nn::Network> network_;
};

/// Networks of the registry for 8-pixel images of three classes; the teacher is drawn, not trained:
/// what it says of images is as good a target as any.
struct Toy {
  std::unique_ptr<Counted> teacher;
  std::unique_ptr<nn::Network> student;
  std::unique_ptr<gan::DataFreeGenerator> generator;
  data::Dataset no_images;
  train::ClassificationCriterion of_classes;
  train::RegressionCriterion of_responses;
  const nn::Task task;

  explicit Toy(const Settings& s, Device device = cpu, nn::Task kind = nn::Task::classification)
      : task(kind) {
    const bool regresses = task == nn::Task::regression;
    const int64_t size = regresses ? 16 : 8;
    const nn::ModelOptions options{
        .outputs = regresses ? 1 : 3, .channels = 3, .size = size, .task = task};
    teacher = std::make_unique<Counted>(nn::create_model("resnet8", options));
    student = nn::create_model("resnet8", options);
    teacher->initialise(Stream(1)), student->initialise(Stream(2));
    teacher->set_requires_grad(false);
    teacher->eval();
    generator = gan::create_data_free_generator(
        {.arch = regresses ? gan::response_form(s.generator.arch, "arch") : s.generator.arch,
         .ch = s.generator.ch,
         .dim_z = s.generator.dim_z,
         .classes = 3,
         .resolution = size,
         .channels = 3,
         .shared_dim = s.generator.embedding});
    generator->initialise(Stream(3));
    generator->set_standardisation({{0.4, 0.5, 0.6}, {0.2, 0.25, 0.3}});
    for (nn::Module* m :
         std::initializer_list<nn::Module*>{teacher.get(), student.get(), generator.get()})
      m->to(device);
  }
  const train::Criterion& criterion() const {
    if (task == nn::Task::regression) return of_responses;
    return of_classes;
  }
  DataFreeResult train(const Settings& s, nn::Monitor& monitor) {
    return fit({.networks = {*teacher, *student, *generator},
                .classes = task == nn::Task::regression ? 0 : 3,
                .scale = {.low = 10, .high = 30, .unit = "degrees"},
                .test = no_images,
                .criterion = criterion(),
                .stream = Stream(4),
                .monitor = monitor},
               s);
  }
};

inline Settings toy_settings(const std::string& method) {
  Settings s = find_entry(method)->defaults;
  s.epochs = 2, s.rounds = 2, s.batch = 8, s.lr = 0.02;
  s.student_steps = std::min<int64_t>(s.student_steps, 2);
  s.milestones.clear();
  s.generator_steps = std::min<int64_t>(s.generator_steps, 3);
  s.synthesis.contrast.bank = 20, s.synthesis.contrast.drawn = 8;
  s.synthesis.warmup = std::min<int64_t>(s.synthesis.warmup, 1);
  s.synthesis.redraw = std::min<int64_t>(s.synthesis.redraw, 1);
  s.crop_padding = s.synthesis.crop_padding = std::min<int64_t>(s.crop_padding, 2);
  s.generator.ch = 4, s.generator.dim_z = 8, s.generator.embedding = 4;
  return s;
}

/// Half of a student's batch from what the last rounds made.
inline Settings with_pool(Settings s) {
  s.pool = 40, s.crop_padding = 1, s.flip = true;
  return s;
}

/// In their form for responses.
inline Settings toy_responses() {
  const Settings s = toy_settings("cgdd");
  return for_responses(s, find_entry("cgdd")->defaults, false, "methods.cgdd");
}

}  // namespace limbeck::kd::data_free
