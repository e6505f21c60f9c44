// `limbeck predict`: what a saved network says about image files, or about an array of images.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>

#include "apps/command.h"
#include "apps/device_option.h"
#include "apps/predict_input.h"
#include "apps/report_text.h"
#include "apps/stage_files.h"

namespace limbeck::predict_app {
namespace {

struct Options {
  std::string checkpoint, out, resize;
  std::vector<std::string> in;
  std::shared_ptr<DeviceOptions> device;
  int64_t batch = 200, top = 1, max_pixels = data::default_max_pixels, bits = 0;
  bool allow_nonfinite = false;
};

bool is_npy(const std::string& path) { return path.ends_with(".npy"); }

std::unique_ptr<Input> open_input(const Options& o, const kd::SavedNetwork& saved) {
  const ImageOptions images{data::parse_resize(o.resize), o.max_pixels, o.bits};
  if (std::any_of(o.in.begin(), o.in.end(), is_npy)) {
    LIMBECK_CHECK(o.in.size() == 1, "--input: expected one .npy file, or images, found ",
                  joined(o.in));
    return open_array(o.in[0], saved);
  }
  std::vector<std::string> files, skipped;
  for (const std::string& path : o.in) {
    const std::vector<std::string> more = image_files_of(path, skipped);
    files.insert(files.end(), more.begin(), more.end());
  }
  if (!skipped.empty())
    std::fprintf(stderr, "limbeck: warning: %zu file%s no PNG, JPEG, BMP or PNM: %s%s\n",
                 skipped.size(), skipped.size() == 1 ? " is" : "s are", skipped[0].c_str(),
                 skipped.size() == 1 ? "" : ", ...");
  return open_images(std::move(files), images, saved);
}

/// f32 [N, outputs]; responses in their unit.
Tensor outputs_of(const kd::SavedNetwork& saved, const Input& input, int64_t batch) {
  const NoGrad no_grad;
  saved.network->eval();
  const int64_t count = input.size();
  Tensor outputs = Tensor::empty({count, saved.options.outputs}, DType::f32);
  for (int64_t begin = 0; begin < count; begin += batch) {
    const int64_t end = std::min(begin + batch, count);
    const Tensor images = input.images(begin, end).to(saved.network->device());
    outputs.rows(begin, end).copy_from((*saved.network)(Variable(images)).data());
  }
  return saved.scale ? saved.scale->from_unit(outputs) : outputs;
}

/// Softmax in f64, which the shares of a row sum up to 1 in.
std::vector<double> probabilities(const float* logits, int64_t n) {
  std::vector<double> p(logits, logits + n);
  const double most = *std::max_element(p.begin(), p.end());
  for (double& v : p) v = std::exp(v - most);
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& v : p) v /= sum;
  return p;
}

/// "file,class,probability", and "class_2,probability_2" up to `top`, the likeliest first.
std::string csv_of_classes(const kd::SavedNetwork& saved, const Input& input, const Tensor& outputs,
                           int64_t top) {
  std::string text = "file";
  for (int64_t k = 1; k <= top; ++k) {
    const std::string place = k > 1 ? cat("_", k) : "";
    text += cat(",class", place, ",probability", place);
  }
  const int64_t n = outputs.size(1);
  std::vector<int64_t> order(static_cast<size_t>(n));
  for (int64_t i = 0; i < input.size(); ++i) {
    const std::vector<double> p = probabilities(outputs.data<float>() + i * n, n);
    LIMBECK_CHECK(std::none_of(p.begin(), p.end(), [](double v) { return std::isnan(v); }),
                  input.name(i), ": the outputs of ", saved.name, " are not finite");
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + top, order.end(), [&](int64_t a, int64_t b) {
      const double x = p[static_cast<size_t>(a)], y = p[static_cast<size_t>(b)];
      return x != y ? x > y : a < b;
    });
    text += "\n" + report::csv_text(input.name(i));
    for (int64_t k = 0; k < top; ++k) {
      const auto c = static_cast<size_t>(order[static_cast<size_t>(k)]);
      text += cat(",", saved.class_names.empty() ? cat(c) : report::csv_text(saved.class_names[c]),
                  ",", report::csv_number(p[c]));
    }
  }
  return text + "\n";
}

/// "file,response,unit"; without the last where the network knows none.
std::string csv_of_responses(const kd::SavedNetwork& saved, const Input& input,
                             const Tensor& outputs) {
  const std::string unit = saved.scale ? report::csv_text(saved.scale->unit) : "";
  std::string text = unit.empty() ? "file,response\n" : "file,response,unit\n";
  for (int64_t i = 0; i < input.size(); ++i)
    text += cat(report::csv_text(input.name(i)), ",",
                report::csv_number(static_cast<double>(outputs.data<float>()[i])),
                unit.empty() ? "" : "," + unit, "\n");
  return text;
}

void predict(const Options& o) {
  LIMBECK_CHECK(o.bits == 0 || o.bits > 8, "--bits: expected 9..16, or 0, found ", o.bits);
  const kd::SavedNetwork saved = kd::load_network(expect_undamaged_file(o.checkpoint),
                                                  chosen_device(*o.device), o.allow_nonfinite);
  const bool classes = saved.options.task == nn::Task::classification;
  LIMBECK_CHECK(o.top == 1 || (classes && o.top <= saved.options.outputs), "--top: expected ",
                classes ? cat("1..", saved.options.outputs, ", the classes of ", saved.name)
                        : "none for responses",
                ", found ", o.top);
  const std::unique_ptr<Input> input = open_input(o, saved);
  const Tensor outputs = outputs_of(saved, *input, o.batch);
  if (is_npy(o.out)) {
    write_npy(o.out, outputs);
  } else {
    const std::string text = classes ? csv_of_classes(saved, *input, outputs, o.top)
                                     : csv_of_responses(saved, *input, outputs);
    if (o.out.empty()) return void(std::fputs(text.c_str(), stdout));
    write_file_atomically(o.out, text);
  }
  const std::string unit =
      saved.scale && !saved.scale->unit.empty() ? " in " + saved.scale->unit : "";
  std::printf("%s: %s of %s%s for %lld images\n", o.out.c_str(),
              is_npy(o.out) ? "outputs" : "predictions", saved.name.c_str(), unit.c_str(),
              static_cast<long long>(input->size()));
}

const RegisterCommand command(
    {"predict", "what a saved network says about images", [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("--ckpt", o->checkpoint, "model.safetensors of a run").required();
       app.add_option("--input", o->in,
                      "images, folders of images, text files with a path a line; or a .npy [N, C, "
                      "H, W]: u8 is standardised with the checkpoint's mean and deviation, f32 and "
                      "f64 are fed as they are")
           .required();
       app.add_option("--out", o->out,
                      "CSV file to write (default: standard output), with class and probability, "
                      "or the response in its unit; a name that ends in .npy gets the outputs, f32 "
                      "[N, outputs]");
       app.add_option("--top", o->top, "classes of each image, the likeliest first")
           .positive()
           .show_default();
       app.add_option("--resize", o->resize,
                      "stretch | crop | fit: scales images of another size, as data.resize; "
                      "without it smaller ones get a black frame and larger ones are refused")
           .one_of({"stretch", "crop", "fit"});
       app.add_option("--max-pixels", o->max_pixels, "an image of more pixels is refused")
           .positive()
           .show_default();
       app.add_option("--bits", o->bits,
                      "of the samples of PNG files of 16 bits: 12 says that 4095 is white; 0: 16, "
                      "but an image that does not reach 4096 is refused")
           .in_range(0, 16)
           .show_default();
       app.add_option("--batch", o->batch, "images per forward pass").positive().show_default();
       app.add_flag("--allow-nonfinite", o->allow_nonfinite,
                    "take NaN and infinite weights as they are");
       o->device = add_device_options(app);
       app.callback([o] { predict(*o); });
     }});

}  // namespace
}  // namespace limbeck::predict_app
