// Generators of data-free distillation: no discriminator judges their images, a teacher does. So
// they know what the teacher's images look like: its standardisation is part of their state.
#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"
#include "gan/network.h"

namespace limbeck::gan {

/// NetworkConfig's fields that they read: arch, ch (of the first maps, 128 in the originals),
/// dim_z, classes, shared_dim (size of the class embedding, where there is one), resolution,
/// channels.
/// data_free_generator_names() lists the families:
///   dafl, dfad, zskt, gdfq   a tail of batch norm: images leave it as the teacher sees them
///   cmi, dfq, cgdd, cgdd_product, cgdd_cbn   a sigmoid: pixels in [0, 1], standardised afterwards
///   dcgan_dfad, dcgan_cmi, dcgan_cgdd        DCGAN's stack for 64 pixels and more
///   fast_map   no linear layer: dim_z numbers are a map of R/16 places a side
/// gdfq, cgdd and those with its name read the class, the others ignore it. A condition with shares
/// of the classes, [N, classes] with sum 1, stands for the mixture of what stands for each of them.
/// Those that read the class have a form for responses [N, 1] in [0, 1], NAME_response: `classes`
/// are then nodes, evenly on [0, 1], and a response is the mixture of the two that it lies between.
class DataFreeGenerator : public Generator {
 public:
  /// z [N, dim_z] to images [N, R, R, channels] as the teacher sees them, differentiable.
  virtual Variable standardised(const Variable& z, const Condition& condition) = 0;
  /// Whether class or response has a say in the image.
  virtual bool conditional() const = 0;
  /// Of the teacher's training images; the default is 1/2 and 1/2. Throws unless mean and
  /// deviation have as many entries as the images have channels.
  void set_standardisation(const data::Standardisation& standardisation);
  data::Standardisation standardisation() const;

 protected:
  explicit DataFreeGenerator(const NetworkConfig& config);
  /// Pixels in [0, 1] to what the teacher sees, and back to [-1, 1], where they are cut.
  Variable standardise(const Variable& pixels) const;
  Variable to_pixels(const Variable& standardised) const;

 private:
  size_t mean_, deviation_;  // f32 [channels]
};

/// "cgdd" -> "cgdd_response": the family that reads responses in the place of classes. Throws
/// naming `key` and those that have one when `arch` has none.
std::string response_form(const std::string& arch, const std::string& key);

/// Throws naming the families when `arch` is none of them.
std::unique_ptr<DataFreeGenerator> create_data_free_generator(const NetworkConfig& config);

}  // namespace limbeck::gan
