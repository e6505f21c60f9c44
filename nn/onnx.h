// Export of a network as an ONNX model: the operators of one forward pass in eval mode, each
// written as its counterpart (nn/onnx_operators.cpp), with the weights under their PyTorch names.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "nn/models/registry.h"

namespace limbeck::nn {

struct OnnxOptions {
  std::vector<double> mean, deviation;  ///< of each channel, of values in [0, 1]; in the model
  bool bytes = true;         ///< images are u8 in [0, 255]; false: f32 in [0, 1] (bytes / 255)
  double low = 0, high = 1;  ///< what the outputs 0 and 1 of a regressor stand for; in the model
  std::vector<std::pair<std::string, std::string>> metadata = {};
};

/// The file's bytes (ONNX's ModelProto, opset 17): input "images" [N, channels, size, size], output
/// "logits" or "response" [N, outputs], N free. The network stays as it is, on the CPU. Throws
/// naming an operator that has no counterpart.
std::string onnx_model(Network& network, const std::string& name, const ModelOptions& options,
                       const OnnxOptions& onnx);

}  // namespace limbeck::nn
