// The kd kind of parity fixtures (nn/parity_fixture.h): distillation criteria of the original
// modules. A method's file registers how a case of the fixture becomes its loss; the runner fills
// inputs and modules by the rule of the fixtures' README and compares loss and gradients.
//
// A case is an object {loss, inputs: {NAME: [shape in PyTorch's layout]}, grads: {NAME: summary},
// param_grads: {NAME: summary}, note} plus what a criterion has besides. Names of inputs end with
// _s, _t or _s1, _t1, ...: of student and teacher; those of logits are scaled by 3.
#pragma once
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "kd/method.h"

namespace limbeck::kd {

/// The inputs of one of the two networks, in the fixture's order and memory layout.
struct ParityInputs {
  const char* whose;  ///< "student" or "teacher"
  Variables all = {};
  /// Throws when the case has fewer.
  const Variable& operator[](size_t i) const;
};

struct ParityCase {
  std::string name;
  const nlohmann::json& json;  ///< the case as it is written
  std::string salt;            ///< in front of the names of inputs
  DType dtype;
  Device device;
  /// How modules are filled: by the README's rule.
  std::function<void(nn::Module&)> fill_state;
  ParityInputs student{"student"}, teacher{"teacher"};

  /// Another input that the criterion fills by name (a memory); salted, in memory layout.
  Tensor fill(const std::string& input, const Shape& torch_shape, double scale = 1) const;
  /// Elements of a parameter in `param_grads`: sizes that only they tell.
  int64_t parameter_elements(const std::string& parameter) const;
  /// A number that only the note tells, as "nce_k=5".
  /// Throws when the note does not say it.
  double noted(const std::string& key) const;
  /// One that counts something: a whole number, at least one and at most a million.
  int64_t noted_count(const std::string& key) const;
  /// Moves a module to the case's type and device and fills it by its own keys.
  void fill(nn::Module& module) const;
};

struct ParityOutcome {
  Variable loss;
  struct Part {
    std::string prefix;  ///< in the fixture's `param_grads`: "vid."
    nn::Module* module;
  };
  std::vector<Part> modules = {};  ///< all that `param_grads` lists
  struct Value {
    std::string name;  ///< a summary or a number beside `loss` in the case
    Tensor value;
  };
  std::function<void()> after_step = {};            ///< runs when the gradients have been compared
  std::function<std::vector<Value>()> values = {};  ///< asked for after that
  std::shared_ptr<void> owner = {};  ///< keeps the modules until they have been compared
};

/// Registers `run` for the case `name` and for those that are called `name`_..., unless a longer
/// name is registered for them.
struct RegisterParityCase {
  RegisterParityCase(std::string name, std::function<ParityOutcome(const ParityCase&)> run);
};

/// Runs what is registered for the case's name; throws when that is nothing.
ParityOutcome run_parity_case(const ParityCase& c);

/// The features of a network whose maps f[1..-2] are given; the taps before and behind them are
/// there and say nothing. Throws without a map.
nn::Features features_with_maps(const Variables& maps);
/// Those of a network of which only the pooled vector matters.
nn::Features features_with_vector(const Variable& vector);
/// Those of a network without taps.
nn::Features features_with_logits(const Variable& logits);

/// Which images a case stands for, where a method looks at them.
struct ParityImages {
  data::Dataset train = {};
  data::Batch batch = {};
  Tensor rows = {};  ///< of the batch in `train`
};

/// Prepares a method for a case and fills `modules`, parts of its auxiliary module that are asked
/// for after it was built. The outcome is the method's own term.
ParityOutcome own_term(const ParityCase& c, const std::shared_ptr<Method>& method,
                       const nn::Features& student, const nn::Features& teacher,
                       const std::function<std::vector<ParityOutcome::Part>()>& modules = {},
                       const ParityImages& images = {});

}  // namespace limbeck::kd
