// Few calls: a teacher that sees some of the training images once, without augmentation, and then
// no more. What it said is kept by row of the training set; the students' stages never run it.
#pragma once
#include <memory>

#include "kd/method.h"

namespace limbeck::kd {

/// The stage METHOD_logits: the teacher's outputs for `calls` real images, drawn evenly (all where
/// there are fewer), in logits.safetensors: rows i64 [n], logits f32 [n, outputs].
Preparation few_calls(const std::string& title, int64_t calls);

/// Stands in the place of the teacher: zeros of the outputs in the folder of such a stage.
std::unique_ptr<nn::Network> silent_teacher(const std::string& directory);

/// What it said, in the buffers of a module: logits [images, outputs] and known [images, 1], 1 or
/// 0. Real images come first in a training set; of fakes it said nothing.
class KnownLogits : public nn::Module {
 public:
  KnownLogits(int64_t images, int64_t outputs);
  /// Of such a stage. Throws naming the file for a row that is not among the training images.
  void read(const std::string& directory);
  struct Rows {
    Variable logits, known;  ///< [n, outputs], [n, 1]
  };
  Rows of(const Tensor& rows) const;

 private:
  const size_t logits_, known_;
};

}  // namespace limbeck::kd
