// Every reader on its valid inputs, on inputs that once broke it, and on damaged ones: truncated at
// 50 places, 200 flipped bits. It reads or refuses; what else happens (another exception, a crash,
// a report of the sanitizers) fails.
#include <gtest/gtest.h>

#include "tensor/error.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"
#include "tests/data/temporary.h"
#include "tests/fuzz/target.h"

namespace limbeck::fuzz {
namespace {

class Reader : public ::testing::TestWithParam<Target> {};

TEST_P(Reader, ReadsWhatIsValid) {
  for (const auto& seed : GetParam().seeds) {
    const test::TemporaryFolder folder;
    seed(folder.path());
    EXPECT_NO_THROW(GetParam().read(folder.path()));
  }
}

TEST_P(Reader, RefusesWhatOnceBrokeIt) {
  const test::TemporaryFolder folder;
  GetParam().seeds.at(0)(folder.path());
  for (const std::string& bytes : GetParam().refused)
    EXPECT_EQ(feed(GetParam(), folder.path(), bytes), Answer::refused)
        << bytes.size() << " bytes: " << bytes.substr(0, 60);
}

TEST_P(Reader, ReadsOrRefusesDamagedFiles) {
  for (const auto& seed : GetParam().seeds) {
    const test::TemporaryFolder folder;
    seed(folder.path());
    const std::string whole = read_file(folder.file(GetParam().file));
    for (size_t i = 0; i < 50; ++i)
      feed(GetParam(), folder.path(), whole.substr(0, i * whole.size() / 50));
    Stream draw(1);
    for (int i = 0; i < 200; ++i) {
      std::string damaged = whole;
      const auto bit = draw.below(static_cast<int64_t>(8 * whole.size()));
      char& byte = damaged[static_cast<size_t>(bit / 8)];
      byte = static_cast<char>(byte ^ (1 << (bit % 8)));
      feed(GetParam(), folder.path(), damaged);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Reader, ::testing::ValuesIn(targets()),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace limbeck::fuzz
