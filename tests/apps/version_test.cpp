#include "apps/version.h"

#include <gtest/gtest.h>

namespace limbeck {
namespace {

TEST(Version, NamesTheBackendsOfThisBuild) {
  EXPECT_NE(version_text().find("\nbackends: reference, cpu\n"), std::string::npos)
      << version_text();
}

}  // namespace
}  // namespace limbeck
