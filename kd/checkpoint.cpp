#include "kd/checkpoint.h"

#include "tensor/metadata.h"

namespace limbeck::kd {

void save_network(const std::string& path, const nn::Network& network, const std::string& name,
                  const nn::ModelOptions& options, const data::Standardisation& standardisation) {
  TensorFile file = network.state_dict();
  file.metadata = {{"network", name},
                   {"outputs", std::to_string(options.outputs)},
                   {"channels", std::to_string(options.channels)},
                   {"size", std::to_string(options.size)},
                   {"task", nn::name_of(options.task)},
                   {"mean", metadata_text(standardisation.mean)},
                   {"deviation", metadata_text(standardisation.deviation)}};
  write_safetensors(path, file);
}

SavedNetwork load_network(const std::string& path, Device device) {
  const TensorFile file = read_safetensors(path);
  const MetadataReader metadata(file, path, "a network saved by limbeck");
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
  saved.network = nn::create_model(saved.name, saved.options);
  saved.network->load_state_dict(file, path);
  saved.network->to(device);
  return saved;
}

}  // namespace limbeck::kd
