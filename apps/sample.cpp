// limbeck sample: a grid of images of one class (or a sheet of all classes) from a generator
// checkpoint.
#include <cmath>
#include <memory>

#include "apps/command.h"
#include "apps/device_option.h"
#include "data/dataset.h"
#include "gan/sampler.h"

namespace limbeck::sample_app {
namespace {

struct SampleArguments {
  std::string checkpoint, out;
  std::shared_ptr<DeviceOptions> device;
  int64_t label = -1, count = 64, columns = 0, zoom = 2;
  uint64_t seed = 0;
  double truncation = 0;
};

int64_t default_columns(int64_t count) {
  return static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
}

void write_samples(const SampleArguments& a) {
  LIMBECK_CHECK(a.count >= 1, "--n: expected at least 1, found ", a.count);
  LIMBECK_CHECK(a.zoom >= 1, "--zoom: expected at least 1, found ", a.zoom);
  const auto generator = gan::load_generator(a.checkpoint);
  generator->to(chosen_device(*a.device));
  const int64_t classes = generator->config().classes;
  LIMBECK_CHECK(a.label >= -1 && a.label < classes, "--class: expected 0..", classes - 1,
                " for this checkpoint, found ", a.label);
  const Tensor labels = Tensor::empty({a.label < 0 ? classes * a.count : a.count}, DType::i64);
  for (int64_t i = 0; i < labels.numel(); ++i)
    labels.data<int64_t>()[i] = a.label < 0 ? i / a.count : a.label;
  const Tensor images =
      gan::sample(*generator, labels, Stream(a.seed).fork("sample"), {.truncation = a.truncation});
  const int64_t columns = a.columns > 0 ? a.columns
                          : a.label < 0 ? a.count
                                        : default_columns(a.count);
  data::write_png(a.out, data::grid(data::to_bytes(images), columns, 2, a.zoom));
}

const RegisterCommand command(
    {"sample", "draw images from a generator checkpoint", [](CommandLine& app) {
       auto a = std::make_shared<SampleArguments>();
       app.add_option("--ckpt", a->checkpoint, "generator checkpoint (safetensors)").required();
       app.add_option("--class", a->label, "class index; without it one row per class");
       app.add_option("--n", a->count, "images (per class when --class is absent)").show_default();
       app.add_option("--out", a->out, "PNG file to write").required();
       app.add_option("--seed", a->seed, "seed of the noise").show_default();
       app.add_option("--truncation", a->truncation, "redraw noise beyond this value, 0: off")
           .show_default();
       a->device = add_device_options(app);
       app.add_option("--columns", a->columns, "images per row of the grid");
       app.add_option("--zoom", a->zoom, "integer magnification").show_default();
       app.callback([a] { write_samples(*a); });
     }});

}  // namespace
}  // namespace limbeck::sample_app
