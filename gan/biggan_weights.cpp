#include "gan/biggan_weights.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace limbeck::gan {
namespace {

class Weights {
 public:
  Weights(const TensorFile& file, std::string what) : file_(file), what_(std::move(what)) {}

  bool has(const std::string& key) const { return file_.find(key) != nullptr; }
  /// Axis of a tensor; throws naming the key when there is no such tensor or axis.
  int64_t size(const std::string& key, int64_t axis) const {
    const Tensor* t = file_.find(key);
    LIMBECK_CHECK(t && t->rank() > axis, what_, ": expected a tensor '", key, "' with ", axis + 1,
                  " axes or more, found ", t ? cat(t->shape()) : "none");
    return t->size(axis);
  }
  /// Stages I of blocks.I.J that hold a key of this ending.
  std::set<int64_t> stages_with(const std::string& ending) const {
    std::set<int64_t> found;
    for (const auto& [key, tensor] : file_.tensors)
      if (key.starts_with("blocks.") && key.ends_with(ending)) found.insert(number_at(key, 7));
    return found;
  }
  int64_t stages() const {
    const std::set<int64_t> found = stages_with(".conv1.weight");
    return found.empty() ? 0 : *found.rbegin() + 1;
  }
  const std::string& what() const { return what_; }

 private:
  int64_t number_at(const std::string& key, size_t place) const {
    int64_t number = -1;
    std::from_chars(key.data() + place, key.data() + key.size(), number);
    LIMBECK_CHECK(number >= 0 && number < 1000, what_, ": '", key, "' names no stage of blocks");
    return number;
  }
  const TensorFile& file_;
  const std::string what_;
};

/// What the widths of a generator from first to last say (BigGAN.py and BigGANdeep.py, G_arch).
struct Form {
  int64_t ratio, resolution, stages, last;  ///< last: width of the last block in units of ch
};
constexpr Form forms[] = {{1, 32, 3, 4}, {8, 64, 4, 2}, {16, 128, 5, 1}};

NetworkConfig generator_config(const Weights& w, bool deep) {
  NetworkConfig c;
  const int64_t last = w.size("output_layer.2.weight", 1),
                first = w.size("linear.weight", 0) / (bottom_size * bottom_size);
  const Form* form = std::find_if(std::begin(forms), std::end(forms),
                                  [&](const Form& f) { return first == f.ratio * last; });
  LIMBECK_CHECK(form != std::end(forms) && w.stages() % form->stages == 0 && w.stages() > 0 &&
                    (deep || w.stages() == form->stages),
                w.what(), ": widths from ", first, " to ", last, " in ", w.stages(),
                " blocks are no generator of 32, 64 or 128 pixels that is known here");
  c.resolution = form->resolution;
  c.ch = last / form->last;
  c.channels = w.size("output_layer.2.weight", 0);
  if (deep) c.depth = w.stages() / form->stages;
  const int64_t chunk = w.size("linear.weight", 1);
  if (w.has("shared.weight")) {
    c.classes = w.size("shared.weight", 0);
    c.shared_dim = w.size("shared.weight", 1);
    c.hierarchical = w.size("blocks.0.0.bn1.gain.weight", 1) > c.shared_dim;
  } else {
    c.classes = w.size("blocks.0.0.bn1.gain.weight", 0);
  }
  if (deep)
    c.dim_z = chunk - c.shared_dim;
  else
    c.dim_z = c.hierarchical ? chunk * (form->stages + 1) : chunk;
  for (const int64_t stage : w.stages_with(".gamma"))
    c.attention.push_back((2 * bottom_size) << (deep ? stage / c.depth : stage));
  return c;
}

NetworkConfig discriminator_config(const Weights& w, bool deep) {
  NetworkConfig c;
  c.classes = w.size("embed.weight", 0);
  if (deep) {
    c.channels = w.size("input_conv.weight", 1);
    c.ch = w.size("input_conv.weight", 0);
    c.resolution = w.stages() == 4 ? 64 : 128;
    c.depth = 0;
    while (w.has(cat("blocks.0.", c.depth, ".conv1.weight"))) ++c.depth;
    // BigGAN-deep's generator cannot do without them, so a configuration has both.
    c.shared_dim = c.dim_z;
    c.hierarchical = true;
  } else {
    const int64_t width = w.size("blocks.0.0.conv1.weight", 0);
    c.channels = w.size("blocks.0.0.conv1.weight", 1);
    c.resolution = w.stages() == 4 ? 32 : w.stages() == 5 ? 64 : 128;
    c.ch = c.resolution == 32 ? width / 4 : width;
  }
  const int64_t largest = c.resolution / 2;
  for (const int64_t stage : w.stages_with(".gamma"))
    c.attention.push_back(c.resolution == 32 ? largest : std::max(bottom_size, largest >> stage));
  return c;
}

}  // namespace

bool is_discriminator(const TensorFile& weights) { return weights.find("embed.weight"); }

NetworkConfig biggan_config_of(const TensorFile& weights, const std::string& arch,
                               const std::string& what) {
  LIMBECK_CHECK(arch == "biggan" || arch == "biggan-deep", what,
                ": sizes are known from the weights of biggan and biggan-deep, not of ", arch);
  const bool deep = arch == "biggan-deep";
  const Weights w(weights, what);
  NetworkConfig c =
      is_discriminator(weights) ? discriminator_config(w, deep) : generator_config(w, deep);
  c.arch = arch;
  std::sort(c.attention.begin(), c.attention.end());
  c.attention.erase(std::unique(c.attention.begin(), c.attention.end()), c.attention.end());
  return c;
}

}  // namespace limbeck::gan
