#include "kd/parity_kd.h"

#include <cmath>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "nn/parity_fixture.h"

namespace limbeck::kd {
namespace {

using nlohmann::json;
using Run = std::function<ParityOutcome(const ParityCase&)>;

// A function's static, because the registrars of other files run in any order before main().
std::map<std::string, Run>& runs() {
  static std::map<std::string, Run> all;
  return all;
}

/// The longest registered name that is `name` or `name` up to an underscore; null without one.
const Run* run_of(const std::string& name) {
  for (std::string key = name;; key.resize(key.rfind('_'))) {
    if (const auto it = runs().find(key); it != runs().end()) return &it->second;
    if (key.find('_') == std::string::npos) return nullptr;
  }
}

/// The README's scales; 2 puts the activations of AB's case on both sides of the margin.
double scale_of(const std::string& case_name, const std::string& input) {
  if (input.rfind("logit", 0) == 0) return 3;
  return case_name == "AB_two_layers" ? 2 : 1;
}

Tensor in_memory(const Tensor& torch, DType dtype, Device device) {
  return (torch.rank() == 4 ? to_channels_last(torch) : torch).to(dtype).to(device);
}

bool is_of_student(const std::string& input) {
  const size_t at = input.rfind('_');
  LIMBECK_CHECK(at != std::string::npos && (input[at + 1] == 's' || input[at + 1] == 't'),
                "input '", input, "': expected a name with _s or _t, of student or teacher");
  return input[at + 1] == 's';
}

void compare_parameters(nn::ParityReport& report, const ParityOutcome& outcome,
                        const json& expected, DType dtype) {
  size_t compared = 0;
  const double largest = nn::largest_norm(expected);
  for (const auto& [prefix, module] : outcome.modules) {
    json part = json::object();
    for (const auto& [key, summary] : expected.items())
      if (key.rfind(prefix, 0) == 0) part[key.substr(prefix.size())] = summary;
    compared += part.size();
    nn::check_gradients(report, *module, part, dtype, largest,
                        "gradients of " + prefix.substr(0, prefix.rfind('.')));
  }
  report.add_exact("gradients of parameters", "all", compared == expected.size(),
                   cat("expected ", expected.size(), ", compared ", compared));
}

/// Losses and gradients that are zero in exact arithmetic (RKD of two samples) are rounding on both
/// sides.
double rounding(DType dtype) { return dtype == DType::f64 ? 1e-12 : 1e-6; }

/// One element may be a plain number in the fixture.
void compare_value(nn::ParityReport& report, const ParityOutcome::Value& v, const json& expected,
                   DType dtype) {
  const nn::ParityBounds bounds = nn::parity_bounds(dtype, nn::ParityKind::train);
  if (expected.is_number())
    report.add("values", v.name, v.value.item(), expected.get<double>(), bounds.element);
  else
    report.add("values", v.name, nn::summarise_memory(v.value), nn::read_summary(expected), bounds);
}

nn::ParityReport run_case(const std::string& name, const json& j, const std::string& salt,
                          DType dtype, Device device) {
  nn::ParityReport report{name, {}, {}};
  const Run* run = run_of(name);
  report.add_exact("case", name, run != nullptr, "no distillation method serves this case");
  if (!run) return report;
  ParityCase c{name, j, salt, dtype, device, [](nn::Module& m) { nn::parity_fill_state(m); }};
  std::map<std::string, Variable> inputs;
  for (const auto& [input, shape] : j.at("inputs").items()) {
    const Tensor value =
        c.fill(input, Shape(shape.get<std::vector<int64_t>>()), scale_of(name, input));
    inputs[input] = Variable(value, j.at("grads").contains(input));
    (is_of_student(input) ? c.student : c.teacher).all.push_back(inputs[input]);
  }
  for (const auto& [input, summary] : j.at("grads").items())
    LIMBECK_CHECK(inputs.contains(input), "grads name '", input, "', which is none of the inputs");
  const ParityOutcome outcome = (*run)(c);
  report.add("loss", "loss", outcome.loss.item(), j.at("loss").get<double>(),
             nn::parity_bounds(dtype, nn::ParityKind::train).element, rounding(dtype));
  outcome.loss.backward();
  for (const auto& [input, summary] : j.at("grads").items()) {
    const Variable& v = inputs.at(input);
    report.add_exact("gradients of inputs", input + " has one", v.grad().defined(), "no gradient");
    if (v.grad().defined())
      report.add("gradients of inputs", input, nn::summarise_memory(v.grad()),
                 nn::read_summary(summary), nn::parity_bounds(dtype, nn::ParityKind::gradient),
                 rounding(dtype));
  }
  compare_parameters(report, outcome, j.at("param_grads"), dtype);
  if (outcome.after_step) outcome.after_step();
  if (outcome.values)
    for (const ParityOutcome::Value& v : outcome.values())
      compare_value(report, v, j.at(v.name), dtype);
  return report;
}

/// Other kinds have cases too; theirs are networks.
bool is_of_criteria(const json& fixture) {
  if (!fixture.contains("cases") || !fixture["cases"].is_object() || fixture["cases"].empty())
    return false;
  const json& first = *fixture["cases"].begin();
  return first.contains("inputs") && first.contains("grads") && first.contains("param_grads");
}

std::vector<nn::ParityReport> run_cases(const json& fixture, DType dtype, Device device) {
  const std::string salt = fixture.value("salt", "");
  std::vector<nn::ParityReport> reports;
  for (const auto& [name, c] : fixture.at("cases").items()) {
    try {
      reports.push_back(run_case(name, c, salt, dtype, device));
    } catch (const Error& e) {
      fail("case ", name, ": ", e.what());
    }
  }
  return reports;
}

const nn::RegisterParityFixture kind({"distillation criteria", is_of_criteria, run_cases});

/// Stands for both networks: criteria look at features only.
class FeaturesOnly : public nn::Network {
 public:
  nn::Features forward_features(const Variable&, bool) override {
    fail("a parity case has features and no network");
  }
};

/// A method in the one step of its case.
class Course {
 public:
  Course(std::shared_ptr<Method> method, nn::Features student, nn::Features teacher,
         ParityImages images)
      : method_(std::move(method)),
        student_(std::move(student)),
        teacher_(std::move(teacher)),
        images_(std::move(images)) {}
  void prepare() {
    const NoGrad no_grad;
    method_->prepare({networks_[0],
                      networks_[1],
                      student_,
                      teacher_,
                      images_.train,
                      Stream(1),
                      student_.output.size(0),
                      {}});
  }
  Variable loss() { return method_->loss({student_, teacher_, step_, networks_[1]}); }
  void after_step() { method_->after_step({student_, teacher_, step_, networks_[1]}); }

 private:
  const std::shared_ptr<Method> method_;
  const nn::Features student_, teacher_;
  const ParityImages images_;
  FeaturesOnly networks_[2];
  const train::Step step_{networks_[0], student_, images_.batch, images_.rows, {}, {}};
};

}  // namespace

const Variable& ParityInputs::operator[](size_t i) const {
  LIMBECK_CHECK(i < all.size(), "expected ", i + 1, " inputs of the ", whose, " or more, found ",
                all.size());
  return all[i];
}

Tensor ParityCase::fill(const std::string& input, const Shape& torch_shape, double scale) const {
  return in_memory(nn::parity_fill(salt + input, torch_shape, scale), dtype, device);
}

int64_t ParityCase::parameter_elements(const std::string& parameter) const {
  return json.at("param_grads").at(parameter).at("n").get<int64_t>();
}

double ParityCase::noted(const std::string& key) const {
  const std::string note = " " + json.at("note").get<std::string>();
  for (const char* before : {" ", ","}) {
    const size_t at = note.find(before + key + "=");
    if (at == std::string::npos) continue;
    const char* const text = note.c_str() + at + key.size() + 2;
    char* end = nullptr;
    const double value = std::strtod(text, &end);
    if (end != text && std::isfinite(value)) return value;
  }
  fail("expected ", key, "=NUMBER in the note, found '", note, "'");
}

int64_t ParityCase::noted_count(const std::string& key) const {
  const double value = noted(key);
  LIMBECK_CHECK(value >= 1 && value <= 1e6 && value == std::floor(value),
                "expected a whole number from 1 to 1000000 as ", key, " in the note, found ",
                value);
  return static_cast<int64_t>(value);
}

void ParityCase::fill(nn::Module& module) const {
  module.to(dtype);
  fill_state(module);
  module.to(device);
}

RegisterParityCase::RegisterParityCase(std::string name, Run run) {
  runs()[std::move(name)] = std::move(run);
}

ParityOutcome run_parity_case(const ParityCase& c) {
  const Run* run = run_of(c.name);
  LIMBECK_CHECK(run, c.name, ": no distillation method serves this case");
  return (*run)(c);
}

nn::Features features_with_maps(const Variables& maps) {
  LIMBECK_CHECK(!maps.empty(), "expected a map of each network, found none");
  nn::Features f;
  f.taps.push_back(maps.front());
  f.taps.insert(f.taps.end(), maps.begin(), maps.end());
  f.pooled = f.output = global_avg_pool(maps.back());
  f.taps.push_back(f.pooled);
  return f;
}

nn::Features features_with_vector(const Variable& vector) { return {{vector}, vector, vector}; }

nn::Features features_with_logits(const Variable& logits) { return {{}, logits, logits}; }

ParityOutcome own_term(const ParityCase& c, const std::shared_ptr<Method>& method,
                       const nn::Features& student, const nn::Features& teacher,
                       const std::function<std::vector<ParityOutcome::Part>()>& modules,
                       const ParityImages& images) {
  const auto course = std::make_shared<Course>(method, student, teacher, images);
  course->prepare();
  if (nn::Module* auxiliary = method->auxiliary()) auxiliary->to(c.dtype), auxiliary->to(c.device);
  ParityOutcome outcome;
  if (modules) outcome.modules = modules();
  for (const auto& [prefix, module] : outcome.modules) c.fill(*module);
  outcome.loss = course->loss();
  outcome.after_step = [course] { course->after_step(); };
  outcome.owner = course;
  return outcome;
}

}  // namespace limbeck::kd
