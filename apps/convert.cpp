// `limbeck convert`: between weights with PyTorch's keys alone and checkpoints that also say which
// network they are of. GANs: gan/biggan_weights.h.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "apps/command.h"
#include "apps/stage_files.h"
#include "gan/biggan_weights.h"
#include "gan/sampler.h"
#include "kd/checkpoint.h"
#include "tensor/checksum.h"
#include "tensor/weights.h"

namespace limbeck::convert_app {
namespace {

struct Options {
  std::string in, out, model, task = "classification", key;
  int64_t classes = 0, channels = 3, size = 32;
  std::vector<double> mean, deviation, range;
  std::string unit;
  std::vector<std::string> class_names;
  double sn_eps = 1e-8, bn_eps = 1e-5;
  KeyRules keys;
  bool plain = false, checksum = false, allow_nonfinite = false;
};

std::vector<double> per_channel(const std::string& option, const std::vector<double>& values,
                                int64_t channels) {
  LIMBECK_CHECK(static_cast<int64_t>(values.size()) == channels, option, ": expected ", channels,
                " numbers, found ", values.size());
  return values;
}

/// Without --range the network is said to predict numbers in [0, 1] of an unknown scale.
std::optional<data::ResponseScale> scale_of(const Options& o, nn::Task task) {
  if (o.range.empty() && o.unit.empty()) return std::nullopt;
  LIMBECK_CHECK(task == nn::Task::regression, "--range and --unit belong to --task regression");
  LIMBECK_CHECK(o.range.size() == 2 && o.range[0] < o.range[1],
                "--range: expected two rising numbers, found ", o.range.size(),
                o.range.size() == 2 ? " that do not rise" : "");
  return data::ResponseScale{o.range[0], o.range[1], o.unit};
}

RenamedWeights read_weights(const Options& o) {
  KeyRules rules = o.keys;
  LIMBECK_CHECK(o.key.empty() || rules.prefix.empty(), "--key K is --prefix K.: give one of them");
  if (!o.key.empty()) rules.prefix = o.key + ".";
  RenamedWeights weights =
      rename_weights(read_safetensors(expect_undamaged_file(o.in)), rules, o.in);
  if (!o.allow_nonfinite) check_finite(weights.file, o.in);
  return weights;
}

void write(const Options& o, const TensorFile& file) {
  write_safetensors(o.out, o.checksum ? with_checksum(file) : file);
}

void load(nn::Module& network, const RenamedWeights& weights, const std::string& path) {
  try {
    network.load_state_dict(weights.file, path);
  } catch (const Error& e) {
    std::vector<std::string> expected;
    for (const auto& [key, tensor] : network.state_dict().tensors) expected.push_back(key);
    fail(e.what(), key_advice(weights, expected));
  }
}

void report(const Options& o, const RenamedWeights& weights, const nn::Module& network,
            const std::string& kind) {
  std::vector<std::string> names = weights.counters;
  if (!weights.front.empty()) names.insert(names.begin(), "prefix " + weights.front);
  const std::string dropped = names.empty() ? "" : "; dropped: " + joined(names);
  std::printf("%s: %s%s, %zu tensors, %lld parameters%s\n", o.out.c_str(), o.model.c_str(),
              kind.c_str(), weights.file.tensors.size(),
              static_cast<long long>(network.parameter_count()), dropped.c_str());
}

void gan_to_checkpoint(const Options& o) {
  const RenamedWeights weights = read_weights(o);
  gan::NetworkConfig config = gan::biggan_config_of(weights.file, o.model, o.in);
  config.sn_eps = o.sn_eps;
  config.bn_eps = o.bn_eps;
  if (gan::is_discriminator(weights.file)) {
    const auto network = gan::create_discriminator(config);
    load(*network, weights, o.in);
    write(o, gan::discriminator_checkpoint(*network));
    report(o, weights, *network, " discriminator");
  } else {
    const auto network = gan::create_generator(config);
    load(*network, weights, o.in);
    write(o, gan::generator_checkpoint(*network));
    report(o, weights, *network, " generator");
  }
}

void network_to_checkpoint(const Options& o) {
  const nn::Task task = nn::parse_task(o.task);
  const std::optional<data::ResponseScale> scale = scale_of(o, task);
  const int64_t outputs = task == nn::Task::regression ? 1 : o.classes;
  LIMBECK_CHECK(outputs > 0, "--classes: expected the number of outputs of ", o.model);
  const nn::ModelOptions options = {
      .outputs = outputs, .channels = o.channels, .size = o.size, .task = task};
  LIMBECK_CHECK(o.class_names.empty() || static_cast<int64_t>(o.class_names.size()) == o.classes,
                "--class-names: expected ", o.classes, " names, found ", o.class_names.size());
  const RenamedWeights weights = read_weights(o);
  const auto network = nn::create_model(o.model, options);
  load(*network, weights, o.in);
  write(o, kd::network_file(*network, o.model, options,
                            {per_channel("--mean", o.mean, o.channels),
                             per_channel("--deviation", o.deviation, o.channels)},
                            scale, o.class_names));
  report(o, weights, *network, "");
}

/// The weights of a checkpoint's file, without what says so; refuses what is not whole.
TensorFile plain_weights(const Options& o, const TensorFile& file, std::string& name) {
  const gan::CheckpointKind kind = gan::checkpoint_kind(file);
  if (kind == gan::CheckpointKind::none) {
    const kd::SavedNetwork saved = kd::load_network(file, o.in, cpu, o.allow_nonfinite);
    name = saved.name;
    return saved.network->state_dict();
  }
  if (!o.allow_nonfinite) check_finite(file, o.in);
  name = file.metadata.at("arch");
  return kind == gan::CheckpointKind::generator ? gan::load_generator(file, o.in)->state_dict()
                                                : gan::load_discriminator(file, o.in)->state_dict();
}

void to_plain(const Options& o) {
  std::string name;
  const TensorFile file = plain_weights(o, read_safetensors(expect_undamaged_file(o.in)), name);
  write(o, file);
  std::printf("%s: %zu tensors of %s with PyTorch's keys\n", o.out.c_str(), file.tensors.size(),
              name.c_str());
}

/// A checkpoint as it is, with its checksum.
void to_checksummed(const Options& o) {
  std::string name;
  const TensorFile file = read_safetensors(expect_undamaged_file(o.in));
  plain_weights(o, file, name);
  write(o, file);
  std::printf("%s: %zu tensors of %s and their checksum\n", o.out.c_str(), file.tensors.size(),
              name.c_str());
}

bool is_gan(const std::string& model) {
  const std::vector<std::string> names = gan::gan_names();
  return std::find(names.begin(), names.end(), model) != names.end();
}

void convert(const Options& o) {
  const bool towards = !o.model.empty();
  LIMBECK_CHECK(o.plain != towards || (o.checksum && !towards),
                "give --model NAME (towards a checkpoint) or --plain (away from one); a checkpoint "
                "as it is wants --checksum");
  if (o.plain)
    to_plain(o);
  else if (!towards)
    to_checksummed(o);
  else
    is_gan(o.model) ? gan_to_checkpoint(o) : network_to_checkpoint(o);
}

void add_key_options(CommandLine& app, const std::shared_ptr<Options>& o) {
  app.add_option("--prefix", o->keys.prefix,
                 "take only the keys that begin with this, without it (module.student.)");
  app.add_option("--key", o->key, "the same with a dot: one of several sets in the file");
  app.add_option("--strip", o->keys.strip, "take this away from the front of keys that have it")
      .one_value_each();
  app.add_option("--ignore", o->keys.ignore, "leave this key out, and all below it")
      .one_value_each();
  app.add_flag("--allow-nonfinite", o->allow_nonfinite,
               "take NaN and infinite weights as they are");
}

const RegisterCommand command(
    {"convert", "make a checkpoint of plain PyTorch weights, or the other way round",
     [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("in", o->in, "safetensors file").required();
       app.add_option("out", o->out, "safetensors file to write").required();
       app.add_option("--model", o->model,
                      "the network that the weights are of; keys and shapes must match. biggan, "
                      "biggan-deep: sizes are read from the weights");
       app.add_option("--task", o->task, "what the network predicts")
           .one_of({"classification", "regression"})
           .show_default();
       app.add_option("--classes", o->classes, "outputs of its last layer").positive();
       app.add_option("--class-names", o->class_names, "what its outputs are called, as many");
       app.add_option("--channels", o->channels, "of its images").positive().show_default();
       app.add_option("--size", o->size, "height and width of its images")
           .positive()
           .show_default();
       app.add_option("--mean", o->mean,
                      "of its training images, per channel, of values in [0, 1]");
       app.add_option("--deviation", o->deviation, "the same");
       app.add_option("--range", o->range,
                      "LOW HIGH: the responses that a regressor's outputs 0 and 1 stand for");
       app.add_option("--unit", o->unit, "of the responses");
       app.add_option("--sn-eps", o->sn_eps, "epsilon of a GAN's spectral norm (BigGAN's SN_eps)")
           .positive()
           .show_default();
       app.add_option("--bn-eps", o->bn_eps, "epsilon of a GAN's batch norm (BigGAN's BN_eps)")
           .positive()
           .show_default();
       add_key_options(app, o);
       app.add_flag("--plain", o->plain,
                    "write the weights alone, without what says that they are a network of ours");
       app.add_flag("--checksum", o->checksum,
                    "write a checksum, which all that reads the file compares; alone: of a "
                    "checkpoint as it is");
       app.footer("tools/pth.py turns a .pth file into safetensors and back.");
       app.callback([o] { convert(*o); });
     }});

}  // namespace
}  // namespace limbeck::convert_app
