#include "gan/diffaugment.h"

#include <sstream>

namespace limbeck::gan {
namespace {

/// int(side * ratio + 0.5), as DiffAugment_pytorch.py rounds.
int64_t part_of(int64_t side, double ratio) { return static_cast<int64_t>(static_cast<double>(side) * ratio + 0.5); }
int64_t cut_size(int64_t side) { return part_of(side, 0.5); }

}  // namespace

DiffAugment::DiffAugment(const std::string& policy) {
  std::istringstream names(policy);
  for (std::string name; std::getline(names, name, ',');) {
    if (name == "color") color_ = true;
    else if (name == "translation") translation_ = true;
    else if (name == "cutout") cutout_ = true;
    else fail("DiffAugment: unknown policy '", name, "' in '", policy, "'; known are color, translation, cutout");
  }
}

Tensor DiffAugment::draw(int64_t n, int64_t height, int64_t width, DType dtype, Stream stream) const {
  const Tensor parameters = Tensor::empty({n, 7}, dtype);
  const int64_t shift_h = part_of(height, 0.125), shift_w = part_of(width, 0.125);
  const int64_t places_h = height + (cut_size(height) % 2 == 0), places_w = width + (cut_size(width) % 2 == 0);
  dispatch_floating(dtype, "DiffAugment", [&](auto t) {
    using T = decltype(t);
    for (int64_t i = 0; i < n; ++i) {
      T* p = parameters.data<T>() + i * 7;
      // All numbers are drawn whatever the policy, so that one part does not change another's draws.
      const double brightness = stream.uniform(), saturation = stream.uniform(), contrast = stream.uniform();
      const int64_t th = stream.below(2 * shift_h + 1) - shift_h, tw = stream.below(2 * shift_w + 1) - shift_w;
      const int64_t oh = stream.below(places_h), ow = stream.below(places_w);
      p[0] = color_ ? static_cast<T>(brightness - 0.5) : T(0);
      p[1] = color_ ? static_cast<T>(2 * saturation) : T(1);
      p[2] = color_ ? static_cast<T>(contrast + 0.5) : T(1);
      p[3] = translation_ ? static_cast<T>(th) : T(0);
      p[4] = translation_ ? static_cast<T>(tw) : T(0);
      p[5] = static_cast<T>(oh);
      p[6] = static_cast<T>(ow);
    }
  });
  return parameters;
}

Variable DiffAugment::apply(const Variable& x, const Tensor& parameters) const {
  if (identity()) return x;
  const std::vector<int64_t> cut = cutout_ ? std::vector<int64_t>{cut_size(x.size(1)), cut_size(x.size(2))} : std::vector<int64_t>{0, 0};
  return apply1("diffaugment", {x, parameters}, {{"cutout", cut}});
}

Variable DiffAugment::operator()(const Variable& x, const Stream& stream) const {
  if (identity()) return x;
  return apply(x, draw(x.size(0), x.size(1), x.size(2), x.dtype(), stream).to(x.data().device()));
}

}  // namespace limbeck::gan
