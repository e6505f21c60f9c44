#include "kd/task.h"

namespace limbeck::kd {

std::unique_ptr<Task> task_of(const data::Dataset& train) {
  LIMBECK_CHECK(train.size() > 0, "data: no training images");
  LIMBECK_CHECK(train.classes > 0,
                "data: the training images have responses; expected classes, which is what this "
                "workflow trains on");
  return classification_task();
}

}  // namespace limbeck::kd
