#include "gan/balanced_pick.h"

#include <map>

namespace limbeck::gan {

BalancedPick::BalancedPick(std::span<const float> responses, int64_t batch, const Stream& stream)
    : batch_(batch), stream_(stream) {
  LIMBECK_CHECK(!responses.empty() && batch > 0,
                "balanced batches: expected responses and a positive batch, found ",
                responses.size(), " and ", batch);
  std::map<float, std::vector<int64_t>> rows;
  for (size_t i = 0; i < responses.size(); ++i)
    rows[responses[i]].push_back(static_cast<int64_t>(i));
  for (auto& [response, list] : rows) rows_of_.push_back(std::move(list));
}

std::vector<int64_t> BalancedPick::operator()(int64_t step) const {
  Stream draw = stream_.fork("batch", static_cast<uint64_t>(step));
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < batch_; ++i) {
    const auto& of_response =
        rows_of_[static_cast<size_t>(draw.below(static_cast<int64_t>(rows_of_.size())))];
    rows.push_back(
        of_response[static_cast<size_t>(draw.below(static_cast<int64_t>(of_response.size())))]);
  }
  return rows;
}

}  // namespace limbeck::gan
