#include "kd/data_free/terms.h"

#include <algorithm>

#include "autograd/autocast.h"
#include "kd/levels.h"

namespace limbeck::kd::data_free {
namespace {

Tensor constant(double value, const Variable& like) {
  return Tensor::full({}, value, like.dtype(), like.data().device());
}

Variable divergences(const Variable& s, const Variable& t) {
  return sum(softmax(t) * (log_softmax(t) - log_softmax(s)), {1});
}

/// i64 [B] as a mask of numbers.
Variable same_class(const Tensor& a, const Tensor& b, DType type) {
  return Variable(equal(a, b).to(type));
}

/// The four differences of neighbouring pixels.
Variables pixel_differences(const Variable& x) {
  const int64_t h = x.size(1), w = x.size(2);
  const auto part = [&](int64_t top, int64_t left, int64_t rows, int64_t columns) {
    return slice(slice(x, 1, top, top + rows), 2, left, left + columns);
  };
  return {part(0, 0, h, w - 1) - part(0, 1, h, w - 1), part(0, 0, h - 1, w) - part(1, 0, h - 1, w),
          part(0, 0, h - 1, w - 1) - part(1, 1, h - 1, w - 1),
          part(1, 0, h - 1, w - 1) - part(0, 1, h - 1, w - 1)};
}

Variable total(const Variables& parts) {
  Variable all = parts.at(0);
  for (size_t i = 1; i < parts.size(); ++i) all = all + parts[i];
  return all;
}

}  // namespace

Variable one_hot_loss(const Variable& t) { return cross_entropy(t, argmax(t.data())); }

Variable class_balance(const Variable& t) {
  const Variable p = mean(softmax(t), {0});
  constexpr double smallest = 1e-30;  // a class that never comes: 0 log 0 = 0
  return sum(p * log(clamp(p, smallest, 1)));
}

Variable activation_loss(const Variable& h) { return -mean(abs(from_activation(h))); }

Variable soft_target_loss(const Variable& t, const Tensor& targets) {
  constexpr double temperature = 20;
  return soft_cross_entropy(t * (1 / temperature), Variable(targets));
}

Variable norm2(const Variable& d) {
  const Variable squares = sum(square(d));
  const Tensor positive = greater(squares.data(), constant(0, squares));
  const Variable safe = where(positive, squares, Variable(constant(1, squares)));
  return where(positive, sqrt(safe), Variable(constant(0, squares)));
}

std::vector<Moments> moments_of(const NormInputs& inputs) {
  std::vector<Moments> all;
  for (const auto& in : inputs) {
    const Variable x = from_activation(in.x);
    all.push_back({mean(x, {0, 1, 2}), var(x, {0, 1, 2}, /*unbiased=*/false)});
  }
  return all;
}

std::vector<Moments> averaged(const std::vector<Moments>& old, const std::vector<Moments>& now,
                              double momentum) {
  LIMBECK_CHECK(old.size() == now.size(), "statistics of batch norms: expected averages of ",
                now.size(), " layers, found ", old.size());
  const auto mixed = [momentum](const Variable& a, const Variable& b) {
    return a * momentum + b * (1 - momentum);
  };
  std::vector<Moments> all;
  for (size_t i = 0; i < old.size(); ++i)
    all.push_back({mixed(old[i].mean, now[i].mean), mixed(old[i].var, now[i].var)});
  return all;
}

Variable statistics_norms(const NormInputs& inputs, const std::vector<Moments>& moments) {
  LIMBECK_CHECK(!inputs.empty(), "statistics of batch norms: the teacher has no BatchNorm2d");
  Variables layers;
  for (size_t i = 0; i < inputs.size(); ++i)
    layers.push_back(norm2(moments.at(i).var - Variable(inputs[i].running_var)) +
                     norm2(moments[i].mean - Variable(inputs[i].running_mean)));
  return total(layers);
}

Variable statistics_squares(const NormInputs& inputs, const std::vector<Moments>& moments) {
  LIMBECK_CHECK(!inputs.empty(), "statistics of batch norms: the teacher has no BatchNorm2d");
  Variables layers;
  for (size_t i = 0; i < inputs.size(); ++i)
    layers.push_back(mse_loss(moments.at(i).mean, Variable(inputs[i].running_mean)) +
                     mse_loss(moments[i].var, Variable(inputs[i].running_var)));
  return total(layers) * (1 / static_cast<double>(layers.size()));
}

Variable divergence(const Variable& s, const Variable& t) { return mean(divergences(s, t)); }
Variable adversarial_l1(const Variable& s, const Variable& t) { return -l1_loss(s, t); }
Variable adversarial_kl(const Variable& s, const Variable& t) { return -divergence(s, t); }

Variable adversarial_decision(const Variable& s, const Variable& t) {
  const Variable agreed = same_class(argmax(s.data()), argmax(t.data()), s.dtype());
  return -mean(agreed * divergences(s, t));
}

Variable adversarial_js(const Variable& s, const Variable& t) {
  constexpr double temperature = 3, low = 0.01, high = 0.99;
  const Variable p = softmax(s * (1 / temperature)), q = softmax(t * (1 / temperature));
  const Variable P = clamp(p, low, high), Q = clamp(q, low, high),
                 M = clamp((p + q) * 0.5, low, high);
  const auto kl = [&](const Variable& a, const Variable& b) {
    return mean(sum(a * (log(a) - log(b)), {1}));
  };
  return affine(clamp((kl(M, P) + kl(M, Q)) * 0.5, 0, 1), -1, 1);
}

Variable total_variation(const Variable& images) {
  Variables norms;
  for (const Variable& d : pixel_differences(images)) norms.push_back(norm2(d));
  return total(norms);
}

Variable total_variation_l1(const Variable& images) {
  Variables means;
  for (const Variable& d : pixel_differences(images)) means.push_back(mean(abs(d)));
  return total(means);
}

Variable image_norms(const Variable& images) {
  return mean(sqrt(sum(square(flatten(images)), {1})));
}

Variable contrast(const Variable& local, const Variable& global, int64_t current, double tau) {
  const int64_t n = local.size(0);
  LIMBECK_CHECK(current > 0 && current <= n, "contrast: expected 1 to ", n, " current rows, found ",
                current);
  const Variable l = l2_normalize(local), g = l2_normalize(global.detach());
  std::vector<int64_t> diagonal(static_cast<size_t>(n));
  for (size_t i = 0; i < diagonal.size(); ++i) diagonal[i] = static_cast<int64_t>(i);
  const Variable rows =
      cross_entropy(matmul(l, g, false, true) * (1 / tau),
                    Tensor::of(diagonal).to(local.data().device()), Reduction::none);
  const Variable now = mean(slice(rows, 0, 0, current));
  return current == n ? now : now + mean(slice(rows, 0, current, n));
}

Variable agreed_cross_entropy(const Variable& s, const Tensor& t, const Tensor& labels, bool keep) {
  if (!keep) return cross_entropy(s, labels);
  const Variable kept = same_class(argmax(t), labels, s.dtype());
  const Variable losses = cross_entropy(s, labels, Reduction::none);
  return sum(kept * losses) / maximum(sum(kept), Variable(constant(1, kept)));
}

Variable attention_distance(const nn::Features& student, const nn::Features& teacher) {
  const std::vector<Variable> s = maps_of("attention", student, "student"),
                              t = maps_of("attention", teacher, "teacher");
  const size_t levels = std::min(s.size(), t.size());
  Variables distances;
  for (size_t i = 1; i <= levels; ++i) {
    const Level level = same_size({s[s.size() - i], t[t.size() - i]});
    distances.push_back(mse_loss(attention_map(level.student), attention_map(level.teacher)));
  }
  return total(distances);
}

}  // namespace limbeck::kd::data_free
