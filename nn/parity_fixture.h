// The kinds of parity fixtures. A runner registers how it recognises its files; `limbeck parity`
// finds the runner from a file's content.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "nn/parity.h"

namespace limbeck::nn {

struct ParityFixtureKind {
  std::string name;  ///< "classifier"
  /// Whether a file's content (a JSON object) is of this kind. At most one kind may claim a file.
  std::function<bool(const nlohmann::json& fixture)> recognises;
  /// One report per network or case of the file. Throws on missing or malformed entries.
  std::function<std::vector<ParityReport>(const nlohmann::json& fixture, DType dtype,
                                          Device device)>
      run;
};
struct RegisterParityFixture {
  explicit RegisterParityFixture(ParityFixtureKind kind);
};

/// {n, sum, l2, first}.
Summary read_summary(const nlohmann::json& j);

// What every runner compares the same way. A module's own state is compared by state_dict keys and
// shapes in PyTorch's layout.
void check_state_dict(ParityReport& report, const Module& module, const nlohmann::json& expected,
                      const std::string& prefix = "");
void check_parameter_count(ParityReport& report, const Module& module, int64_t expected);
/// Every parameter's gradient. Those that are zero in exact arithmetic (a bias in front of a batch
/// norm) are rounding noise on both sides, so norms below 1e-6 (f32: 1e-2) of `largest` are
/// measured against that; 0 stands for the largest norm of the list.
void check_gradients(ParityReport& report, const Module& module, const nlohmann::json& expected,
                     DType dtype, double largest = 0, const std::string& group = "gradients");
/// The largest norm of such a list.
double largest_norm(const nlohmann::json& summaries);
/// The buffers that the fixture lists, after a forward pass in training mode.
void check_buffers(ParityReport& report, const Module& module, const nlohmann::json& expected,
                   DType dtype, const std::string& group = "buffers after a step");
/// A list of outputs, one or several per sample: expected[i] is a number or the first numbers of
/// sample i; found is [N, C].
void check_outputs(ParityReport& report, const std::string& group, const Tensor& found,
                   const nlohmann::json& expected, const ParityBounds& bounds);

}  // namespace limbeck::nn
