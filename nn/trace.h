// LayerTrace: records which layers a forward pass runs, with shapes and multiply-adds. `limbeck
// models` prints it.
//   LayerTrace trace; { NoGrad no_grad; network(image); } for (auto& r : trace.records()) ...
#pragma once
#include <vector>

#include "nn/module.h"

namespace limbeck::nn {

struct LayerRecord {
  const Module* layer;
  Shape in, out;  ///< memory layout, batch dimension included
  int64_t macs;   ///< multiply-adds of convolutions and linear layers; 0 for the others
};

/// Collects the calls of this thread while alive. Traces nest; the innermost one records.
class LayerTrace {
 public:
  LayerTrace();
  ~LayerTrace();
  LayerTrace(const LayerTrace&) = delete;
  const std::vector<LayerRecord>& records() const { return records_; }
  int64_t macs() const;

  /// Called by layers; does nothing when no trace is alive.
  static void note(const Module& layer, const Variable& in, const Variable& out, int64_t macs);

 private:
  std::vector<LayerRecord> records_;
  LayerTrace* outer_;
};

}  // namespace limbeck::nn
