// Weights as other programs leave them: keys behind the names of wrappers, beside bookkeeping, and
// numbers that are none.
#pragma once
#include <string>
#include <vector>

#include "tensor/safetensors.h"

namespace limbeck {

/// Throws naming `what`, the first tensor that holds a NaN or an infinity and how many of its
/// elements do.
void check_finite(const TensorFile& file, const std::string& what);

struct KeyRules {
  std::string prefix;               ///< keep only the keys behind it, without it; empty: all
  std::vector<std::string> strip;   ///< taken away from the front of the keys that have them
  std::vector<std::string> ignore;  ///< left out: this key, and all below it ("fc": fc.weight, ...)
};

struct RenamedWeights {
  TensorFile file;
  std::string front;                  ///< known wrappers' names that were taken away ("module.")
  std::vector<std::string> counters;  ///< known bookkeeping that was left out ("n_averaged")
};

/// The weights under a network's own keys. First prefix, ignore and strip, as asked; each has to
/// meet a key. Then what is known: the counters of torch.optim.swa_utils (n_averaged) and of the
/// profiler thop (total_ops, total_params) are left out, "module." (DataParallel, AveragedModel)
/// and "_orig_mod." (torch.compile) are taken away where all keys have them. Throws naming `what`
/// when two keys become one.
RenamedWeights rename_weights(const TensorFile& file, const KeyRules& rules,
                              const std::string& what);

/// What would help when the keys are not the `expected` ones, beginning with "; "; empty
/// when nothing is known to: a prefix behind which they all stand, or keys that are too many.
std::string key_advice(const RenamedWeights& weights, const std::vector<std::string>& expected);

}  // namespace limbeck
