#include "kd/task.h"

namespace limbeck::kd {

std::unique_ptr<Task> task_of(const data::Dataset& train, const ExperimentSettings& settings) {
  LIMBECK_CHECK(train.images.defined(), "data: no training images");
  const bool classes = train.classes > 0;
  const nn::Task found = classes ? nn::Task::classification : nn::Task::regression;
  LIMBECK_CHECK(nn::parse_task(settings.task) == found, "task: the training images have ",
                classes ? "classes" : "responses", "; expected ", nn::name_of(found), ", found ",
                settings.task);
  return classes ? classification_task(settings) : regression_task(train, settings);
}

}  // namespace limbeck::kd
