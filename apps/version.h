// What `limbeck --version` prints.
#pragma once
#include <string>

namespace limbeck {

/// Version, what computes (in the order of growing speed), and with how many threads.
std::string version_text();

}  // namespace limbeck
