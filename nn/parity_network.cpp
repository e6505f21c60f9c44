// The fixture runners of classifiers and regressors: build the network, fill a ParityReport. A
// regressor's fixture has "task": "regression".
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "nn/layers.h"
#include "nn/models/registry.h"
#include "nn/optim.h"
#include "nn/parity_fixture.h"

namespace limbeck::nn {
namespace {

using nlohmann::json;

bool is_regressor(const json& fixture) {
  return fixture.contains("task") && fixture["task"] == "regression";
}

/// "lr 0.01, momentum 0.9, weight decay 5e-4".
SGD::Config parse_sgd(const std::string& text) {
  SGD::Config c;
  int end = 0;
  const bool ok = std::sscanf(text.c_str(), "lr %lf, momentum %lf, weight decay %lf%n", &c.lr,
                              &c.momentum, &c.weight_decay, &end) == 3 &&
                  end == static_cast<int>(text.size());
  LIMBECK_CHECK(ok, "unknown optimiser \"", text,
                "\"; expected \"lr L, momentum M, weight decay W\"");
  return c;
}

/// One fixture being run: the network in its state before any step, the input in memory layout and
/// the labels or responses.
struct Run {
  const json& fixture;
  const DType dtype;
  const bool regressor;
  ParityReport report;
  std::unique_ptr<Network> network;
  Tensor input, labels;

  Run(const json& parsed, DType type, Device device)
      : fixture(parsed), dtype(type), regressor(is_regressor(parsed)) {
    const auto sizes = fixture.at("input").get<std::vector<int64_t>>();
    LIMBECK_CHECK(sizes.size() == 4, "\"input\" must have four sizes, found ", sizes.size());
    report.name = fixture.at("model");
    const int64_t outputs = regressor ? 1 : fixture.at("num_classes").get<int64_t>();
    network =
        create_model(report.name, {.outputs = outputs,
                                   .channels = sizes[1],
                                   .size = sizes[2],
                                   .task = regressor ? Task::regression : Task::classification});
    network->to(dtype);
    if (regressor) {
      const double bias =
          fixture.at("one_element_bias_set_to");  // so that the closing ReLU is alive
      parity_fill_state(*network, &bias);
    } else {
      parity_fill_state(*network);
    }
    network->to(device);
    const std::string salt = fixture.value("salt", "");
    input = to_channels_last(parity_fill(salt + "input", sizes)).to(dtype).to(device);
    if (regressor) {
      labels = parity_fill_uniform(salt + "labels", {sizes[0], 1}).to(dtype).to(device);
      return;
    }
    std::vector<int64_t> label;
    for (int64_t i = 0; i < sizes[0]; ++i) label.push_back((7 * i + 3) % outputs);
    labels = Tensor::of(label).to(device);
  }

  Variable loss() const {
    const Variable output = network->forward(input);
    return regressor ? mse_loss(output, labels) : cross_entropy(output, labels);
  }

  void check_taps(const std::string& group, const std::string& key, const Features& found) {
    const json expected = fixture.value(key, json());
    if (!expected.is_array() || expected.empty()) return;
    report.add_exact(group, "count", expected.size() == found.taps.size(),
                     cat("expected ", expected.size(), " taps, found ", found.taps.size()));
    for (size_t i = 0; i < std::min(expected.size(), found.taps.size()); ++i) {
      const Tensor memory = found.taps[i].data().to(cpu),
                   t = memory.rank() == 4 ? to_channels_first(memory) : memory;
      const Shape wanted(expected[i].at("shape").get<std::vector<int64_t>>());
      report.add_exact(group, cat("f", i, " shape"), t.shape() == wanted,
                       cat("expected ", wanted, ", found ", t.shape()));
      report.add(group, cat("f", i), summarise(t), read_summary(expected[i]),
                 parity_bounds(dtype, ParityKind::eval));
    }
  }

  void check_eval() {
    NoGrad no_grad;
    network->eval();
    const Features plain = network->forward_features(input, false);
    const ParityBounds bounds = parity_bounds(dtype, ParityKind::eval);
    if (regressor) {
      check_outputs(report, "eval responses", plain.output.data(), fixture.at("eval_out"), bounds);
    } else {
      report.add("eval logits", "all", summarise(plain.output.data()),
                 read_summary(fixture.at("eval_logits_summary")), bounds);
      check_outputs(report, "eval logits", plain.output.data(), fixture.at("eval_logits"), bounds);
    }
    check_taps("taps", "eval_features", plain);
    if (fixture.contains("eval_features_preact"))
      check_taps("taps before activation", "eval_features_preact",
                 network->forward_features(input, true));
  }

  bool draws_random_numbers() const {
    bool found = false;
    network->visit(
        [&](const std::string&, Module& m) { found = found || dynamic_cast<Dropout*>(&m); });
    return found;
  }

  void check_training() {
    if (!fixture.contains("train_grads") || fixture["train_grads"].is_null()) {
      report.notes.push_back("training not compared: the fixture has no numbers of it");
      return;
    }
    network->train();
    if (draws_random_numbers()) {
      if (!regressor) {
        network->set_streams(Stream(0));
        network->forward(input);
        check_buffers(report, *network, fixture.at("running_after_1"),
                      dtype);  // a classifier's batch norms lie in front of its dropout
      }
      report.notes.push_back("gradients and losses not compared: the network drops out at random");
      return;
    }
    SGD sgd(network->parameters(), parse_sgd(fixture.at("sgd")));
    const auto losses = fixture.at(regressor ? "train_mse_3_sgd_steps" : "train_losses_3_sgd_steps")
                            .get<std::vector<double>>();
    // In f32 rounding moves losses behind updates of four images by their own size: MobileNetV2's
    // third as a regressor, 0.53 in f64, is 0.74 or 1.06 with PyTorch in f32 (channels-last or
    // not), 0.26 with ours; vgg19's, 0.70, is 1.51 with AVX2. There they only show that training
    // does not blow up: a classifier's may differ by half its largest loss, a regressor's by twice
    // that loss.
    const double largest = losses.empty() ? 0 : *std::max_element(losses.begin(), losses.end());
    const double later_floor = dtype == DType::f32 ? (regressor ? 4 : 1) * largest : 0;
    for (size_t step = 0; step < losses.size(); ++step) {
      sgd.zero_grad();
      const Variable now = loss();
      now.backward();
      const ParityKind kind = step == 0 ? ParityKind::train : ParityKind::later_loss;
      report.add("losses", cat("step ", step), now.item(), losses[step],
                 parity_bounds(dtype, kind).element, step == 0 ? 0 : later_floor);
      if (step == 0) {
        check_gradients(report, *network, fixture.at("train_grads"), dtype);
        check_buffers(report, *network, fixture.at("running_after_1"), dtype);
      }
      sgd.step();
    }
  }
};

std::vector<ParityReport> run(const json& fixture, DType dtype, Device device) {
  Run run(fixture, dtype, device);
  check_state_dict(run.report, *run.network, fixture.at("state_dict"));
  check_parameter_count(run.report, *run.network, fixture.at("params"));
  run.check_eval();
  run.check_training();
  return {std::move(run.report)};
}

const RegisterParityFixture classifier(
    {"classifier", [](const json& j) { return j.contains("model") && !is_regressor(j); }, run});
const RegisterParityFixture regressor(
    {"regressor", [](const json& j) { return j.contains("model") && is_regressor(j); }, run});

}  // namespace
}  // namespace limbeck::nn
