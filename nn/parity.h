// Parity with PyTorch fixtures: tensors filled by a rule from their names, compared by summaries
// computed in f64 with the original modules. Fixtures speak PyTorch's layouts (NCHW, OIHW); memory
// is channels-last, so everything is converted before it is filled or summarised.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "nn/module.h"

namespace limbeck::nn {

// --- the fill rule -------------------------------------------------------------------------------

/// Element i of the tensor called `name`: u in [0, 1) with 24 bits from splitmix64 of fnv1a(name) +
/// i.
double parity_uniform(uint64_t name_hash, uint64_t i);

/// f64 tensor of a shape in PyTorch's layout: scale * s with s = 2u - 1, or u itself.
Tensor parity_fill(const std::string& name, const Shape& torch_shape, double scale = 1);
Tensor parity_fill_uniform(const std::string& name, const Shape& torch_shape);
/// The value of a state_dict entry: running means 0.1 s, weights s sqrt(3 / fan_in), and so on (the
/// fixtures' README has the table).
Tensor parity_state_value(const std::string& key, const Shape& torch_shape);
/// Fills every state_dict entry of the module by its key; `one_element_bias` replaces biases of one
/// element when given.
void parity_fill_state(Module& module, const double* one_element_bias = nullptr);

// --- summaries -----------------------------------------------------------------------------------

struct Summary {
  int64_t n = 0;
  double sum = 0, l2 = 0;
  std::vector<double> first;  ///< up to four elements, in PyTorch's order
};
/// Of a tensor in PyTorch's layout.
Summary summarise(const Tensor& t);
/// Of a tensor in memory layout: images [N, H, W, C] and convolution weights are turned first.
Summary summarise_memory(const Tensor& t);

// --- comparison ----------------------------------------------------------------------------------

struct ParityBounds {
  double l2 = 1e-8;       ///< relative error of the L2 norm
  double element = 1e-6;  ///< relative error of sums and single elements
};
struct ParityLine {
  std::string group;     ///< "eval logits", "gradients", ...
  std::string quantity;  ///< "layer1.0.conv1.weight"
  double error = 0;      ///< largest relative error divided by its bound: above 1 fails
  double relative = 0;   ///< the relative error itself
  std::string detail;    ///< which number, expected and found, when it fails
  bool ok() const { return error <= 1; }
};
struct ParityReport {
  std::string name;
  std::vector<ParityLine> lines;
  std::vector<std::string> notes;  ///< what could not be compared, and why
  bool ok() const;

  /// Relative to the larger of the expected number and `floor`. A summary's sum and elements are
  /// also measured against its L2 norm: a sum's rounding error grows with the norm, an element's
  /// with the root mean square. `floor` is a smallest norm worth comparing.
  void add(const std::string& group, const std::string& quantity, const Summary& found,
           const Summary& expected, const ParityBounds& bounds, double floor = 0);
  void add(const std::string& group, const std::string& quantity, double found, double expected,
           double bound, double floor = 0);
  /// An exact statement (counts, keys).
  void add_exact(const std::string& group, const std::string& quantity, bool holds,
                 const std::string& detail);
};

/// What a number depends on decides how far rounding may move it.
enum class ParityKind { eval, train, gradient, later_loss };
/// The bounds of a type. f64: 1e-8 on norms, 1e-6 on elements, whatever the kind. f32: 1e-4 in eval
/// mode; 1e-3 in train mode (batch statistics over four samples amplify rounding); gradients 5e-2
/// on norms and 0.5 on elements, because among a million activations some lie within rounding of
/// zero and their ReLU switches: which ones depends on the order of additions, so PyTorch's f32
/// gradients lie up to 1.4e-2 and 0.23 from its f64 ones, ours up to 2.3e-2 and 0.21 (SSE2, AVX2,
/// AVX-512); losses behind such updates 0.5 (0.41 seen).
/// Throws for other kinds.
ParityBounds parity_bounds(DType dtype, ParityKind kind);

/// Runs a fixture (a JSON file as in tests/data/fixtures) with the runner that recognises its
/// content (nn/parity_fixture.h); one report per network or case in it. Of classifiers and
/// regressors: keys and shapes, outputs and taps in eval mode (also pre-activation), the gradients
/// and batch-norm buffers of the first training step, the losses of three SGD steps. Gradients and
/// losses of networks with dropout hang on PyTorch's random numbers and are left out, with a note.
/// Throws on files that are no fixture of a known kind. `device` is where the networks and their
/// inputs are; what is compared comes back to the CPU.
std::vector<ParityReport> run_parity(const std::string& path, DType dtype, Device device = cpu);

}  // namespace limbeck::nn
