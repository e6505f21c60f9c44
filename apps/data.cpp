// `limbeck data info` prints what a data set holds; `limbeck data preview` writes a sheet of its images.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/command.h"
#include "data/dataset.h"

namespace limbeck::data_app {
namespace {

struct Options {
  data::DataSettings settings;
  bool json = false;
  std::string out, part = "train";
  int64_t per_class = 10, zoom = 2;
};

void add_data_options(CommandLine& app, const std::shared_ptr<Options>& o) {
  auto& s = o->settings;
  app.add_option("--kind", s.kind, "shapes | cifar10 | cifar100 | idx | folder").show_default();
  app.add_option("--path", s.path, "folder of the data files (not for shapes)");
  app.add_option("--size", s.image_size, "side of the images; smaller ones get a black frame").show_default();
  app.add_option("--seed", s.seed, "seed of the draw and of shapes").show_default();
  app.add_option("--train-per-class", s.train_per_class, "labelled training images per class, 0: all").show_default();
  app.add_option("--test-per-class", s.test_per_class, "test images per class, 0: all").show_default();
  app.add_option("--shapes-train", s.shapes_train, "procedural training images").show_default();
  app.add_option("--shapes-test", s.shapes_test, "procedural test images").show_default();
  app.add_option("--shapes-difficulty", s.shapes_difficulty, "clutter, colour and pose of the procedural images, 0 to 1").show_default();
  app.add_option("--label-column", s.label_column, "label column of labels.csv (kind folder)");
}

nlohmann::ordered_json summary(const data::Dataset& d) {
  nlohmann::ordered_json j;
  j["images"] = d.size();
  j["height"] = d.height();
  j["width"] = d.width();
  j["channels"] = d.channels();
  j["classes"] = d.classes;
  if (d.classes > 0) {
    j["images_per_class"] = d.histogram();
  } else if (d.size() > 0) {
    const auto responses = d.targets.span<float>();
    const auto [low, high] = std::minmax_element(responses.begin(), responses.end());
    j["response_minimum"] = *low;
    j["response_maximum"] = *high;
    j["response_mean"] = std::accumulate(responses.begin(), responses.end(), 0.0) / static_cast<double>(d.size());
  }
  if (d.size() > 0) {
    const data::Standardisation s = data::standardisation_of(d);
    j["mean"] = s.mean;
    j["deviation"] = s.deviation;
  }
  return j;
}

void print_numbers(const char* name, const std::vector<double>& values) {
  std::printf("  %-10s", name);
  for (const double v : values) std::printf(" %.4f", v);
  std::printf("\n");
}

void print_part(const char* part, const data::Dataset& d) {
  std::printf("%s: %lld images, %lld x %lld, %lld channel%s\n", part, static_cast<long long>(d.size()), static_cast<long long>(d.height()),
              static_cast<long long>(d.width()), static_cast<long long>(d.channels()), d.channels() == 1 ? "" : "s");
  if (d.size() == 0) return;
  const data::Standardisation s = data::standardisation_of(d);
  print_numbers("mean", s.mean);
  print_numbers("deviation", s.deviation);
  if (d.classes == 0) {
    const auto j = summary(d);
    std::printf("  responses  %g to %g, mean %g\n", j["response_minimum"].get<double>(), j["response_maximum"].get<double>(),
                j["response_mean"].get<double>());
    return;
  }
  const auto count = d.histogram();
  for (size_t c = 0; c < count.size(); ++c)
    std::printf("  class %3zu  %6lld  %s\n", c, static_cast<long long>(count[c]), d.class_names.empty() ? "" : d.class_names[c].c_str());
}

void info(const Options& o) {
  const data::Split split = data::load(o.settings);
  if (!o.json) {
    print_part("train", split.train);
    print_part("test", split.test);
    return;
  }
  nlohmann::ordered_json j;
  j["kind"] = o.settings.kind;
  if (!o.settings.path.empty()) j["path"] = o.settings.path;
  if (!split.train.class_names.empty()) j["class_names"] = split.train.class_names;
  j["train"] = summary(split.train);
  j["test"] = summary(split.test);
  std::printf("%s\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

/// The first images of each class, one row per class; a class with fewer ends its row in black.
Tensor class_sheet(const data::Dataset& d, int64_t columns) {
  const int64_t image = d.height() * d.width() * d.channels();
  Tensor sheet = Tensor::zeros({d.classes * columns, d.height(), d.width(), d.channels()}, DType::u8);
  std::vector<int64_t> used(static_cast<size_t>(d.classes), 0);
  for (int64_t i = 0; i < d.size(); ++i) {
    const int64_t label = d.labels.data<int64_t>()[i];
    const int64_t column = used[static_cast<size_t>(label)]++;
    if (column < columns)
      std::copy_n(d.images.data<uint8_t>() + i * image, image, sheet.data<uint8_t>() + (label * columns + column) * image);
  }
  return sheet;
}

/// Ten rows of images with rising response, evenly spaced among the sorted ones.
Tensor response_sheet(const data::Dataset& d, int64_t columns) {
  std::vector<int64_t> order(static_cast<size_t>(d.size()));
  std::iota(order.begin(), order.end(), 0);
  const float* y = d.targets.data<float>();
  std::stable_sort(order.begin(), order.end(), [y](int64_t a, int64_t b) { return y[a] < y[b]; });
  const int64_t cells = std::min<int64_t>(d.size(), 10 * columns);
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < cells; ++i) chosen.push_back(order[static_cast<size_t>(i * d.size() / cells)]);
  return d.select(chosen).images;
}

void preview(const Options& o) {
  LIMBECK_CHECK(o.part == "train" || o.part == "test", "--part: expected train or test, found '", o.part, "'");
  LIMBECK_CHECK(o.per_class > 0 && o.zoom > 0, "--per-class and --zoom: expected at least 1, found ", o.per_class, " and ", o.zoom);
  const data::Split split = data::load(o.settings);
  const data::Dataset& d = o.part == "train" ? split.train : split.test;
  LIMBECK_CHECK(d.size() > 0, "the ", o.part, " part holds no image");
  const Tensor sheet = d.classes > 0 ? class_sheet(d, o.per_class) : response_sheet(d, o.per_class);
  const Tensor canvas = data::grid(sheet, o.per_class, 2, o.zoom);
  data::write_png(o.out, canvas);
  std::printf("%s: %lld rows of %lld images\n", o.out.c_str(), static_cast<long long>((sheet.size(0) + o.per_class - 1) / o.per_class),
              static_cast<long long>(o.per_class));
}

RegisterCommand command({"data", "look at a data set: info, preview", [](CommandLine& app) {
  app.require_subcommand();
  auto options = std::make_shared<Options>();
  CommandLine show = app.add_subcommand("info", "counts, sizes, classes, mean and deviation of each part");
  add_data_options(show, options);
  show.add_flag("--json", options->json, "print JSON");
  show.callback([options] { info(*options); });
  CommandLine sheet = app.add_subcommand("preview", "write a sheet of images, a row for each class");
  add_data_options(sheet, options);
  sheet.add_option("--out", options->out, "PNG file to write").required();
  sheet.add_option("--part", options->part, "train | test").show_default();
  sheet.add_option("--per-class", options->per_class, "images per row").show_default();
  sheet.add_option("--zoom", options->zoom, "enlarge each pixel this many times").show_default();
  sheet.callback([options] { preview(*options); });
}});

}  // namespace
}  // namespace limbeck::data_app
