// `limbeck predict`: what a saved network says about images in a .npy file.
#include <algorithm>
#include <cstdio>
#include <memory>

#include "apps/command.h"
#include "apps/device_option.h"
#include "kd/checkpoint.h"

namespace limbeck::predict_app {
namespace {

struct Options {
  std::string checkpoint, in, out;
  std::shared_ptr<DeviceOptions> device;
  int64_t batch = 200;
  bool allow_nonfinite = false;
};

/// Images [N, C, H, W] as the network takes them: bytes are standardised, floating-point numbers
/// are taken as they are.
Tensor read_images(const std::string& path, const kd::SavedNetwork& saved) {
  const Tensor t = read_npy(path);
  const nn::ModelOptions& o = saved.options;
  LIMBECK_CHECK(t.rank() == 4 && t.size(0) > 0 && t.size(1) == o.channels && t.size(2) == o.size &&
                    t.size(3) == o.size,
                path, ": ", saved.name, " expects images [N, ", o.channels, ", ", o.size, ", ",
                o.size, "], found ", t.shape());
  LIMBECK_CHECK(t.dtype() == DType::u8 || is_floating(t.dtype()), path,
                ": expected u8, f32 or f64, found ", name_of(t.dtype()));
  Tensor images = to_channels_last(t.to(DType::f32));
  if (t.dtype() != DType::u8) return images;
  float* p = images.data<float>();
  for (int64_t i = 0; i < images.numel(); ++i) {
    const auto c = static_cast<size_t>(i % o.channels);
    p[i] = static_cast<float>((p[i] / 255.0 - saved.standardisation.mean[c]) /
                              saved.standardisation.deviation[c]);
  }
  return images;
}

void predict(const Options& o) {
  const kd::SavedNetwork saved =
      kd::load_network(o.checkpoint, chosen_device(*o.device), o.allow_nonfinite);
  const Tensor images = read_images(o.in, saved);
  const NoGrad no_grad;
  saved.network->eval();
  const int64_t count = images.size(0);
  Tensor outputs = Tensor::empty({count, saved.options.outputs}, DType::f32);
  for (int64_t begin = 0; begin < count; begin += o.batch) {
    const int64_t end = std::min(begin + o.batch, count);
    outputs.rows(begin, end)
        .copy_from(
            (*saved.network)(Variable(images.rows(begin, end).to(saved.network->device()))).data());
  }
  if (saved.scale) outputs = saved.scale->from_unit(outputs);
  write_npy(o.out, outputs);
  const std::string unit =
      saved.scale && !saved.scale->unit.empty() ? " in " + saved.scale->unit : "";
  std::printf("%s: outputs of %s%s for %lld images\n", o.out.c_str(), saved.name.c_str(),
              unit.c_str(), static_cast<long long>(count));
}

const RegisterCommand command(
    {"predict", "outputs of a saved network for images in a .npy file", [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("--ckpt", o->checkpoint, "model.safetensors of a run").required();
       app.add_option("--input", o->in,
                      ".npy [N, C, H, W]: u8 is standardised with the checkpoint's mean and "
                      "deviation, f32 and f64 are fed as they are")
           .required();
       app.add_option(
              "--out", o->out,
              ".npy [N, outputs] to write, f32; responses in their unit where the network knows it")
           .required();
       app.add_option("--batch", o->batch, "images per forward pass").positive().show_default();
       app.add_flag("--allow-nonfinite", o->allow_nonfinite,
                    "take NaN and infinite weights as they are");
       o->device = add_device_options(app);
       app.callback([o] { predict(*o); });
     }});

}  // namespace
}  // namespace limbeck::predict_app
