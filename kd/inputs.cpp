// What the stages of a workflow read besides each other, as a part of their settings.
#include <filesystem>

#include "data/identity.h"
#include "kd/workflow.h"
#include "tensor/checksum.h"

namespace limbeck::kd {

std::string KnownIdentities::find(const std::string& state, bool fresh,
                                  const std::function<std::string()>& read) {
  const std::string key = Checksum().add(state).text();
  if (const auto entry = entries.find(key); entry != entries.end()) return entry->second;
  const std::string identity = read();
  if (!fresh) entries[key] = identity;
  return identity;
}

void Workflow::read_inputs(KnownIdentities& known) {
  const data::DataSettings& settings = experiment_->settings.data;
  std::map<std::string, std::string> seen;  // by path
  if (!data::find_source(settings.kind).files.empty()) {
    data::check(settings);
    const data::FilesState state = data::state_of(settings);
    const std::string identity = known.find(settings.text() + state.text, state.fresh, [this] {
      return data::identity_of(experiment_->data());
    });
    experiment_->expect_data(identity);
    for (Stage& stage : stages_)
      stage.settings = cat("data.content = \"", identity, "\"\n", stage.settings);
  }
  for (Stage& stage : stages_)
    for (const auto& [key, path] : stage.files) {
      if (!seen.contains(path)) {
        LIMBECK_CHECK(std::filesystem::is_regular_file(path), key, ": ", path,
                      ": expected a file, found ",
                      std::filesystem::exists(path) ? "something else" : "none");
        const data::FilesState state = data::state_of(path);
        seen[path] = known.find(state.text, state.fresh,
                                [&path = path] { return data::identity_of_file(path); });
      }
      stage.settings += cat(key, " = \"", seen[path], "\"\n");
    }
}

}  // namespace limbeck::kd
