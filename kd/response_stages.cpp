// Stages that only responses need: how a response enters the networks of the GAN, and the features
// of its density ratio.
#include "gan/label_embedding_trainer.h"
#include "kd/stages.h"

namespace limbeck::kd {

void train_embedding(Experiment& experiment, StageContext& context) {
  const EmbeddingSettings& settings = experiment.settings.embedding;
  const std::unique_ptr<nn::EmbeddingNetwork> net =
      nn::create_embedding_network(settings.net, experiment.options());
  net->initialise(experiment.stream("embedding").fork("init"));
  net->to(experiment.device);
  const train::SupervisedResult r = train::fit({.network = *net,
                                                .train = experiment.data().train,
                                                .test = experiment.data().test,
                                                .standardisation = experiment.standardisation(),
                                                .criterion = experiment.task().criterion(),
                                                .stream = experiment.stream("embedding"),
                                                .monitor = context.monitor},
                                               settings);
  save_network(context.directory + "/model.safetensors", *net, settings.net, experiment.options(),
               experiment.standardisation(), experiment.task().scale());
  add(context.results, results_of(r, *net, experiment.task().criterion()));
}

void train_label_embedding(Experiment& experiment, StageContext& context,
                           const StageHandle& embedding) {
  const std::string path = context.directory_of(embedding) + "/model.safetensors";
  const SavedNetwork saved = load_network(path, experiment.device);
  auto* const network = dynamic_cast<nn::EmbeddingNetwork*>(saved.network.get());
  LIMBECK_CHECK(network, path, ": expected an embedding network, found ", saved.name);
  nn::LabelToEmbedding net;
  net.initialise(experiment.stream("label_embedding").fork("init"));
  net.to(experiment.device);
  const data::Dataset data = experiment.task().for_generation(experiment.train());
  const nn::Values values =
      gan::train_label_embedding({net, *network, data.targets.span<float>(),
                                  experiment.stream("label_embedding"), context.monitor},
                                 experiment.settings.label_embedding);
  write_safetensors(context.directory + "/label_embedding.safetensors", net.state_dict());
  for (const auto& [name, value] : values)
    context.results[name] = {value, "", Better::lower, "train"};
}

LabelNet load_label_embedding(const Experiment& experiment, const StageContext& context,
                              const StageHandle& stage) {
  if (!stage) return nullptr;
  const std::string path = context.directory_of(stage) + "/label_embedding.safetensors";
  const auto net = std::make_shared<nn::LabelToEmbedding>();
  net->load_state_dict(read_safetensors(path), path);
  net->to(experiment.device);
  return net;
}

void train_autoencoder(Experiment& experiment, StageContext& context) {
  const gan::AutoencoderSettings& settings = experiment.settings.autoencoder;
  const data::Dataset data = experiment.task().for_generation(experiment.train());
  gan::SparseAutoencoder net(gan::size_of(settings, data));
  net.initialise(experiment.stream("autoencoder").fork("init"));
  net.to(experiment.device);
  const nn::Values values = gan::train_autoencoder(
      {net, data, experiment.stream("autoencoder"), context.monitor}, settings);
  // The decoder has done its work.
  write_safetensors(context.directory + "/autoencoder.safetensors", net.encoder.state_dict());
  for (const auto& [name, value] : values)
    context.results[name] = {value, "", Better::lower, "train"};
  context.results["parameters"] = {static_cast<double>(net.parameter_count()), "parameters",
                                   Better::neither, "cost"};
}

}  // namespace limbeck::kd
