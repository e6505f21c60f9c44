// `limbeck models`: the networks, their parameters and multiply-adds; with a name, layer by layer.
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "nn/layers.h"
#include "nn/models/registry.h"
#include "nn/trace.h"

namespace limbeck {
namespace {

using nlohmann::json;

struct Options {
  std::string name, input = "3x32x32";
  int64_t classes = 100;
  bool as_json = false;
};

/// "3x32x32": channels, height, width.
nn::ModelOptions parse_input(const Options& o) {
  long long c = 0, h = 0, w = 0;
  int end = 0;
  const bool ok = std::sscanf(o.input.c_str(), "%lldx%lldx%lld%n", &c, &h, &w, &end) == 3 && end == static_cast<int>(o.input.size());
  LIMBECK_CHECK(ok && c > 0 && h > 0, "--input: expected channels x height x width such as 3x32x32, found '", o.input, "'");
  LIMBECK_CHECK(h == w, "--input: the networks take square images, found ", h, "x", w);
  return {.outputs = o.classes, .channels = c, .size = h};
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
    std::string text = cat("conv ", c.kernel, "x", c.kernel);
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

/// Runs one zero image through the network with zero weights: shapes and counts do not depend on values.
Traced trace(const std::string& name, const nn::ModelOptions& options) {
  const auto network = nn::create_model(name, options);
  network->eval();
  std::map<const nn::Module*, std::string> names;
  network->visit([&](const std::string& path, nn::Module& m) { names.emplace(&m, path); });
  NoGrad no_grad;
  nn::LayerTrace layers;
  const nn::Features features = network->forward_features(Tensor::zeros({1, options.size, options.size, options.channels}));
  Traced t{network->parameter_count(), layers.macs()};
  for (const nn::LayerRecord& r : layers.records())
    t.layers.push_back({{"name", names.at(r.layer)}, {"type", layer_type(*r.layer)}, {"input", image_shape(r.in)},
                        {"output", image_shape(r.out)}, {"parameters", r.layer->parameter_count()}, {"macs", r.macs}});
  for (const Variable& tap : features.taps) t.taps.push_back(image_shape(tap.shape()));
  return t;
}

void print_all(const Options& o, const nn::ModelOptions& options) {
  json list = json::array();
  if (!o.as_json) std::printf("%-16s %-14s %12s %10s   taps\n", "name", "family", "parameters", "MMACs");
  for (const nn::ModelEntry& e : nn::all_models()) {
    const Traced t = trace(e.name, options);
    std::string taps;
    for (const json& tap : t.taps) taps += (taps.empty() ? "" : " ") + tap.get<std::string>();
    if (!o.as_json) std::printf("%-16s %-14s %12lld %10.1f   %s\n", e.name.c_str(), e.family.c_str(), static_cast<long long>(t.parameters), static_cast<double>(t.macs) / 1e6, taps.c_str());
    list.push_back({{"name", e.name}, {"family", e.family}, {"parameters", t.parameters}, {"macs", t.macs}, {"taps", t.taps}});
  }
  if (o.as_json) std::printf("%s\n", list.dump(2).c_str());
}

void print_one(const Options& o, const nn::ModelOptions& options) {
  const Traced t = trace(o.name, options);
  if (o.as_json) {
    const json j{{"name", o.name}, {"parameters", t.parameters}, {"macs", t.macs}, {"layers", t.layers}, {"taps", t.taps}};
    std::printf("%s\n", j.dump(2).c_str());
    return;
  }
  std::printf("%-34s %-24s %12s %12s %12s %14s\n", "layer", "type", "input", "output", "parameters", "MACs");
  for (const json& l : t.layers)
    std::printf("%-34s %-24s %12s %12s %12lld %14lld\n", l["name"].get<std::string>().c_str(), l["type"].get<std::string>().c_str(),
                l["input"].get<std::string>().c_str(), l["output"].get<std::string>().c_str(), l["parameters"].get<long long>(),
                l["macs"].get<long long>());
  for (size_t i = 0; i < t.taps.size(); ++i) std::printf("tap f%zu: %s\n", i, t.taps[i].get<std::string>().c_str());
  std::printf("%s: %lld parameters, %lld multiply-adds for one %s image\n", o.name.c_str(), static_cast<long long>(t.parameters),
              static_cast<long long>(t.macs), o.input.c_str());
}

const RegisterCommand command({"models", "list the networks, or one of them layer by layer", [](CommandLine& app) {
  auto o = std::make_shared<Options>();
  app.add_option("name", o->name, "show this network layer by layer");
  app.add_option("--input", o->input, "channels x height x width").show_default();
  app.add_option("--classes", o->classes, "outputs of the last layer").show_default();
  app.add_flag("--json", o->as_json, "print JSON");
  app.callback([o] {
    const nn::ModelOptions options = parse_input(*o);
    if (o->name.empty()) print_all(*o, options);
    else print_one(*o, options);
  });
}});

}  // namespace
}  // namespace limbeck
