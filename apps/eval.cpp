// `limbeck eval`: the accuracy of a saved classifier (or the error of a regressor) on a data set.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/command.h"
#include "apps/data_options.h"
#include "apps/device_option.h"
#include "apps/stage_files.h"
#include "kd/checkpoint.h"
#include "train/attack.h"
#include "train/supervised.h"

namespace limbeck::eval_app {
namespace {

struct Options {
  std::string checkpoint, part = "test";
  std::shared_ptr<DeviceOptions> device;
  std::shared_ptr<DataOptions> data;
  int64_t batch = 200;
  bool allow_nonfinite = false;
  bool json = false;
  double fgsm = 0;  ///< epsilon; 0: no attack
};

/// Predictions are compared in the unit of the data, to which the network's own scale brings them
/// (the data's, when the network has none: a converted one).
void check_unit(const kd::SavedNetwork& saved, const data::Dataset& d, const std::string& path) {
  LIMBECK_CHECK(saved.scale->unit == d.scale.unit, path, ": predicts '", saved.scale->unit,
                "', the responses of the data set are in '", d.scale.unit, "'");
}

const data::Dataset& part_of(const data::Split& split, const std::string& part) {
  return part == "train" ? split.train : split.test;
}

void check_fits(const kd::SavedNetwork& saved, const data::Dataset& d, const std::string& path) {
  const nn::ModelOptions& o = saved.options;
  LIMBECK_CHECK(d.channels() == o.channels && d.height() == o.size && d.width() == o.size, path,
                ": ", saved.name, " expects images of ", o.size, " x ", o.size, " with ",
                o.channels, " channels, the data set has ", d.height(), " x ", d.width(), " with ",
                d.channels());
}

/// Of a part without images: neither 0 % nor an error.
void tell_no_value(const kd::SavedNetwork& saved, bool by_class, const Options& o) {
  if (o.json) {
    const nlohmann::ordered_json j = {{"network", saved.name},
                                      {"parameters", saved.network->parameter_count()},
                                      {"part", o.part},
                                      {"images", 0},
                                      {by_class ? "accuracy" : "mae", nullptr}};
    std::printf("%s\n", j.dump().c_str());
  } else {
    std::printf("%s: %s -: the data set has no %s images\n", saved.name.c_str(),
                by_class ? "accuracy" : "mean absolute error", o.part.c_str());
  }
}

void tell_attacked(const kd::SavedNetwork& saved, const data::Dataset& d, double value,
                   double epsilon) {
  if (d.classes > 0)
    std::printf("%s: accuracy %.2f %% under FGSM with epsilon %g\n", saved.name.c_str(),
                100 * value, epsilon);
  else
    std::printf("%s: mean absolute error %.4f%s under FGSM with epsilon %g\n", saved.name.c_str(),
                value, (d.scale.unit.empty() ? "" : " " + d.scale.unit).c_str(), epsilon);
}

void evaluate(const Options& o) {
  LIMBECK_CHECK(o.fgsm >= 0 && o.fgsm <= 1, "--fgsm: expected a number in [0, 1], found ", o.fgsm);
  const kd::SavedNetwork saved = kd::load_network(expect_undamaged_file(o.checkpoint),
                                                  chosen_device(*o.device), o.allow_nonfinite);
  const data::Split split = data::load(chosen_data(*o.data));
  data::Dataset d = part_of(split, o.part);
  if (d.size() == 0) return tell_no_value(saved, split.train.classes > 0, o);
  check_fits(saved, d, o.checkpoint);
  std::unique_ptr<train::Criterion> criterion;
  if (d.classes > 0) {
    criterion = std::make_unique<train::ClassificationCriterion>();
  } else {
    if (saved.scale) {
      check_unit(saved, d, o.checkpoint);
      const bool truncates = d.scale.truncates;
      d.scale = *saved.scale;
      d.scale.truncates = truncates;
    }
    criterion = std::make_unique<train::RegressionCriterion>(d.scale);
  }
  criterion->check(d, saved.options.outputs);
  const double value =
      train::evaluate(*saved.network, d, saved.standardisation, *criterion, o.batch);
  std::optional<double> attacked;
  if (o.fgsm > 0)
    attacked = train::evaluate_under_fgsm(*saved.network, d, saved.standardisation, *criterion,
                                          o.fgsm, o.batch);
  std::optional<double> truncated;
  if (d.scale.truncates)
    truncated = train::evaluate(*saved.network, d, saved.standardisation,
                                train::RegressionCriterion(d.scale, true), o.batch);
  if (o.json) {
    nlohmann::ordered_json j = {{"network", saved.name},
                                {"parameters", saved.network->parameter_count()},
                                {"part", o.part},
                                {"images", d.size()},
                                {criterion->metric(), value},
                                {"unit", criterion->unit()}};
    if (truncated) j["mae_truncated"] = *truncated;
    if (attacked) j["fgsm"] = o.fgsm, j[cat(criterion->metric(), "_fgsm")] = *attacked;
    std::printf("%s\n", j.dump().c_str());
  } else if (d.classes > 0) {
    std::printf("%s: accuracy %.2f %% on %lld %s images\n", saved.name.c_str(), 100 * value,
                static_cast<long long>(d.size()), o.part.c_str());
  } else {
    std::printf("%s: mean absolute error %.4f%s on %lld %s images\n", saved.name.c_str(), value,
                (d.scale.unit.empty() ? "" : " " + d.scale.unit).c_str(),
                static_cast<long long>(d.size()), o.part.c_str());
    if (truncated)
      std::printf("%s: mean absolute error of whole numbers, cut toward zero, %.4f\n",
                  saved.name.c_str(), *truncated);
  }
  if (attacked && !o.json) tell_attacked(saved, d, *attacked, o.fgsm);
}

const RegisterCommand command(
    {"eval", "accuracy of a saved network on a data set", [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("--ckpt", o->checkpoint, "model.safetensors of a run").required();
       app.add_option("--part", o->part, "train | test").one_of({"train", "test"}).show_default();
       app.add_option("--batch", o->batch, "images per forward pass").positive().show_default();
       app.add_option("--fgsm", o->fgsm,
                      "also on images that are changed against the network by so much (fast "
                      "gradient sign, pixels in [0, 1])")
           .value_name("EPSILON");
       app.add_flag("--json", o->json, "one JSON object instead of a sentence");
       app.add_flag("--allow-nonfinite", o->allow_nonfinite,
                    "take NaN and infinite weights as they are");
       o->device = add_device_options(app);
       o->data = add_data_options(app);
       app.callback([o] { evaluate(*o); });
     }});

}  // namespace
}  // namespace limbeck::eval_app
