// The test part of sets that have none of their own.
#include <algorithm>
#include <cmath>
#include <map>

#include "data/labels.h"

namespace limbeck::data {

void check_test_share(const FolderSettings& s, const std::string& origin, bool parts_given) {
  LIMBECK_CHECK(s.test_share >= 0 && s.test_share < 1,
                "data.folder.test_share: expected a number in [0, 1), found ", s.test_share);
  LIMBECK_CHECK(s.test_share == 0 || !parts_given, origin,
                ": says which images are the test part, which data.folder.test_share = ",
                s.test_share, " would draw");
}

void share_out(double share, int64_t seed, const std::vector<int64_t>& classes,
               std::vector<bool>& is_test) {
  std::map<int64_t, std::vector<size_t>> groups;
  for (size_t i = 0; i < classes.size(); ++i) groups[classes[i]].push_back(i);
  const Stream stream = Stream(static_cast<uint64_t>(seed)).fork("folder/test_share");
  for (const auto& [label, rows] : groups) {
    const auto n = static_cast<int64_t>(rows.size());
    const auto test = std::min<int64_t>(n - 1, std::llround(share * static_cast<double>(n)));
    Stream order = stream.fork("class", static_cast<uint64_t>(label));
    const std::vector<int64_t> shuffled = order.permutation(n);
    for (int64_t j = 0; j < test; ++j)
      is_test[rows[static_cast<size_t>(shuffled[static_cast<size_t>(j)])]] = true;
  }
}

}  // namespace limbeck::data
