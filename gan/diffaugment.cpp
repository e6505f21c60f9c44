#include "gan/diffaugment.h"

#include <sstream>

#include "data/table.h"
#include "ops/random.h"

namespace limbeck::gan {
namespace {

/// int(side * ratio + 0.5), as DiffAugment_pytorch.py rounds.
int64_t part_of(int64_t side, double ratio) {
  return static_cast<int64_t>(static_cast<double>(side) * ratio + 0.5);
}
int64_t cut_size(int64_t side) { return part_of(side, 0.5); }

}  // namespace

void check_policy(const std::string& policy, const std::string& key) {
  try {
    DiffAugment{policy};
  } catch (const Error& e) {
    fail(key, ": ", e.what());
  }
}

DiffAugment::DiffAugment(const std::string& policy) {
  std::istringstream names(policy);
  for (std::string part; std::getline(names, part, ',');) {
    const std::string name = data::trimmed(part);
    if (name == "color")
      color_ = true;
    else if (name == "translation")
      translation_ = true;
    else if (name == "cutout")
      cutout_ = true;
    else
      fail("DiffAugment: unknown policy '", name, "' in '", policy, "'",
           did_you_mean(name, {"color", "translation", "cutout"},
                        "; known are color, translation, cutout"));
  }
}

Tensor DiffAugment::draw(int64_t n, int64_t height, int64_t width, const Tensor& place) const {
  if (identity()) return {};
  const int64_t corners_h = height + (cut_size(height) % 2 == 0),
                corners_w = width + (cut_size(width) % 2 == 0);
  return draw_diffaugment(
      place, n,
      {part_of(height, 0.125), part_of(width, 0.125), corners_h, corners_w, color_, translation_});
}

Variable DiffAugment::apply(const Variable& x, const Tensor& parameters) const {
  if (identity()) return x;
  const std::vector<int64_t> cut =
      cutout_ ? std::vector<int64_t>{cut_size(x.size(1)), cut_size(x.size(2))}
              : std::vector<int64_t>{0, 0};
  return apply1("diffaugment", {x, parameters}, {{"cutout", cut}});
}

Variable DiffAugment::operator()(const Variable& x, const Stream& stream) const {
  if (identity()) return x;
  const Tensor place = place_at(places_of({stream}), 0).to(x.data().device());
  const Tensor parameters = draw(x.size(0), x.size(1), x.size(2), place);
  return apply(x, x.dtype() == DType::f64 ? parameters.to(DType::f64) : parameters);
}

}  // namespace limbeck::gan
