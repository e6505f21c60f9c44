// Data sets in files of named arrays (HDF5, .npz, safetensors): which arrays are images and labels,
// and what they have to be.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/responses.h"
#include "tensor/fields.h"
#include "tensor/safetensors.h"

namespace limbeck::data {

/// A file of named arrays, of which single ones can be read.
class ArrayFile {
 public:
  virtual ~ArrayFile() = default;
  virtual const std::string& path() const = 0;
  virtual std::vector<std::string> names() const = 0;
  /// As stored; integers and real numbers may be widened to 64 bits. Throws naming file and key.
  virtual Tensor read(const std::string& name) const = 0;
  /// What else the file says about the set: see tensors_of().
  virtual std::map<std::string, std::string> metadata() const { return {}; }
};

/// [data.hdf5], [data.npz], [data.container].
struct ArraySettings {
  std::string train_images, train_labels, test_images, test_labels, train_index, task;
  ResponseSettings response;
  void fields(FieldVisitor& v) {
    v("train_images", train_images,
      "array of the training images; empty: images_train, x_train, images or fake_images, and the "
      "other arrays of that layout");
    v("train_labels", train_labels, "array of their labels");
    v("test_images", test_images, "array of the test images; empty: no test part");
    v("test_labels", test_labels, "array of their labels");
    v("train_index", train_index, "array of the rows that train, from 0; the others test");
    v("task", task,
      "regression | classification; empty: what the file says, else integers are classes (hdf5: "
      "responses)");
    response.fields(v);
  }
};

/// Which arrays hold a set; a part that is not there has empty names.
struct ArrayLayout {
  std::string train_images, train_labels, test_images, test_labels, train_index;
};
/// The names of the settings, or of the first known layout whose images are there. Throws naming
/// the file and what is missing.
ArrayLayout layout_of(const ArrayFile& file, const ArraySettings& settings,
                      const std::string& section);

/// Both parts. Images u8 [N, C, H, W], [N, H, W, C] (C is 1 or 3) or [N, H, W]; labels [N] or
/// [N, 1]. Throws in one line that names file and array: an array that is missing, of another type
/// or shape, labels that are not finite, outside of the scale or the training classes, or all the
/// same. `integers_are_responses`: what integer labels are where neither settings nor file say.
Split read_arrays(const ArrayFile& file, const ArraySettings& settings, const std::string& section,
                  bool integers_are_responses);

/// What data::check() asks of the settings alone.
/// Throws naming the key.
void check_array_settings(const ArraySettings& settings, const std::string& section);

/// A set as the arrays of the official layout: images_train u8 [N, C, H, W], labels_train (i64
/// classes, f32 responses), images_test, labels_test where the test part has images; of a fake set
/// fake_images and fake_labels. Classes, their names and the response scale are metadata, from
/// which read_arrays() gets the same set back.
/// Throws for fakes with a test part.
TensorFile tensors_of(const Split& split, bool fake = false);

}  // namespace limbeck::data
