// `limbeck data info` prints what a data set holds; `limbeck data preview` writes a sheet of its
// images; `limbeck data kinds` lists the sources; `limbeck data convert` is in data_convert.cpp.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "apps/command.h"
#include "apps/config.h"
#include "apps/data_convert.h"
#include "apps/data_options.h"
#include "data/classes.h"
#include "data/sheet.h"

namespace limbeck::data_app {
namespace {

struct Options {
  std::shared_ptr<DataOptions> data;
  bool json = false;
  std::string out, part = "train";
  int64_t per_class = 10, zoom = 2;
};

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
    j["response_scale"] = {{"low", d.scale.low},
                           {"high", d.scale.high},
                           {"unit", d.scale.unit},
                           {"wraps", d.scale.wraps}};
    j["response_mean"] =
        std::accumulate(responses.begin(), responses.end(), 0.0) / static_cast<double>(d.size());
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
  std::printf("%s: %lld images, %lld x %lld, %lld channel%s\n", part,
              static_cast<long long>(d.size()), static_cast<long long>(d.height()),
              static_cast<long long>(d.width()), static_cast<long long>(d.channels()),
              d.channels() == 1 ? "" : "s");
  if (d.size() == 0) return;
  const data::Standardisation s = data::standardisation_of(d);
  print_numbers("mean", s.mean);
  print_numbers("deviation", s.deviation);
  if (d.classes == 0) {
    const auto j = summary(d);
    std::printf("  responses  %g to %g, mean %g\n", j["response_minimum"].get<double>(),
                j["response_maximum"].get<double>(), j["response_mean"].get<double>());
    std::printf("  scale      %g to %g%s%s%s\n", d.scale.low, d.scale.high,
                d.scale.unit.empty() ? "" : " ", d.scale.unit.c_str(),
                d.scale.wraps ? ", wraps" : "");
    return;
  }
  const auto count = d.histogram();
  for (size_t c = 0; c < count.size(); ++c)
    std::printf("  class %3zu  %6lld  %s\n", c, static_cast<long long>(count[c]),
                d.class_names.empty() ? "" : d.class_names[c].c_str());
}

void info(const Options& o) {
  const data::DataSettings settings = chosen_data(*o.data);
  const data::Split split = data::load(settings);
  const std::vector<std::string> warnings = data::warnings_of(settings, split);
  if (!o.json) {
    print_part("train", split.train);
    print_part("test", split.test);
    for (const std::string& warning : warnings) std::printf("warning: %s\n", warning.c_str());
    return;
  }
  nlohmann::ordered_json j;
  j["kind"] = settings.kind;
  if (!settings.path.empty()) j["path"] = settings.path;
  if (!split.train.class_names.empty()) j["class_names"] = split.train.class_names;
  j["train"] = summary(split.train);
  j["test"] = summary(split.test);
  j["warnings"] = warnings;
  std::printf("%s\n", j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void preview(const Options& o) {
  LIMBECK_CHECK(o.part == "train" || o.part == "test", "--part: expected train or test, found '",
                o.part, "'");
  LIMBECK_CHECK(o.per_class > 0 && o.zoom > 0,
                "--per-class and --zoom: expected at least 1, found ", o.per_class, " and ",
                o.zoom);
  const data::Split split = data::load(chosen_data(*o.data));
  const data::Dataset& d = o.part == "train" ? split.train : split.test;
  LIMBECK_CHECK(d.size() > 0, "the ", o.part, " part holds no image");
  const Tensor sheet =
      d.classes > 0 ? data::class_sheet(d, o.per_class) : data::response_sheet(d, o.per_class);
  const Tensor canvas = data::grid(sheet, o.per_class, 2, o.zoom);
  data::write_png(o.out, canvas);
  std::printf("%s: %lld rows of %lld images\n", o.out.c_str(),
              static_cast<long long>((sheet.size(0) + o.per_class - 1) / o.per_class),
              static_cast<long long>(o.per_class));
}

/// Every registered source with its section of a configuration.
void kinds() {
  for (const data::DataSource& source : data::all_sources()) {
    std::printf("%-10s %s\n", source.name.c_str(), source.help.c_str());
    if (source.one_file)
      std::printf("  data.path is %s\n", source.files.c_str());
    else if (!source.files.empty())
      std::printf("  reads %s in data.path\n", source.files.c_str());
    AnySettings own = source.settings;
    const Settings list = list_settings(own);
    if (list.empty()) continue;
    std::printf("  [data.%s]\n", source.name.c_str());
    std::istringstream lines(to_toml(list, true));
    for (std::string line; std::getline(lines, line);) std::printf("  %s\n", line.c_str());
  }
}

RegisterCommand command(
    {"data", "look at a data set, or convert it: info, preview, convert, kinds",
     [](CommandLine& app) {
       app.require_subcommand();
       auto options = std::make_shared<Options>();
       CommandLine show =
           app.add_subcommand("info", "counts, sizes, classes, mean and deviation of each part");
       auto info_data = add_data_options(show);
       show.add_flag("--json", options->json, "print JSON");
       show.callback([options, info_data] {
         options->data = info_data;
         info(*options);
       });
       CommandLine sheet =
           app.add_subcommand("preview", "write a sheet of images, a row for each class");
       auto preview_data = add_data_options(sheet);
       sheet.add_option("--out", options->out, "PNG file to write").required();
       sheet.add_option("--part", options->part, "train | test").show_default();
       sheet.add_option("--per-class", options->per_class, "images per row").show_default();
       sheet.add_option("--zoom", options->zoom, "enlarge each pixel this many times")
           .show_default();
       sheet.callback([options, preview_data] {
         options->data = preview_data;
         preview(*options);
       });
       add_data_convert(app);
       app.add_subcommand("kinds", "the data sources with their settings").callback(kinds);
     }});

}  // namespace
}  // namespace limbeck::data_app
