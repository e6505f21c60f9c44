// What a person should know of a data set before it is used.
#pragma once
#include <string>
#include <vector>

#include "apps/console.h"
#include "data/source.h"

namespace limbeck {

/// Images of each part and class, or the responses; warnings also where the console is quiet.
void print_data_summary(const data::DataSettings& settings, const data::Split& split,
                        Console& console);

}  // namespace limbeck
