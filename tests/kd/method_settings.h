// Settings of methods in tests, by key as a configuration has them.
#pragma once
#include <string>
#include <variant>

#include "kd/method.h"

namespace limbeck::kd {

/// Sets one field of any settings; throws when there is none of that name and type.
template <class T>
class SetField : public FieldVisitor {
 public:
  SetField(AnySettings& settings, std::string key, T value)
      : key_(std::move(key)), value_(std::move(value)) {
    settings.fields(*this);
    LIMBECK_CHECK(found_, "no field '", key_, "' of that type");
  }

 protected:
  void visit(const std::string& key, FieldTarget target, const std::string&) override {
    if (T* const* place = std::get_if<T*>(&target); place && key == key_)
      **place = value_, found_ = true;
  }

 private:
  std::string key_;
  T value_;
  bool found_ = false;
};

/// A method with its defaults.
inline std::unique_ptr<Method> create_method(const std::string& name) {
  return create_method(name, default_method_settings());
}
/// With some fields of its own: create_method("blkd", with("form", std::string("paper"))).
template <class T>
std::unique_ptr<Method> create_method(const std::string& name, const std::string& key,
                                      const T& value) {
  NamedSettings settings = default_method_settings();
  SetField<T>(settings.at(name), key, value);
  return create_method(name, settings);
}

/// A small network of the registry that the method can teach.
inline std::string student_of(const std::string& method) {
  return method == "kdexplainer" ? "explainer_tree" : "resnet8";
}

/// Black images whose classes take turns.
inline data::Dataset labelled(int64_t n, int64_t classes) {
  data::Dataset d;
  d.images = Tensor::zeros({n, 8, 8, 3}, DType::u8);
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < n; ++i) labels.push_back(i % classes);
  d.labels = Tensor::of(labels), d.classes = classes;
  return d;
}

/// A network for tests that need a reference and run none.
class NoNetwork : public nn::Network {
 public:
  nn::Features forward_features(const Variable& x, bool) override { return {{}, x}; }
};

/// The whole distillation loss of two sets of features, without the labels' term.
inline Variable distill(Method& method, const nn::Features& student, const nn::Features& teacher) {
  NoNetwork networks[2];
  const data::Batch batch;
  const train::Step step{networks[0], student, batch, {}, {}, {}};
  const LossWeights w = method.weights();
  const Variable own = method.loss({student, teacher, step, networks[1]});
  if (w.soft_weight == 0) return own;
  const Variable soft =
      distillation_loss(student.output, teacher.output.data(), w.temperature) * w.soft_weight;
  return own.defined() ? soft + own : soft;
}
inline void prepare(Method& method, const nn::Features& student, const nn::Features& teacher,
                    const data::Dataset& train = {}) {
  NoNetwork networks[2];
  const Pair pair{
      networks[0], networks[1], student, teacher, train, Stream(1), student.output.size(0), {}};
  method.check(pair);
  method.prepare(pair);
}

}  // namespace limbeck::kd
