// A network in a file that says what it is: its weights with PyTorch's keys and, as metadata, name,
// options and the standardisation it was trained with.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "data/dataset.h"
#include "nn/models/registry.h"

namespace limbeck::kd {

struct SavedNetwork {
  std::string name;  ///< in the model registry
  nn::ModelOptions options;
  data::Standardisation standardisation;  ///< of its training images
  std::unique_ptr<nn::Network> network;
  std::optional<data::ResponseScale> scale;  ///< of a regressor's responses, where the file says it
};

/// Metadata keys: network, outputs, channels, size, task, mean, deviation; of a regressor with
/// a scale also response_low, response_high, response_unit.
void save_network(const std::string& path, const nn::Network& network, const std::string& name,
                  const nn::ModelOptions& options, const data::Standardisation& standardisation,
                  const std::optional<data::ResponseScale>& scale = {});

/// Builds and loads the network of such a file. Throws naming the file for missing or malformed
/// metadata and for weights of another network.
SavedNetwork load_network(const std::string& path, Device device = cpu);

}  // namespace limbeck::kd
