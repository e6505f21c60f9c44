// The classes of a set: those without images, and what stands in the sheet at the start of a run.
#pragma once
#include <string>
#include <vector>

#include "data/source.h"

namespace limbeck::data {

/// Numbers the classes that have training images 0, 1, ... in their order; names follow them, and
/// without names the old numbers become names. Throws when the test part has another class.
void compact_classes(Split& split, const std::string& origin);

/// Throws, beginning with `origin`, for a name that checkpoints cannot hold: not UTF-8, or of
/// several lines.
void check_class_names(const Dataset& train, const std::string& origin);

/// Throws, beginning with `origin`, for a class without training images.
void check_classes(const Split& split, const std::string& origin);

/// A few lines for a person: images of each part and class, or the responses.
std::vector<std::string> summary_of(const Split& split);

/// What looks like a mistake, one line each: the source's notes on its files, classes without
/// images or with few, and a set without a test part.
std::vector<std::string> warnings_of(const DataSettings& settings, const Split& split);

}  // namespace limbeck::data
