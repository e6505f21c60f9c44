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
Dataset read_cifar_file(const std::string& file, int64_t classes, int label_bytes);

/// IDX (MNIST): train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each plain or with .gz.
/// The classes are 0..largest training label; a test label beyond them is an error. Class names
/// from class_names.txt when present.
Split read_idx(const std::string& folder);

/// [data.folder].
struct FolderSettings {
  std::string label_column;
  ResponseSettings response;
  void fields(FieldVisitor& v) {
    v("label_column", label_column, "label column of labels.csv, empty: the only one");
    response.fields(v);
  }
};

/// Image folder with labels.csv: a header, then one image a line. Columns: `file` (relative to the
/// folder), the label column and optionally `split` (train | test; without it all images train). A
/// label column named `class` or `label` holds classes (0..K-1, or names, numbered in alphabetical
/// order); one of any other name holds real responses. label_column empty: the only column besides
/// file and split; an error when there are several.
/// All images have one size, or with `resize` become size x size.
Split read_folder(const std::string& folder, const FolderSettings& settings = {},
                  Resize resize = Resize::none, int64_t size = 0);

/// Lines of a text file without empty ones at the end; empty when the file does not exist.
std::vector<std::string> optional_lines(const std::string& file);

/// Throws naming the file and the reason when it cannot be opened.
void check_readable(const std::string& file);

}  // namespace limbeck::data
