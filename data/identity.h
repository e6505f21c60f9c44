// What a data set is, whatever its place is called: two spellings of a folder are the same data,
// another file under the same name is not.
#pragma once
#include <string>

#include "data/source.h"

namespace limbeck::data {

/// Of what load() gave: numbers of images and a checksum of bytes, labels, scale and class names.
/// "500 + 100 images, 0123456789abcdef".
std::string identity_of(const Split& split);
/// Of one file: its size and a checksum. Throws naming it when it cannot be read.
std::string identity_of_file(const std::string& path);

/// What the file system says of files, for who remembers an identity: while it stays the same,
/// nothing has been written there. Names, sizes, inodes and times of change.
struct FilesState {
  std::string text;
  /// So recent a change that a later one may bear the same time: nothing to remember by.
  bool fresh = false;
};
/// Of a file, or of all files in a folder.
FilesState state_of(const std::string& path);
/// Of data.path and what the source reads outside of it, after check().
FilesState state_of(const DataSettings& settings);

}  // namespace limbeck::data
