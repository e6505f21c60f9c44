// The fixture runner of the classifiers: reads the JSON, runs our network, fills a ParityReport.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/layers.h"
#include "nn/models/registry.h"
#include "nn/optim.h"
#include "nn/parity.h"

namespace limbeck::nn {
namespace {

using nlohmann::json;

Summary read_summary(const json& j) { return {j.at("n"), j.at("sum"), j.at("l2"), j.at("first").get<std::vector<double>>()}; }

/// One fixture being run: the parsed file, the network in its state before any step, the input in memory layout and the labels.
struct Run {
  const json fixture;
  const DType dtype;
  ParityReport report;
  std::unique_ptr<Network> network;
  Tensor input, labels;

  Run(json parsed, DType type) : fixture(std::move(parsed)), dtype(type) {
    const auto sizes = fixture.at("input").get<std::vector<int64_t>>();
    LIMBECK_CHECK(sizes.size() == 4, "\"input\" must have four sizes, found ", sizes.size());
    const int64_t classes = fixture.at("num_classes");
    network = create_model(fixture.at("model"), {.outputs = classes, .channels = sizes[1], .size = sizes[2]});
    network->to(dtype);
    parity_fill_state(*network);
    input = to_channels_last(parity_fill("input", sizes)).to(dtype);
    std::vector<int64_t> label;
    for (int64_t i = 0; i < sizes[0]; ++i) label.push_back((7 * i + 3) % classes);
    labels = Tensor::of(label);
  }

  void check_state() {
    const TensorFile state = network->state_dict();
    const json& expected = fixture.at("state_dict");
    report.add_exact("state_dict", "entries", state.tensors.size() == expected.size(),
                     cat("expected ", expected.size(), " entries, found ", state.tensors.size()));
    for (const auto& [key, shape] : expected.items()) {
      const Tensor* found = state.find(key);
      const Shape wanted(shape.get<std::vector<int64_t>>());
      report.add_exact("state_dict", key, found && found->shape() == wanted,
                       found ? cat("expected ", wanted, ", found ", found->shape()) : "missing");
    }
    const int64_t count = fixture.at("params");
    report.add_exact("state_dict", "parameters", network->parameter_count() == count,
                     cat("expected ", count, " parameters, found ", network->parameter_count()));
  }

  void check_taps(const std::string& group, const std::string& key, const Features& found) {
    const json expected = fixture.value(key, json());
    if (!expected.is_array() || expected.empty()) return;
    report.add_exact(group, "count", expected.size() == found.taps.size(),
                     cat("expected ", expected.size(), " taps, found ", found.taps.size()));
    for (size_t i = 0; i < std::min(expected.size(), found.taps.size()); ++i) {
      const Tensor t = found.taps[i].data().rank() == 4 ? to_channels_first(found.taps[i].data()) : found.taps[i].data();
      const Shape wanted(expected[i].at("shape").get<std::vector<int64_t>>());
      report.add_exact(group, cat("f", i, " shape"), t.shape() == wanted, cat("expected ", wanted, ", found ", t.shape()));
      report.add(group, cat("f", i), summarise(t), read_summary(expected[i]), parity_bounds(dtype, ParityKind::eval));
    }
  }

  void check_eval() {
    NoGrad no_grad;
    network->eval();
    const Features plain = network->forward_features(input, false);
    const Tensor logits = plain.output.data();
    const ParityBounds bounds = parity_bounds(dtype, ParityKind::eval);
    report.add("eval logits", "all", summarise(logits), read_summary(fixture.at("eval_logits_summary")), bounds);
    const double rms = summarise(logits).l2 / std::sqrt(static_cast<double>(logits.numel()));
    const json& first = fixture.at("eval_logits");
    for (size_t i = 0; i < first.size(); ++i)
      for (size_t c = 0; c < first[i].size(); ++c)
        report.add("eval logits", cat("sample ", i, " class ", c), logits.at(static_cast<int64_t>(i) * logits.size(1) + static_cast<int64_t>(c)),
                   first[i][c], bounds.element, rms);
    check_taps("taps", "eval_features", plain);
    if (fixture.contains("eval_features_preact")) check_taps("taps before activation", "eval_features_preact", network->forward_features(input, true));
  }

  void check_gradients() {
    // Gradients that are zero in exact arithmetic (convolution biases before a batch norm) are rounding noise on both sides.
    double largest = 0;
    for (const auto& [key, value] : fixture.at("train_grads").items()) largest = std::max(largest, value.at("l2").get<double>());
    const double floor = largest * (dtype == DType::f64 ? 1e-6 : 1e-2);
    const json& expected = fixture.at("train_grads");
    const auto parameters = network->parameters();
    report.add_exact("gradients", "count", expected.size() == parameters.size(),
                     cat("expected ", expected.size(), ", found ", parameters.size()));
    for (const Parameter& p : parameters) {
      if (!expected.contains(p.name) || !p.value.grad().defined()) {
        report.add_exact("gradients", p.name, false, expected.contains(p.name) ? "no gradient" : "not in the fixture");
        continue;
      }
      report.add("gradients", p.name, summarise_memory(p.value.grad()), read_summary(expected[p.name]), parity_bounds(dtype, ParityKind::gradient), floor);
    }
  }

  void check_buffers() {
    const json& expected = fixture.at("running_after_1");
    size_t seen = 0;
    for (const Buffer& b : network->buffers()) {
      if (!expected.contains(b.name)) continue;
      ++seen;
      report.add("buffers after a step", b.name, summarise_memory(b.value), read_summary(expected[b.name]), parity_bounds(dtype, ParityKind::train));
    }
    report.add_exact("buffers after a step", "count", seen == expected.size(), cat("expected ", expected.size(), ", found ", seen));
  }

  bool draws_random_numbers() const {
    bool found = false;
    network->visit([&](const std::string&, Module& m) { found = found || dynamic_cast<Dropout*>(&m); });
    return found;
  }

  void check_training() {
    if (!fixture.contains("train_grads") || fixture["train_grads"].is_null()) {
      report.notes.push_back("training not compared: the fixture has no numbers of it");
      return;
    }
    LIMBECK_CHECK(fixture.at("sgd") == "lr 0.01, momentum 0.9, weight decay 5e-4", "unknown optimiser \"", fixture.at("sgd").get<std::string>(), "\"");
    network->train();
    if (draws_random_numbers()) {
      network->set_streams(Stream(0));
      network->forward(input);
      check_buffers();  // the batch norms lie in front of the dropout
      report.notes.push_back("gradients and losses not compared: the network drops out at random");
      return;
    }
    SGD sgd(network->parameters(), {.lr = 0.01, .momentum = 0.9, .weight_decay = 5e-4});
    const auto losses = fixture.at("train_losses_3_sgd_steps").get<std::vector<double>>();
    for (size_t step = 0; step < losses.size(); ++step) {
      sgd.zero_grad();
      const Variable loss = cross_entropy(network->forward(input), labels);
      loss.backward();
      const ParityKind kind = step == 0 ? ParityKind::train : ParityKind::later_loss;
      report.add("losses", cat("step ", step), loss.item(), losses[step], parity_bounds(dtype, kind).element);
      if (step == 0) {
        check_gradients();
        check_buffers();
      }
      sgd.step();
    }
  }
};

}  // namespace

ParityReport run_classifier_parity(const std::string& path, DType dtype) {
  try {
    Run run(json::parse(read_file(path)), dtype);
    run.report.name = run.fixture.at("model");
    run.check_state();
    run.check_eval();
    run.check_training();
    return std::move(run.report);
  } catch (const json::exception& e) {
    fail(path, ": not a classifier fixture: ", e.what());
  } catch (const Error& e) {
    fail(path, ": ", e.what());
  }
}

}  // namespace limbeck::nn
