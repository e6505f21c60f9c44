// limbeck sample: images from a generator checkpoint. Of classes: one class, or a sheet of all. Of
// responses: one response, or a sweep of responses with the same noise along a row; as an animation
// a frame for each response. As a data set: the same images with their labels.
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <sstream>

#include "apps/command.h"
#include "apps/data_file.h"
#include "apps/device_option.h"
#include "apps/stage_files.h"
#include "data/animation.h"
#include "data/dataset.h"
#include "gan/sampler.h"
#include "tensor/rows.h"

namespace limbeck::sample_app {
namespace {

constexpr double none = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t most_columns = 4096;
constexpr int64_t default_sweep = 10;  // columns without a range, and rows

struct SampleArguments {
  std::string checkpoint, out, label_range;
  std::shared_ptr<DeviceOptions> device;
  int64_t label_class = -1, count = 0, columns = 0, zoom = 2;
  double label = none;
  uint64_t seed = 0;
  double truncation = 0, frame_seconds = 0.2;
  bool allow_nonfinite = false;

  bool animated() const { return out.ends_with(".apng"); }
  bool labelled() const { return is_data_file_name(out); }
  int64_t images() const { return count > 0 ? count : 64; }
  Stream stream() const { return Stream(seed).fork("sample"); }
};

int64_t default_columns(int64_t count) {
  return static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
}

/// u8 [N, H, W, C].
Tensor images_of(const SampleArguments& a, gan::Generator& generator,
                 const gan::Condition& condition) {
  return data::to_bytes(
      gan::sample(generator, condition, a.stream(), {.truncation = a.truncation}));
}

void write_grid(const SampleArguments& a, const Tensor& images, int64_t columns) {
  data::write_png(a.out, data::grid(images, a.columns > 0 ? a.columns : columns, 2, a.zoom));
}

void write_labelled(const SampleArguments& a, const data::Dataset& set) {
  write_data_file(a.out, {set, {}}, /*fake=*/true);
  std::printf("%s: %lld images\n", a.out.c_str(), static_cast<long long>(set.size()));
}
/// Responses normalised to [0, 1], one for each image.
void write_labelled(const SampleArguments& a, const Tensor& images, const std::vector<float>& y,
                    const data::ResponseScale& scale) {
  data::Dataset set;
  set.images = images, set.scale = scale;
  set.targets = scale.from_unit(Tensor::of(y));
  write_labelled(a, set);
}

void sample_classes(const SampleArguments& a, gan::Generator& generator) {
  LIMBECK_CHECK(std::isnan(a.label) && a.label_range.empty(), a.checkpoint,
                ": the generator makes classes; --class names one, found --label");
  const int64_t classes = generator.config().classes, n = a.images();
  LIMBECK_CHECK(a.label_class >= -1 && a.label_class < classes, "--class: expected 0..",
                classes - 1, " for this checkpoint, found ", a.label_class);
  const bool all = a.label_class < 0;
  const Tensor labels = Tensor::empty({all ? classes * n : n}, DType::i64);
  for (int64_t i = 0; i < labels.numel(); ++i)
    labels.data<int64_t>()[i] = all ? i / n : a.label_class;
  const Tensor images = images_of(a, generator, {labels, {}});
  if (!a.labelled()) return write_grid(a, images, all ? n : default_columns(n));
  data::Dataset set;
  set.images = images, set.labels = labels, set.classes = classes;
  write_labelled(a, set);
}

std::string unit_of(const data::ResponseScale& scale) {
  return scale.unit.empty() ? "" : " " + scale.unit;
}

/// Normalised to [0, 1].
float normalised(double response, const data::ResponseScale& scale, const char* option) {
  LIMBECK_CHECK(response >= scale.low && response <= scale.high, option, ": expected ", scale.low,
                "..", scale.high, unit_of(scale), " for this checkpoint, found ", response);
  return static_cast<float>(scale.to_unit(response));
}

/// "20:60:5" -> 20, 25, ..., 60.
std::vector<double> parse_range(const std::string& text) {
  std::istringstream in(text);
  double low = 0, high = 0, step = 0;
  char first = 0, second = 0;
  in >> low >> first >> high >> second >> step;
  LIMBECK_CHECK(in && in.peek() == EOF && first == ':' && second == ':' && low <= high && step > 0,
                "--label-range: expected LOW:HIGH:STEP with LOW <= HIGH and STEP > 0, found '",
                text, "'");
  const double steps = std::floor((high - low) / step + 1e-9);
  LIMBECK_CHECK(steps < 1000, "--label-range: expected at most 1000 responses, found ", steps + 1);
  std::vector<double> all;
  for (double i = 0; i <= steps; ++i) all.push_back(std::min(low + i * step, high));
  return all;
}

/// Responses normalised to [0, 1]: the range's, or evenly over the scale.
std::vector<float> swept_responses(const SampleArguments& a, const data::ResponseScale& scale) {
  std::vector<float> y;
  if (a.label_range.empty())
    for (int64_t i = 0; i < default_sweep; ++i)
      y.push_back(static_cast<float>(i) / static_cast<float>(default_sweep - 1));
  else
    for (const double v : parse_range(a.label_range))
      y.push_back(normalised(v, scale, "--label-range"));
  return y;
}

/// A column per response, a row per noise; or a frame per response, which shows every noise.
void write_sweep(const SampleArguments& a, const gan::TrainedGenerator& generator) {
  const std::vector<float> y = swept_responses(a, generator.scale);
  const int64_t rows = a.count > 0 ? a.count : default_sweep,
                columns = static_cast<int64_t>(y.size());
  const Tensor images = gan::sweep_images(*generator.net, generator.condition(Tensor::of(y)), rows,
                                          a.stream(), {.truncation = a.truncation});
  if (a.labelled()) {
    std::vector<float> of_images;
    for (int64_t r = 0; r < rows; ++r) of_images.insert(of_images.end(), y.begin(), y.end());
    return write_labelled(a, images, of_images, generator.scale);
  }
  if (!a.animated()) return data::write_png(a.out, data::grid(images, columns, 2, a.zoom));
  std::vector<Tensor> frames;
  for (int64_t k = 0; k < columns; ++k) {
    std::vector<int64_t> of_frame;
    for (int64_t r = 0; r < rows; ++r) of_frame.push_back(r * columns + k);
    frames.push_back(data::grid(take_rows(images, of_frame),
                                a.columns > 0 ? a.columns : default_columns(rows), 2, a.zoom));
  }
  data::write_apng(a.out, frames, a.frame_seconds);
}

void sample_responses(const SampleArguments& a, const gan::TrainedGenerator& generator) {
  LIMBECK_CHECK(a.label_class < 0, a.checkpoint,
                ": the generator makes responses; --label or --label-range name them, found "
                "--class");
  LIMBECK_CHECK(std::isnan(a.label) || a.label_range.empty(),
                "--label and --label-range exclude each other");
  const data::ResponseScale& scale = generator.scale;
  std::vector<float> y;
  if (!std::isnan(a.label)) {
    y.assign(static_cast<size_t>(a.images()), normalised(a.label, scale, "--label"));
    const Tensor images = images_of(a, *generator.net, generator.condition(Tensor::of(y)));
    if (a.labelled()) return write_labelled(a, images, y, scale);
    return write_grid(a, images, default_columns(a.images()));
  }
  write_sweep(a, generator);
}

void write_samples(const SampleArguments& a) {
  LIMBECK_CHECK(a.count >= 0, "--n: expected at least 1, found ", a.count);
  LIMBECK_CHECK(a.zoom >= 1 && a.zoom <= 64, "--zoom: expected 1 to 64, found ", a.zoom);
  LIMBECK_CHECK(a.columns >= 0 && a.columns <= most_columns, "--columns: expected 1 to ",
                most_columns, ", found ", a.columns);
  LIMBECK_CHECK(!a.labelled() || a.columns == 0, "--columns: ", a.out,
                " is a data set and no grid; expected none, found ", a.columns);
  const gan::TrainedGenerator generator =
      gan::load_trained_generator(expect_undamaged_file(a.checkpoint), a.allow_nonfinite);
  generator.to(chosen_device(*a.device));
  LIMBECK_CHECK(
      !a.animated() || (generator.of_responses() && std::isnan(a.label)), a.out,
      ": an animation goes over responses, a frame each; expected a sweep (--label-range), "
      "or a .png");
  if (generator.of_responses())
    sample_responses(a, generator);
  else
    sample_classes(a, *generator.net);
}

const RegisterCommand command(
    {"sample", "draw images from a generator checkpoint", [](CommandLine& app) {
       auto a = std::make_shared<SampleArguments>();
       app.add_option("--ckpt", a->checkpoint, "generator checkpoint (safetensors)").required();
       app.add_option("--class", a->label_class, "class index; without it one row per class");
       app.add_option("--label", a->label, "response, in the unit of the training data");
       app.add_option("--label-range", a->label_range,
                      "LOW:HIGH:STEP: a column per response, a row per noise; the whole scale "
                      "without --label");
       app.add_option("--n", a->count,
                      "images (per class when --class is absent), 64 by default; of a range the "
                      "rows, 10 by default")
           .positive();
       app.add_option("--out", a->out,
                      "PNG file to write; .apng: the sweep as an animation, a frame per response "
                      "(APNG, which browsers play); .safetensors, .h5: a data set, the images with "
                      "their labels")
           .required();
       app.add_option("--frame-seconds", a->frame_seconds, "of an animation").show_default();
       app.add_option("--seed", a->seed, "seed of the noise").show_default();
       app.add_option("--truncation", a->truncation, "redraw noise beyond this value, 0: off")
           .show_default();
       app.add_flag("--allow-nonfinite", a->allow_nonfinite,
                    "take NaN and infinite weights as they are");
       a->device = add_device_options(app);
       app.add_option("--columns", a->columns, "images per row of the grid");
       app.add_option("--zoom", a->zoom, "integer magnification").show_default();
       app.callback([a] { write_samples(*a); });
     }});

}  // namespace
}  // namespace limbeck::sample_app
