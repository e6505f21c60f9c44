#include "kd/assistant.h"

#include "kd/checkpoint.h"
#include "train/supervised.h"

namespace limbeck::kd {

namespace {
std::string assistant_file(const std::string& directory) {
  return directory + "/model.safetensors";
}
}  // namespace

void check_assistant(const std::string& model, const std::string& key) {
  try {
    nn::create_model(model, {.outputs = 2});  // of any size
  } catch (const Error& e) {
    fail(key, ": ", e.what());
  }
}

std::unique_ptr<nn::Network> copy_of_teacher(const PreparationContext& c) {
  auto copy = nn::create_model(c.teacher_name, c.options);
  copy->load_state_dict(c.teacher.state_dict());
  copy->to(c.teacher.device());
  return copy;
}

void train_assistant(PreparationContext& c, const std::string& model, Distillation& distillation,
                     const train::Settings& training) {
  const auto assistant = nn::create_model(model, c.options);
  assistant->initialise(c.stream.fork("init"));
  assistant->to(c.teacher.device());
  train::fit({.network = *assistant,
              .train = c.data.train,
              .test = c.data.test,
              .standardisation = c.standardisation,
              .criterion = c.criterion,
              .stream = c.stream,
              .monitor = c.monitor,
              .extra = &distillation},
             training);
  save_network(assistant_file(c.directory), *assistant, model, c.options, c.standardisation, {},
               c.data.train.class_names);
}

std::unique_ptr<nn::Network> load_assistant(const std::string& directory, Device device) {
  return load_network(assistant_file(directory), device).network;
}

}  // namespace limbeck::kd
