// Every reader on its valid inputs, on inputs that once broke it, and on damaged ones: truncated at
// 50 places, which it refuses unless they consist of lines or records, and with each of 200 flipped
// bits, which it refuses where the format has a checksum. What else happens (another exception, a
// crash, a report of the sanitizers) fails. tests/e2e/readers.sh runs this within 1 GB and 5
// seconds a reader, `make memcheck` under valgrind. LIMBECK_CORPUS: a folder of inputs that the
// fuzzer collected, fed too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tensor/error.h"
#include "tensor/random.h"
#include "tensor/safetensors.h"
#include "tests/data/temporary.h"
#include "tests/fuzz/target.h"

namespace limbeck::fuzz {
namespace {

/// What the fuzzer collected for a reader below LIMBECK_CORPUS, where that is set.
std::vector<std::string> collected(const std::string& reader) {
  std::vector<std::string> files;
  const char* const corpus = std::getenv("LIMBECK_CORPUS");
  if (!corpus) return files;
  for (const auto& file : std::filesystem::directory_iterator(cat(corpus, "/", reader)))
    files.push_back(file.path().string());
  return files;
}

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
    for (size_t i = 0; i < 50; ++i) {
      const std::string begin = whole.substr(0, std::max<size_t>(1, i * whole.size() / 50));
      const Answer answer = feed(GetParam(), folder.path(), begin);
      if (!GetParam().parts) {
        EXPECT_EQ(answer, Answer::refused) << "cut to " << begin.size() << " of " << whole.size();
      }
    }
    Stream draw(1);
    for (int i = 0; i < 200; ++i) {
      std::string damaged = whole;
      const auto bit = draw.below(static_cast<int64_t>(8 * whole.size()));
      char& byte = damaged[static_cast<size_t>(bit / 8)];
      byte = static_cast<char>(byte ^ (1 << (bit % 8)));
      const Answer answer = feed(GetParam(), folder.path(), damaged);
      if (GetParam().checksum) {
        EXPECT_EQ(answer, Answer::refused) << "bit " << bit;
      }
    }
    for (const std::string& input : collected(GetParam().name))
      feed(GetParam(), folder.path(), read_file(input));
  }
}

INSTANTIATE_TEST_SUITE_P(Fuzz, Reader, ::testing::ValuesIn(targets()),
                         [](const auto& p) { return p.param.name; });

}  // namespace
}  // namespace limbeck::fuzz
