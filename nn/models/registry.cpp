#include "nn/models/registry.h"

#include <algorithm>

namespace limbeck::nn {

namespace {

// A function's static, because the registrars of other files run in any order before main().
std::vector<ModelEntry>& entries() {
  static std::vector<ModelEntry> list;
  return list;
}

}  // namespace

Task parse_task(const std::string& name) {
  for (const Task task : {Task::classification, Task::regression})
    if (name == name_of(task)) return task;
  fail("unknown task '", name, "'; expected classification or regression");
}

const char* name_of(Task task) {
  return task == Task::regression ? "regression" : "classification";
}

RegisterModel::RegisterModel(ModelEntry entry) {
  auto& list = entries();
  for (const ModelEntry& e : list)
    LIMBECK_CHECK(e.name != entry.name, "two networks are registered as ", entry.name);
  const auto behind =
      std::upper_bound(list.begin(), list.end(), entry,
                       [](const auto& a, const auto& b) { return a.family < b.family; });
  list.insert(behind, std::move(entry));
}

const std::vector<ModelEntry>& all_models() { return entries(); }

std::unique_ptr<Network> create_model(const std::string& name, const ModelOptions& options) {
  LIMBECK_CHECK(options.outputs > 0 && options.channels > 0, name,
                ": outputs and channels must be positive, found ", options.outputs, " and ",
                options.channels);
  std::vector<std::string> names;
  for (const ModelEntry& e : entries()) {
    if (e.name == name) {
      LIMBECK_CHECK(e.serves(options.task), name,
                    e.regression_only
                        ? ": predicts a response; expected the task regression, found "
                        : ": is a classifier only; expected the task classification, found ",
                    name_of(options.task));
      LIMBECK_CHECK(options.size >= e.smallest_image, name, ": images must have at least ",
                    e.smallest_image, "x", e.smallest_image, " pixels, found size ", options.size);
      return e.build(options);
    }
    names.push_back(e.name);
  }
  fail("unknown network '", name, "'", did_you_mean(name, names, "; `limbeck models` lists them"));
}

}  // namespace limbeck::nn
