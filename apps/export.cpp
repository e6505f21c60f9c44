// `limbeck export`: a saved network as an ONNX model, for programs that know nothing of Limbeck.
#include <cstdio>
#include <memory>

#include "apps/command.h"
#include "apps/stage_files.h"
#include "kd/checkpoint.h"
#include "nn/onnx.h"

namespace limbeck::export_app {
namespace {

struct Options {
  std::string in, out, input = "u8";
  bool allow_nonfinite = false;
};

nn::OnnxOptions onnx_options(const Options& o, const kd::SavedNetwork& saved) {
  nn::OnnxOptions onnx{.mean = saved.standardisation.mean,
                       .deviation = saved.standardisation.deviation,
                       .bytes = o.input == "u8",
                       .metadata = {{"network", saved.name},
                                    {"task", nn::name_of(saved.options.task)},
                                    {"mean", metadata_text(saved.standardisation.mean)},
                                    {"deviation", metadata_text(saved.standardisation.deviation)}}};
  if (saved.scale) {
    saved.scale->expect_line("export");
    onnx.low = saved.scale->low, onnx.high = saved.scale->high;
    onnx.metadata.emplace_back("unit", saved.scale->unit);
  }
  return onnx;
}

void export_network(const Options& o) {
  const kd::SavedNetwork saved =
      kd::load_network(expect_undamaged_file(o.in), cpu, o.allow_nonfinite);
  const std::string model =
      nn::onnx_model(*saved.network, saved.name, saved.options, onnx_options(o, saved));
  write_file_atomically(o.out, model);
  std::printf("%s: %s, images %s [N, %lld, %lld, %lld], %s [N, %lld], %zu bytes\n", o.out.c_str(),
              saved.name.c_str(), o.input.c_str(), static_cast<long long>(saved.options.channels),
              static_cast<long long>(saved.options.size),
              static_cast<long long>(saved.options.size),
              saved.options.task == nn::Task::regression ? "response" : "logits",
              static_cast<long long>(saved.options.outputs), model.size());
}

const RegisterCommand command(
    {"export", "write a saved network as an ONNX model", [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("in", o->in, "model.safetensors of a run").required();
       app.add_option("out", o->out, ".onnx file to write").required();
       app.add_option("--input", o->input,
                      "what the model takes, [N, C, H, W]: u8 in [0, 255], or f32 in [0, 1]; it "
                      "standardises them itself")
           .one_of({"u8", "f32"})
           .show_default();
       app.add_flag("--allow-nonfinite", o->allow_nonfinite,
                    "take NaN and infinite weights as they are");
       app.callback([o] { export_network(*o); });
     }});

}  // namespace
}  // namespace limbeck::export_app
