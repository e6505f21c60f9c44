// A network in a file that says what it is: its weights with PyTorch's keys and, as metadata, name,
// options and the standardisation it was trained with.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "nn/models/registry.h"
#include "tensor/metadata.h"

namespace limbeck::kd {

struct SavedNetwork {
  std::string name;  ///< in the model registry
  nn::ModelOptions options;
  data::Standardisation standardisation;  ///< of its training images
  std::unique_ptr<nn::Network> network;
  std::optional<data::ResponseScale> scale;  ///< of a regressor's responses, where the file says it
  std::vector<std::string> class_names = {};  ///< one for each output, where the file says them
};

/// A network that a method makes of a network of the registry and more modules (SimKD). Its file
/// says which one, how it was made ("composite") and the numbers that rebuild the rest.
class Composite : public nn::Network {
 public:
  virtual std::string form() const = 0;                            ///< as it is registered
  virtual std::map<std::string, std::string> numbers() const = 0;  ///< metadata
};
/// Rebuilds a composite around the registry's network; parameters are loaded afterwards.
struct RegisterComposite {
  using Build = std::function<std::unique_ptr<nn::Network>(std::unique_ptr<nn::Network> network,
                                                           const nn::ModelOptions& options,
                                                           const MetadataReader& metadata)>;
  /// Throws when the name is taken.
  RegisterComposite(const std::string& form, Build build);
};

/// What a network's file holds. `name` is of the registry's network, also for a Composite.
/// Metadata keys: network, outputs, channels, size, task, mean, deviation; of a regressor with
/// a scale also response_low, response_high, response_unit; of a classifier with names class_names,
/// one a line.
TensorFile network_file(const nn::Network& network, const std::string& name,
                        const nn::ModelOptions& options,
                        const data::Standardisation& standardisation,
                        const std::optional<data::ResponseScale>& scale = {},
                        const std::vector<std::string>& class_names = {});
/// Writes that file.
void save_network(const std::string& path, const nn::Network& network, const std::string& name,
                  const nn::ModelOptions& options, const data::Standardisation& standardisation,
                  const std::optional<data::ResponseScale>& scale = {},
                  const std::vector<std::string>& class_names = {});

/// Builds and loads the network of such a file. Throws naming the file for missing or malformed
/// metadata, for weights of another network and, unless they are allowed, for NaN and infinite
/// ones.
SavedNetwork load_network(const std::string& path, Device device = cpu,
                          bool allow_nonfinite = false);
/// The same of a file that has been read.
SavedNetwork load_network(const TensorFile& file, const std::string& path, Device device = cpu,
                          bool allow_nonfinite = false);

}  // namespace limbeck::kd
