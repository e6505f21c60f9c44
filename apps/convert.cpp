// `limbeck convert`: between weights with PyTorch's keys alone and checkpoints that also say which
// network they are of.
#include <cstdio>
#include <memory>

#include "apps/command.h"
#include "kd/checkpoint.h"

namespace limbeck::convert_app {
namespace {

struct Options {
  std::string in, out, model, task = "classification";
  int64_t classes = 0, channels = 3, size = 32;
  std::vector<double> mean, deviation, range;
  std::string unit;
  bool plain = false;
};

/// torch.nn.DataParallel puts "module." in front of every key.
void drop_module_prefix(TensorFile& file) {
  for (const auto& [key, tensor] : file.tensors)
    if (!key.starts_with("module.")) return;
  for (auto& [key, tensor] : file.tensors) key.erase(0, 7);
}

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

void to_checkpoint(const Options& o) {
  const nn::Task task = nn::parse_task(o.task);
  const std::optional<data::ResponseScale> scale = scale_of(o, task);
  const int64_t outputs = task == nn::Task::regression ? 1 : o.classes;
  LIMBECK_CHECK(outputs > 0, "--classes: expected the number of outputs of ", o.model);
  const nn::ModelOptions options = {
      .outputs = outputs, .channels = o.channels, .size = o.size, .task = task};
  TensorFile file = read_safetensors(o.in);
  drop_module_prefix(file);
  const auto network = nn::create_model(o.model, options);
  network->load_state_dict(file, o.in);
  kd::save_network(o.out, *network, o.model, options,
                   {per_channel("--mean", o.mean, o.channels),
                    per_channel("--deviation", o.deviation, o.channels)},
                   scale);
  std::printf("%s: %s, %zu tensors, %lld parameters\n", o.out.c_str(), o.model.c_str(),
              file.tensors.size(), static_cast<long long>(network->parameter_count()));
}

void to_plain(const Options& o) {
  const kd::SavedNetwork saved = kd::load_network(o.in);  // refuses what is not whole
  const TensorFile file = saved.network->state_dict();
  write_safetensors(o.out, file);
  std::printf("%s: %zu tensors of %s with PyTorch's keys\n", o.out.c_str(), file.tensors.size(),
              saved.name.c_str());
}

void convert(const Options& o) {
  LIMBECK_CHECK(o.plain != !o.model.empty(),
                "give --model NAME (towards a checkpoint) or --plain (away from one)");
  o.plain ? to_plain(o) : to_checkpoint(o);
}

const RegisterCommand command(
    {"convert", "make a checkpoint of plain PyTorch weights, or the other way round",
     [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("in", o->in, "safetensors file").required();
       app.add_option("out", o->out, "safetensors file to write").required();
       app.add_option("--model", o->model,
                      "the network that the weights are of; keys and shapes must match");
       app.add_option("--task", o->task, "what the network predicts")
           .one_of({"classification", "regression"})
           .show_default();
       app.add_option("--classes", o->classes, "outputs of its last layer").positive();
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
       app.add_flag("--plain", o->plain,
                    "write the weights alone, without what says that they are a network of ours");
       app.footer("tools/pth.py turns a .pth file into safetensors and back.");
       app.callback([o] { convert(*o); });
     }});

}  // namespace
}  // namespace limbeck::convert_app
