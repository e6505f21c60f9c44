// bars: a bright bar on dark ground; its angle in degrees is the response.
#include <cmath>

#include "data/source.h"

namespace limbeck::data {
namespace {

struct BarsSettings {
  int64_t train = 500, test = 200;
  double width = 0.2;
  void fields(FieldVisitor& v) {
    v("train", train, "training images before the draw");
    v("test", test, "test images before the draw");
    v("width", width, "width of the bar, of the image's side");
  }
};

Dataset bars(int64_t count, double width, int64_t size, const Stream& stream) {
  Dataset d;
  d.images = Tensor::empty({count, size, size, 1}, DType::u8);
  d.targets = Tensor::empty({count});
  d.scale = {0, 90, "degrees"};
  uint8_t* pixel = d.images.data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    const double angle = stream.fork("bar", static_cast<uint64_t>(i)).uniform(0, 90);
    const double c = std::cos(angle * M_PI / 180), s = std::sin(angle * M_PI / 180);
    d.targets.data<float>()[i] = static_cast<float>(angle);
    for (int64_t y = 0; y < size; ++y)
      for (int64_t x = 0; x < size; ++x) {
        const double u = (static_cast<double>(x) + 0.5) / static_cast<double>(size) - 0.5;
        const double v = (static_cast<double>(y) + 0.5) / static_cast<double>(size) - 0.5;
        *pixel++ = std::fabs(u * s + v * c) < width / 2 ? 255 : 0;
      }
  }
  return d;
}

void check_bars(const BarsSettings& s) {
  LIMBECK_CHECK(s.train > 0 && s.test > 0, "data.bars.train and test: expected at least 1, found ",
                s.train, " and ", s.test);
  LIMBECK_CHECK(s.width > 0 && s.width <= 1, "data.bars.width: expected a number in (0, 1], found ",
                s.width);
}

Split load_bars(const BarsSettings& s, const DataSettings& common) {
  const Stream stream(static_cast<uint64_t>(common.seed));
  return {bars(s.train, s.width, common.image_size, stream.fork("bars/train")),
          bars(s.test, s.width, common.image_size, stream.fork("bars/test"))};
}

const RegisterSource source(
    {.name = "bars",
     .help = "a bar in front of dark ground; the response is its angle",
     .settings = BarsSettings{},
     .check = [](const AnySettings& own,
                 const DataSettings&) { check_bars(own.as<BarsSettings>()); },
     .load = [](const AnySettings& own,
                const DataSettings& common) { return load_bars(own.as<BarsSettings>(), common); }});

}  // namespace
}  // namespace limbeck::data
