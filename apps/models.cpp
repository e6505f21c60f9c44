// `limbeck models`: the networks, their parameters and multiply-adds; with a name, layer by layer.
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "gan/feature_net.h"
#include "gan/response_ratio.h"
#include "gan/sparse_autoencoder.h"
#include "kd/checkpoint.h"
#include "nn/layers.h"
#include "nn/models/label_embedding.h"
#include "nn/models/registry.h"
#include "nn/trace.h"

namespace limbeck::models_app {
namespace {

using nlohmann::json;

struct Options {
  std::string name, input, task = "classification", save;
  int64_t classes = 100;
  bool as_json = false;
};

/// "3x32x32": channels, height, width. Nothing given: the size of the task's small images.
nn::ModelOptions parse_options(const Options& o) {
  const nn::Task task = nn::parse_task(o.task);
  if (o.input.empty())
    return {.outputs = task == nn::Task::regression ? 1 : o.classes,
            .size = task == nn::Task::regression ? 64 : 32,
            .task = task};
  long long c = 0, h = 0, w = 0;
  int end = 0;
  const bool ok = std::sscanf(o.input.c_str(), "%lldx%lldx%lld%n", &c, &h, &w, &end) == 3 &&
                  end == static_cast<int>(o.input.size());
  LIMBECK_CHECK(ok && c > 0 && h > 0,
                "--input: expected channels x height x width such as 3x32x32, found '", o.input,
                "'");
  LIMBECK_CHECK(h == w, "--input: the networks take square images, found ", h, "x", w);
  return {.outputs = task == nn::Task::regression ? 1 : o.classes,
          .channels = c,
          .size = h,
          .task = task};
}

/// [N, H, W, C] as C x H x W, the way papers write it.
std::string image_shape(const Shape& s) {
  if (s.rank() == 4) return cat(s[3], "x", s[1], "x", s[2]);
  std::string text;
  for (int i = 1; i < s.rank(); ++i) text += (i > 1 ? "x" : "") + std::to_string(s[i]);
  return text;
}

std::string layer_type(const nn::Module& m) {
  if (auto* conv = dynamic_cast<const nn::Conv2d*>(&m)) {
    const nn::Conv2dConfig& c = conv->config;
    std::string text = cat("conv ", c.kernel.height, "x", c.kernel.width);
    if (c.stride != 1) text += cat(" stride ", c.stride);
    if (c.groups != 1) text += cat(" groups ", c.groups);
    return text;
  }
  if (dynamic_cast<const nn::ConvTranspose2d*>(&m)) return "transposed conv";
  if (dynamic_cast<const nn::Linear*>(&m)) return "linear";
  if (dynamic_cast<const nn::BatchNorm*>(&m)) return "batch norm";
  if (dynamic_cast<const nn::GroupNorm*>(&m)) return "group norm";
  return "layer";
}

struct Traced {
  int64_t parameters = 0, macs = 0;
  json layers = json::array(), taps = json::array();
};

/// Runs one zero sample through a module with zero weights: shapes and counts do not depend on
/// values. `run` returns the taps.
Traced trace(nn::Module& module, const std::function<std::vector<Variable>()>& run) {
  module.eval();
  std::map<const nn::Module*, std::string> names;
  module.visit([&](const std::string& path, nn::Module& m) { names.emplace(&m, path); });
  NoGrad no_grad;
  nn::LayerTrace layers;
  const std::vector<Variable> taps = run();
  Traced t{module.parameter_count(), layers.macs()};
  for (const nn::LayerRecord& r : layers.records())
    t.layers.push_back({{"name", names.at(r.layer)},
                        {"type", layer_type(*r.layer)},
                        {"input", image_shape(r.in)},
                        {"output", image_shape(r.out)},
                        {"parameters", r.layer->parameter_count()},
                        {"macs", r.macs}});
  for (const Variable& tap : taps) t.taps.push_back(image_shape(tap.shape()));
  return t;
}

Tensor zero_image(const nn::ModelOptions& o) {
  return Tensor::zeros({1, o.size, o.size, o.channels});
}

Traced trace_network(nn::Network& network, const nn::ModelOptions& options) {
  return trace(network, [&] { return network.forward_features(zero_image(options)).taps; });
}
Traced trace_vector(nn::Module& module, int64_t width) {
  return trace(module, [&]() -> std::vector<Variable> {
    return {module.forward(Tensor::zeros({1, width}))};
  });
}

gan::SparseAutoencoderSize autoencoder_size(const nn::ModelOptions& o) {
  return {.bottleneck = o.channels * o.size * o.size, .channels = o.channels, .size = o.size};
}
/// The feature of the density-ratio nets has the dimension of the image; a response has a 128-d
/// embedding, a class one as long as there are classes.
Traced trace_class_ratio(const std::string& name, const nn::ModelOptions& o) {
  const int64_t feature = o.channels * o.size * o.size;
  gan::ClassRatioNet net(o.outputs, 0, feature, gan::ratio_widths(name));
  return trace(net, [&]() -> std::vector<Variable> {
    return {net.ratio(Tensor::zeros({1, feature}), Tensor::of<int64_t>({0}))};
  });
}
Traced trace_response_ratio(const std::string& name, const nn::ModelOptions& o) {
  const int64_t feature = o.channels * o.size * o.size;
  gan::ResponseRatioNet net(
      [](const Tensor& y) {
        return Tensor::zeros({y.size(0), 128});
      },
      128, feature, gan::response_ratio_widths(name));
  return trace(net, [&]() -> std::vector<Variable> {
    return {net.ratio(Tensor::zeros({1, feature}), Tensor::zeros({1}))};
  });
}

/// A network of one task.
struct Entry {
  std::string name, family;
  std::function<Traced(const nn::ModelOptions&)> trace;
  int64_t smallest_image = 1;
};

/// Networks that are not built from the registry, because they map no image to an output: they
/// serve the sampling of images.
std::vector<Entry> helpers(nn::Task task) {
  std::vector<Entry> list;
  if (task == nn::Task::classification) {
    list.push_back({"ResNet34_extract", "feature_net", [](const nn::ModelOptions& o) {
                      gan::FeatureNet net(o, {});
                      return trace_network(net, o);
                    }});
    for (const std::string size : {"MLP3", "MLP5", "MLP7", "MLP9"})
      list.push_back({"ratio_" + size, "density_ratio",
                      [size](const nn::ModelOptions& o) { return trace_class_ratio(size, o); }});
    return list;
  }
  list.push_back({"y2h", "label_embedding", [](const nn::ModelOptions&) {
                    nn::LabelToEmbedding net;
                    return trace_vector(net, 1);
                  }});
  list.push_back({"sparse_encoder", "sparse_autoencoder", [](const nn::ModelOptions& o) {
                    gan::SparseEncoder net(autoencoder_size(o));
                    return trace(net,
                                 [&]() -> std::vector<Variable> { return {net(zero_image(o))}; });
                  }});
  list.push_back({"sparse_decoder", "sparse_autoencoder", [](const nn::ModelOptions& o) {
                    gan::SparseDecoder net(autoencoder_size(o));
                    return trace_vector(net, autoencoder_size(o).bottleneck);
                  }});
  list.push_back({"sparse_predictor", "sparse_autoencoder", [](const nn::ModelOptions& o) {
                    gan::SparsePredictor net(autoencoder_size(o).bottleneck);
                    return trace_vector(net, autoencoder_size(o).bottleneck);
                  }});
  for (const std::string size : {"MLP3", "MLP5"})
    list.push_back({"ratio_" + size, "density_ratio",
                    [size](const nn::ModelOptions& o) { return trace_response_ratio(size, o); }});
  return list;
}

std::vector<Entry> entries(nn::Task task) {
  std::vector<Entry> list;
  for (const nn::ModelEntry& e : nn::all_models())
    if (e.serves(task))
      list.push_back(
          {e.name, e.family,
           [build = e.build](const nn::ModelOptions& o) { return trace_network(*build(o), o); },
           e.smallest_image});
  for (Entry& e : helpers(task)) list.push_back(std::move(e));
  return list;
}

Traced trace_one(const std::string& name, const nn::ModelOptions& options) {
  for (const Entry& e : helpers(options.task))
    if (e.name == name) return e.trace(options);
  return trace_network(*nn::create_model(name, options), options);
}

void print_all(const Options& o, const nn::ModelOptions& options) {
  json list = json::array();
  if (!o.as_json)
    std::printf("%-16s %-18s %12s %10s   taps\n", "name", "family", "parameters", "MMACs");
  for (const Entry& e : entries(options.task)) {
    if (options.size < e.smallest_image) {
      if (!o.as_json)
        std::printf("%-16s %-18s needs images of at least %lldx%lld (--input)\n", e.name.c_str(),
                    e.family.c_str(), static_cast<long long>(e.smallest_image),
                    static_cast<long long>(e.smallest_image));
      list.push_back(
          {{"name", e.name}, {"family", e.family}, {"smallest_image", e.smallest_image}});
      continue;
    }
    const Traced t = e.trace(options);
    std::string taps;
    for (const json& tap : t.taps) taps += (taps.empty() ? "" : " ") + tap.get<std::string>();
    if (!o.as_json)
      std::printf("%-16s %-18s %12lld %10.1f   %s\n", e.name.c_str(), e.family.c_str(),
                  static_cast<long long>(t.parameters), static_cast<double>(t.macs) / 1e6,
                  taps.c_str());
    list.push_back({{"name", e.name},
                    {"family", e.family},
                    {"parameters", t.parameters},
                    {"macs", t.macs},
                    {"taps", t.taps}});
  }
  if (o.as_json) std::printf("%s\n", list.dump(2).c_str());
}

void print_one(const Options& o, const nn::ModelOptions& options) {
  const Traced t = trace_one(o.name, options);
  if (o.as_json) {
    const json j{{"name", o.name},
                 {"parameters", t.parameters},
                 {"macs", t.macs},
                 {"layers", t.layers},
                 {"taps", t.taps}};
    std::printf("%s\n", j.dump(2).c_str());
    return;
  }
  std::printf("%-34s %-24s %12s %12s %12s %14s\n", "layer", "type", "input", "output", "parameters",
              "MACs");
  for (const json& l : t.layers)
    std::printf("%-34s %-24s %12s %12s %12lld %14lld\n", l["name"].get<std::string>().c_str(),
                l["type"].get<std::string>().c_str(), l["input"].get<std::string>().c_str(),
                l["output"].get<std::string>().c_str(), l["parameters"].get<long long>(),
                l["macs"].get<long long>());
  for (size_t i = 0; i < t.taps.size(); ++i)
    std::printf("tap f%zu: %s\n", i, t.taps[i].get<std::string>().c_str());
  std::printf("%s: %lld parameters, %lld multiply-adds for one sample of %lldx%lldx%lld\n",
              o.name.c_str(), static_cast<long long>(t.parameters), static_cast<long long>(t.macs),
              static_cast<long long>(options.channels), static_cast<long long>(options.size),
              static_cast<long long>(options.size));
}

/// A checkpoint that nothing was trained for: to try what takes one.
void save_untrained(const Options& o, const nn::ModelOptions& options) {
  const auto network = nn::create_model(o.name, options);
  network->initialise(Stream(1).fork("init"));
  const std::vector<double> half(static_cast<size_t>(options.channels), 0.5);
  kd::save_network(o.save, *network, o.name, options, {half, half});
  std::printf("%s: %s with its first, random weights\n", o.save.c_str(), o.name.c_str());
}

const RegisterCommand command(
    {"models", "list the networks, or one of them layer by layer", [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("name", o->name, "show this network layer by layer");
       app.add_option("--task", o->task, "what the networks predict")
           .one_of({"classification", "regression"})
           .show_default();
       app.add_option("--input", o->input,
                      "channels x height x width (3x32x32; regression: 3x64x64)");
       app.add_option("--classes", o->classes, "outputs of the last layer").show_default();
       app.add_flag("--json", o->as_json, "print JSON");
       app.add_option("--save", o->save,
                      "write the named network with random weights, a checkpoint to try other "
                      "commands with");
       app.callback([o] {
         const nn::ModelOptions options = parse_options(*o);
         LIMBECK_CHECK(o->save.empty() || !o->name.empty(), "--save needs the name of a network");
         if (!o->save.empty())
           save_untrained(*o, options);
         else if (o->name.empty())
           print_all(*o, options);
         else
           print_one(*o, options);
       });
     }});

}  // namespace
}  // namespace limbeck::models_app
