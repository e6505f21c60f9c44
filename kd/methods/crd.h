// CRD: contrastive representation distillation; formulas and sources in crd.cpp.
#pragma once
#include <memory>

#include "kd/terms.h"
#include "nn/layers.h"

namespace limbeck::kd::crd {

struct CrdSettings : LossWeights {
  double weight = 0.8, contrast_temperature = 0.07, momentum = 0.5;
  int64_t negatives = 16384, width = 128;
  void fields(FieldVisitor& v) {
    LossWeights::fields(v);
    v("weight", weight, "beta: weight of the contrastive loss");
    v("negatives", negatives, "K: images of other classes that each is compared with");
    v("width", width, "numbers of an embedding");
    v("contrast_temperature", contrast_temperature, "of the products of embeddings");
    v("momentum", momentum, "of the memory");
  }
};

/// A linear layer to a vector of length 1.
struct Embedding : nn::Module {
  nn::Linear linear;
  Embedding(int64_t in, int64_t width) : linear(in, width) { add("linear", linear); }
  Variable forward(const Variable& x) override { return unit_rows(linear(x)); }
};

/// Heads, memory and normalisers: all of it is in checkpoints.
class Contrast : public nn::Module {
 public:
  Contrast(int64_t student, int64_t teacher, int64_t images, int64_t width)
      : student(student, width), teacher(teacher, width) {
    add("student", this->student);
    add("teacher", this->teacher);
    memory_[0] = add_buffer("memory_student", Tensor::zeros({images, width}));
    memory_[1] = add_buffer("memory_teacher", Tensor::zeros({images, width}));
    normalisers_ = add_buffer("normalisers", Tensor::zeros({2}));
  }
  Embedding student, teacher;
  const Tensor& memory(int side) const { return buffer(memory_[side]); }
  const Tensor& normalisers() const { return buffer(normalisers_); }
  void set_normalisers(Tensor z) { buffer(normalisers_) = std::move(z); }

 protected:
  void reset(Stream stream) override {
    const double bound = std::sqrt(3.0 / static_cast<double>(memory(0).size(1)));
    for (int side : {0, 1})
      stream.fork("memory", static_cast<uint64_t>(side)).fill_uniform(memory(side), -bound, bound);
    normalisers().fill(0);
  }

 private:
  size_t memory_[2], normalisers_;
};

class Crd : public Method {
 public:
  using Settings = CrdSettings;
  /// Throws naming the setting.
  explicit Crd(const Settings& settings);
  LossWeights weights() const override { return settings_; }
  void check(const Pair& pair) override;
  void prepare(const Pair& pair) override;
  Contrast* auxiliary() override { return contrast_.get(); }
  Variable loss(const DistillationStep& step) override;
  void after_step(const DistillationStep& step) override;

 protected:
  /// [B, n]: the weights of images as negatives, K in a row's sum, 0 for the rest.
  virtual Variable negatives(const train::Step& step) const;

 private:
  Variable compare(const Variable& v, int bank) const;
  void normalise_first(const Variable (&similar)[2], const Variable& weights, const Tensor& rows);
  Variable contrastive(const Variable& similar, const Variable& weights, const Tensor& rows,
                       int side) const;
  void remember(int side, const Variable& v, const Tensor& rows);

  const Settings settings_;
  std::unique_ptr<Contrast> contrast_;
  Tensor labels_, thresholds_;  // i64 [1, n], [classes, 1]
  Variable student_, teacher_;  // embeddings of the step in work
};

}  // namespace limbeck::kd::crd
