// What `limbeck bench train` measures: a network, or the networks that are trained together, with
// random weights, random inputs and the training step of the original experiment.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "nn/models/registry.h"
#include "tensor/device.h"

namespace limbeck {

struct SubjectOptions {
  std::string model = "resnet20";
  std::string method, teacher;  ///< of a classifier that is distilled, with or without data
  /// "classification", "regression"; "": the only one that the network serves, or classification
  std::string task;
  int64_t batch = 64, size = 0, classes = 100, width = 0;  ///< size, width 0: the original's
  Device device = cpu;
};

/// Every call works on the same inputs. Both calls may return before the device is done.
class BenchSubject {
 public:
  virtual ~BenchSubject() = default;
  /// Zeroed gradients, losses, backward passes and optimiser steps. `step` (1, 2, ...) numbers the
  /// random draws.
  virtual void train_step(int64_t step) = 0;
  /// The forward pass that is used after training, without gradients; begin_inference() comes
  /// before the first.
  virtual void begin_inference() = 0;
  virtual void infer() = 0;
  /// Multiply-adds of a forward pass of one image, when a training step is three times that; else
  /// 0.
  virtual int64_t macs() const { return 0; }
  /// "cross entropy, SGD": what a training step is.
  virtual std::string step_text() const = 0;
  int64_t size() const { return size_; }  ///< of the images

 protected:
  int64_t size_ = 0;
};

/// A network of the registry (also ResNet34_extract), a GAN of gan_names(), or y2h,
/// sparse_autoencoder, ratio_MLP3, ... Throws with the nearest name when there is none, and when an
/// option does not fit.
std::unique_ptr<BenchSubject> create_subject(const SubjectOptions& options);

/// Its parts: null when the name is not among theirs.
std::unique_ptr<BenchSubject> create_data_free_subject(const SubjectOptions& options);
std::unique_ptr<BenchSubject> create_gan_subject(const SubjectOptions& options);
std::unique_ptr<BenchSubject> create_helper_subject(const SubjectOptions& options);
std::vector<std::string> helper_names();

/// The task to train for: the wanted one, else `usual`. Throws naming the model when it is wanted
/// but not among the `served`.
nn::Task task_of(const SubjectOptions& options, const std::vector<nn::Task>& served,
                 nn::Task usual);
Tensor random_normal(const Shape& shape, const char* purpose);
Tensor random_uniform(const Shape& shape, const char* purpose);
/// Integers from 0 to n - 1.
Tensor random_classes(int64_t count, int64_t n, const char* purpose);

}  // namespace limbeck
