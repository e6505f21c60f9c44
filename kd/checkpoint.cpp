#include "kd/checkpoint.h"

#include <iomanip>
#include <sstream>

namespace limbeck::kd {
namespace {

std::string join(const std::vector<double>& values) {
  std::ostringstream out;
  out << std::setprecision(17);
  for (size_t i = 0; i < values.size(); ++i) out << (i ? " " : "") << values[i];
  return out.str();
}

const std::string& text(const TensorFile& file, const std::string& key, const std::string& path) {
  const auto found = file.metadata.find(key);
  LIMBECK_CHECK(found != file.metadata.end(), path, ": no '", key, "' in the metadata; expected a network saved by limbeck");
  return found->second;
}

std::vector<double> numbers(const TensorFile& file, const std::string& key, size_t expected, const std::string& path) {
  std::istringstream in(text(file, key, path));
  std::vector<double> values;
  for (double v; in >> v;) values.push_back(v);
  LIMBECK_CHECK(in.eof() && values.size() == expected, path, ": metadata '", key, "': expected ", expected, " numbers, found '", text(file, key, path), "'");
  return values;
}

int64_t integer(const TensorFile& file, const std::string& key, const std::string& path) {
  const double v = numbers(file, key, 1, path)[0];
  LIMBECK_CHECK(v >= 1 && v <= 1e6 && v == static_cast<double>(static_cast<int64_t>(v)), path, ": metadata '", key, "': expected a positive integer, found ", v);
  return static_cast<int64_t>(v);
}

}  // namespace

void save_network(const std::string& path, const nn::Network& network, const std::string& name, const nn::ModelOptions& options,
                  const data::Standardisation& standardisation) {
  TensorFile file = network.state_dict();
  file.metadata = {{"network", name},
                   {"outputs", std::to_string(options.outputs)},
                   {"channels", std::to_string(options.channels)},
                   {"size", std::to_string(options.size)},
                   {"task", nn::name_of(options.task)},
                   {"mean", join(standardisation.mean)},
                   {"deviation", join(standardisation.deviation)}};
  write_safetensors(path, file);
}

SavedNetwork load_network(const std::string& path, Device device) {
  const TensorFile file = read_safetensors(path);
  SavedNetwork saved;
  saved.name = text(file, "network", path);
  saved.options = {integer(file, "outputs", path), integer(file, "channels", path), integer(file, "size", path)};
  if (file.metadata.contains("task")) saved.options.task = nn::parse_task(text(file, "task", path));  // files from before have classifiers
  const size_t channels = static_cast<size_t>(saved.options.channels);
  saved.standardisation = {numbers(file, "mean", channels, path), numbers(file, "deviation", channels, path)};
  saved.network = nn::create_model(saved.name, saved.options);
  saved.network->load_state_dict(file, path);
  saved.network->to(device);
  return saved;
}

}  // namespace limbeck::kd
