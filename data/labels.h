// What the images of a folder are: read from labels.csv, or from folders that are called as their
// class.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/readers.h"

namespace limbeck::data {

/// A data set without its images, which lie in files.
struct Labels {
  std::string origin;              ///< labels.csv with its path, or the folder of the class folders
  std::vector<std::string> files;  ///< paths as they can be opened
  std::vector<int64_t> lines;      ///< of labels.csv; empty: the folders tell
  std::vector<bool> is_test;
  Dataset task;                    ///< labels or targets in the order of the files
  std::vector<std::string> notes;  ///< what looks like a mistake, one line each

  /// "FILE: line N: ", the beginning of an error about an image; empty without lines.
  std::string place(size_t i) const {
    return lines.empty() ? "" : cat(origin, ": line ", lines[i], ": ");
  }
};

/// By labels.csv in `folder` (format: read_folder()). The seed is of data.folder.test_share.
/// Throws naming the file, for an empty one too.
Labels read_label_table(const std::string& folder, const FolderSettings& settings, int64_t seed);

/// By the names of folders: train/CLASS/..., with test/CLASS/... (or val/), or CLASS/... . The
/// classes are numbered in the order of their names, whole numbers by value. Throws naming the
/// folder for a class without images, images of other formats than ours, and classes that only the
/// test part has.
Labels read_class_folders(const std::string& folder, const FolderSettings& settings, int64_t seed);

/// Whether `folder` has labels.csv; throws when it has neither that nor class folders.
bool has_label_table(const std::string& folder);

/// Throws when the files give the parts and data.folder.test_share asks for them too.
void check_test_share(const FolderSettings& settings, const std::string& origin, bool parts_given);

/// Gives `share` of the images of every class to the test part; a class keeps one at least. Which
/// ones depends on the seed and on their order only.
void share_out(double share, int64_t seed, const std::vector<int64_t>& classes,
               std::vector<bool>& is_test);

}  // namespace limbeck::data
