// What nearly every file includes, for the precompiled header of the Makefile. Nothing includes
// this file by name.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "autograd/variable.h"
#include "ops/op.h"
