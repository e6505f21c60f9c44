#include "gan/response_ratio.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace limbeck::gan {

std::vector<int64_t> response_ratio_widths(const std::string& name, double scale) {
  LIMBECK_CHECK(scale > 0, "ratio.width: expected a positive number, found ", scale);
  LIMBECK_CHECK(name == "MLP3" || name == "MLP5",
                "ratio.net: for responses there are MLP3 and MLP5, found '", name, "'");
  std::vector<int64_t> widths = name == "MLP3" ? std::vector<int64_t>{512, 256, 128}
                                               : std::vector<int64_t>{1024, 512, 256, 128, 64};
  for (int64_t& w : widths)
    w = std::max<int64_t>(16, std::llround(static_cast<double>(w) * scale / 16) * 16);
  return widths;
}

// The original's narrowest layer has eight groups of eight channels.
ResponseRatioNet::ResponseRatioNet(ResponseEmbedding embed, int64_t embedding, int64_t feature,
                                   const std::vector<int64_t>& widths, double dropout)
    : embed_(std::move(embed)), main_(embedding, feature, widths, dropout, 8) {
  add("main", main_);
}

Variable ResponseRatioNet::ratio(const Variable& features, const Tensor& y) {
  LIMBECK_CHECK(is_floating(y.dtype()) && y.rank() == 1 && y.size(0) == features.size(0),
                "ratio net: expected one response for each of ", features.size(0),
                " features, found ", describe(y));
  return main_(Variable(embed_(y)), features);
}

}  // namespace limbeck::gan
