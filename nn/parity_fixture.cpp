#include "nn/parity_fixture.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace limbeck::nn {
namespace {

using nlohmann::json;

// A function's static, because the registrars of other files run in any order before main().
std::vector<ParityFixtureKind>& kinds() {
  static std::vector<ParityFixtureKind> list;
  return list;
}

const ParityFixtureKind& kind_of(const json& fixture) {
  std::string names;
  for (const ParityFixtureKind& kind : kinds()) {
    if (fixture.is_object() && kind.recognises(fixture)) return kind;
    names += (names.empty() ? "" : ", ") + kind.name;
  }
  fail("not a fixture of a known kind (", names, ")");
}

}  // namespace

RegisterParityFixture::RegisterParityFixture(ParityFixtureKind kind) {
  const auto by_name = [](const ParityFixtureKind& a, const ParityFixtureKind& b) {
    return a.name < b.name;
  };
  kinds().insert(std::upper_bound(kinds().begin(), kinds().end(), kind, by_name),
                 std::move(kind));  // static objects register in no particular order
}

std::vector<ParityReport> run_parity(const std::string& path, DType dtype, Device device) {
  try {
    const json fixture = json::parse(read_file(path));
    const ParityFixtureKind& kind = kind_of(fixture);
    try {
      return kind.run(fixture, dtype, device);
    } catch (const json::exception& e) {
      fail("not a ", kind.name, " fixture: ", e.what());
    }
  } catch (const json::exception& e) {
    fail(path, ": not a fixture: ", e.what());
  } catch (const Error& e) {
    fail(path, ": ", e.what());
  }
}

Summary read_summary(const json& j) {
  return {j.at("n"), j.at("sum"), j.at("l2"), j.at("first").get<std::vector<double>>()};
}

void check_state_dict(ParityReport& report, const Module& module, const json& expected,
                      const std::string& prefix) {
  const TensorFile state = module.state_dict();
  report.add_exact("state_dict", prefix + "entries", state.tensors.size() == expected.size(),
                   cat("expected ", expected.size(), " entries, found ", state.tensors.size()));
  for (const auto& [key, shape] : expected.items()) {
    const Tensor* found = state.find(key);
    const Shape wanted(shape.get<std::vector<int64_t>>());
    report.add_exact("state_dict", prefix + key, found && found->shape() == wanted,
                     found ? cat("expected ", wanted, ", found ", found->shape()) : "missing");
  }
}

void check_parameter_count(ParityReport& report, const Module& module, int64_t expected) {
  report.add_exact("state_dict", "parameters", module.parameter_count() == expected,
                   cat("expected ", expected, " parameters, found ", module.parameter_count()));
}

double largest_norm(const json& summaries) {
  double largest = 0;
  for (const auto& [key, value] : summaries.items())
    largest = std::max(largest, value.at("l2").get<double>());
  return largest;
}

void check_gradients(ParityReport& report, const Module& module, const json& expected, DType dtype,
                     double largest, const std::string& group) {
  const double floor =
      (largest > 0 ? largest : largest_norm(expected)) * (dtype == DType::f64 ? 1e-6 : 1e-2);
  size_t count = 0;
  for (const Parameter& p : module.parameters()) {
    const bool expects = expected.contains(p.name), has = p.value.grad().defined();
    if (!expects && !has) continue;  // a parameter that no forward pass uses
    ++count;
    if (!expects || !has) {
      report.add_exact(group, p.name, false, expects ? "no gradient" : "not in the fixture");
      continue;
    }
    const Tensor& grad = p.value.grad();
    report.add(group, p.name,
               p.layout == DiskLayout::conv ? summarise_memory(grad) : summarise(grad),
               read_summary(expected[p.name]), parity_bounds(dtype, ParityKind::gradient), floor);
  }
  report.add_exact(group, "count", expected.size() == count,
                   cat("expected ", expected.size(), ", found ", count));
}

void check_buffers(ParityReport& report, const Module& module, const json& expected, DType dtype,
                   const std::string& group) {
  size_t seen = 0;
  for (const Buffer& b : module.buffers()) {
    if (!expected.contains(b.name)) continue;
    ++seen;
    report.add(group, b.name, summarise_memory(b.value), read_summary(expected[b.name]),
               parity_bounds(dtype, ParityKind::train));
  }
  report.add_exact(group, "count", seen == expected.size(),
                   cat("expected ", expected.size(), ", found ", seen));
}

void check_outputs(ParityReport& report, const std::string& group, const Tensor& output,
                   const json& expected, const ParityBounds& bounds) {
  const Tensor found = output.to(cpu);
  const Summary all = summarise(found);
  const double rms = all.l2 / std::sqrt(static_cast<double>(std::max<int64_t>(all.n, 1)));
  const bool fits = found.rank() == 2 && static_cast<int64_t>(expected.size()) == found.size(0);
  if (!fits)
    return report.add_exact(
        group, "samples", false,
        cat("expected ", expected.size(), " samples, found shape ", found.shape()));
  for (int64_t i = 0; i < found.size(0); ++i) {
    const json& sample = expected[static_cast<size_t>(i)];
    if (!sample.is_array()) {
      report.add(group, cat("sample ", i), found.at(i * found.size(1)), sample, bounds.element,
                 rms);
      continue;
    }
    for (size_t c = 0; c < sample.size(); ++c)
      report.add(group, cat("sample ", i, " class ", c),
                 found.at(i * found.size(1) + static_cast<int64_t>(c)), sample[c], bounds.element,
                 rms);
  }
}

}  // namespace limbeck::nn
