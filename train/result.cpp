#include "train/result.h"

#include "tensor/error.h"

namespace limbeck::train {

const char* name_of(Better better) {
  switch (better) {
    case Better::higher: return "higher";
    case Better::lower: return "lower";
    case Better::neither: break;
  }
  return "neither";
}

Better parse_better(const std::string& name) {
  for (const Better b : {Better::neither, Better::higher, Better::lower})
    if (name == name_of(b)) return b;
  fail("expected neither, higher or lower, found '", name, "'");
}

}  // namespace limbeck::train
