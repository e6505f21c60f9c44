#include "gan/health.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gan/spectral_layers.h"

namespace limbeck::gan {
namespace {

bool all_finite(const Tensor& t) {
  const Tensor host = t.to(cpu);
  const auto values = host.span<float>();
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

std::string first_broken(const char* network, const nn::Module& m) {
  for (const nn::Parameter& p : m.parameters()) {
    if (!all_finite(p.value.data())) return cat(network, ".", p.name);
    if (p.value.grad().defined() && !all_finite(p.value.grad()))
      return cat("gradient of ", network, ".", p.name);
  }
  for (const nn::Buffer& b : m.buffers())
    if (b.value.dtype() == DType::f32 && !all_finite(b.value)) return cat(network, ".", b.name);
  return "";
}

double gradient_norm(const nn::Module& m) {
  double total = 0;
  for (const Variable& p : m.parameter_values())
    if (p.grad().defined())
      for (float g : p.grad().to_vector<float>())
        total += static_cast<double>(g) * static_cast<double>(g);
  return std::sqrt(total);
}

double fraction_with_sign(const Tensor& scores, double sign) {
  int64_t count = 0;
  for (float s : scores.to_vector<float>()) count += sign * static_cast<double>(s) > 0;
  return static_cast<double>(count) / static_cast<double>(scores.numel());
}

void add_singular_values(nn::Values& values, const char* network, const nn::Module& m) {
  double low = std::numeric_limits<double>::infinity(), high = 0;
  nn::Values layers;
  m.visit([&](const std::string& name, const nn::Module& layer) {
    const auto* spectral = dynamic_cast<const SpectralLayer*>(&layer);
    if (!spectral) return;
    const double s = spectral->singular_value();
    low = std::min(low, s);
    high = std::max(high, s);
    layers.emplace_back(cat("sv/", network, ".", name), s);
  });
  if (layers.empty()) return;
  values.emplace_back(cat(network, "_sv_min"), low);
  values.emplace_back(cat(network, "_sv_max"), high);
  values.insert(values.end(), layers.begin(), layers.end());
}

}  // namespace limbeck::gan
