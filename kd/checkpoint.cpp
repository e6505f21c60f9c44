#include "kd/checkpoint.h"

#include "tensor/allocation_limit.h"
#include "tensor/weights.h"

namespace limbeck::kd {
namespace {
std::map<std::string, RegisterComposite::Build>& composites() {
  static std::map<std::string, RegisterComposite::Build> all;
  return all;
}
}  // namespace

RegisterComposite::RegisterComposite(const std::string& form, Build build) {
  LIMBECK_CHECK(composites().emplace(form, std::move(build)).second,
                "two composite networks are registered as ", form);
}

TensorFile network_file(const nn::Network& network, const std::string& name,
                        const nn::ModelOptions& options,
                        const data::Standardisation& standardisation,
                        const std::optional<data::ResponseScale>& scale,
                        const std::vector<std::string>& class_names) {
  TensorFile file = network.state_dict();
  file.metadata = {{"network", name},
                   {"outputs", std::to_string(options.outputs)},
                   {"channels", std::to_string(options.channels)},
                   {"size", std::to_string(options.size)},
                   {"task", nn::name_of(options.task)},
                   {"mean", metadata_text(standardisation.mean)},
                   {"deviation", metadata_text(standardisation.deviation)}};
  if (const auto* composite = dynamic_cast<const Composite*>(&network)) {
    file.metadata["composite"] = composite->form();
    for (const auto& [key, number] : composite->numbers()) file.metadata[key] = number;
  }
  if (options.task == nn::Task::regression && scale) {
    file.metadata["response_low"] = metadata_text(scale->low);
    file.metadata["response_high"] = metadata_text(scale->high);
    file.metadata["response_unit"] = scale->unit;
  }
  if (options.task == nn::Task::classification && !class_names.empty())
    file.metadata["class_names"] = metadata_lines(class_names, "class name");
  return file;
}

void save_network(const std::string& path, const nn::Network& network, const std::string& name,
                  const nn::ModelOptions& options, const data::Standardisation& standardisation,
                  const std::optional<data::ResponseScale>& scale,
                  const std::vector<std::string>& class_names) {
  write_safetensors(path,
                    network_file(network, name, options, standardisation, scale, class_names));
}

SavedNetwork load_network(const std::string& path, Device device, bool allow_nonfinite) {
  return load_network(read_safetensors(path), path, device, allow_nonfinite);
}

SavedNetwork load_network(const TensorFile& file, const std::string& path, Device device,
                          bool allow_nonfinite) {
  const MetadataReader metadata(file, path,
                                "a network saved by limbeck (`limbeck convert FILE OUT --model "
                                "NAME` makes one of weights alone)");
  if (!allow_nonfinite) check_finite(file, path);
  SavedNetwork saved;
  saved.name = metadata.text("network");
  saved.options = {metadata.integer("outputs"), metadata.integer("channels"),
                   metadata.integer("size")};
  if (metadata.has("task"))
    saved.options.task =
        nn::parse_task(metadata.text("task"));  // files from before have classifiers
  const size_t channels = static_cast<size_t>(saved.options.channels);
  saved.standardisation = {metadata.numbers("mean", channels),
                           metadata.numbers("deviation", channels)};
  if (metadata.has("response_low")) {
    saved.scale = {metadata.number("response_low"), metadata.number("response_high"),
                   metadata.text("response_unit")};
    LIMBECK_CHECK(saved.scale->low < saved.scale->high, metadata.place("response_high"),
                  ": expected more than response_low ", saved.scale->low, ", found ",
                  saved.scale->high);
  }
  if (metadata.has("class_names"))
    saved.class_names = metadata.lines("class_names", static_cast<size_t>(saved.options.outputs));
  const auto limit = AllocationLimit::by_tensors(file, path);
  saved.network = nn::create_model(saved.name, saved.options);
  if (metadata.has("composite")) {
    const auto build = composites().find(metadata.text("composite"));
    LIMBECK_CHECK(build != composites().end(), path, ": metadata composite '",
                  metadata.text("composite"), "' is no composite network of this program");
    saved.network = build->second(std::move(saved.network), saved.options, metadata);
  }
  saved.network->load_state_dict(file, path);
  saved.network->to(device);
  return saved;
}

}  // namespace limbeck::kd
