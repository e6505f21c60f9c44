// Readers of the data formats. Each returns the whole training and test part as the files hold
// them: no draw, no padding. Record counts come from the files. Every error names the file and the
// record (counted from 0), expected and found.
#pragma once
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/resize.h"
#include "data/responses.h"
#include "tensor/fields.h"

namespace limbeck::data {

/// CIFAR-10 binary: data_batch_*.bin (as many as there are, in numerical order) and test_batch.bin;
/// records of 1 label byte and 3x32x32 pixel bytes, planes first. Class names from batches.meta.txt
/// when present.
Split read_cifar10(const std::string& folder);
/// CIFAR-100 binary: train.bin and test.bin, records of coarse label, fine label, 3x32x32 pixel
/// bytes. The fine label is the class.
Split read_cifar100(const std::string& folder);
/// One CIFAR file; labels below `classes`. label_bytes 1 (CIFAR-10) or 2 (CIFAR-100: coarse, then
/// fine).
/// Throws naming the file and the record for another size or label.
Dataset read_cifar_file(const std::string& file, int64_t classes, int label_bytes);

/// [data.idx].
struct IdxSettings {
  std::string set;
  void fields(FieldVisitor& v) {
    v("set", set,
      "which of several sets in the folder: emnist-letters of "
      "emnist-letters-train-images-idx3-ubyte");
  }
};

/// IDX (MNIST): train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each plain or with .gz;
/// also with a dot (train-images.idx3-ubyte), or as EMNIST calls them (emnist-letters-test-...).
/// The classes are 0..largest training label; a test label beyond them is an error. Class names
/// from class_names.txt when present.
Split read_idx(const std::string& folder, const IdxSettings& settings = {});

/// [data.folder].
struct FolderSettings {
  std::string label_column;
  ResponseSettings response;
  std::string file_column, task;
  double test_share = 0;
  int64_t channels = 0, bits = 0;
  void fields(FieldVisitor& v) {
    v("label_column", label_column, "label column of labels.csv, empty: the only one");
    v("file_column", file_column, "column of the images; empty: file, or filename, image, path");
    v("task", task,
      "classification | regression; empty: a column class, label or category holds classes, one of "
      "another name responses");
    v("test_share", test_share,
      "share of the images of each class that is the test part, where the files give none");
    v("channels", channels, "1: all images grey, 3: all with colours, 0: as the files, all alike");
    v("bits", bits,
      "of the samples of PNG files of 16 bits: 12 says that 4095 is white; 0: 16, unless no image "
      "reaches 4096");
    response.fields(v);
  }
};

/// What read_folder() is told besides the section.
struct FolderReading {
  Resize resize = Resize::none;
  int64_t size = 0;
  int64_t max_pixels = int64_t{1} << 26;
  int64_t seed = 0;  ///< of test_share
};

/// Image folder with labels.csv: a header, then one image a line (data/table.h). Columns, in any
/// order and case: `file` (or filename, image, path, ...; relative to the folder), the label and
/// optionally `split` (train | test; without it all images train). A label column called `class`,
/// `label`, `category` and the like holds classes (whole numbers, or names, numbered in
/// alphabetical order); one of any other name holds real responses. label_column empty: the only
/// column besides file, split and a column of row numbers; an error when there are several.
/// Without labels.csv the folders name the classes: train/CLASS/... and test/CLASS/... (or val/),
/// or CLASS/... .
/// All images have one size, or with `resize` become size x size.
Split read_folder(const std::string& folder, const FolderSettings& settings = {},
                  const FolderReading& how = {});

/// Lines of a text file without empty ones at the end; empty when the file does not exist.
std::vector<std::string> optional_lines(const std::string& file);

/// Throws naming the file and the reason when it cannot be opened.
void check_readable(const std::string& file);

}  // namespace limbeck::data
