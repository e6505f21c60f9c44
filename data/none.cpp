// The source of no images: for students that learn without data (kd/data_free/). It says what the
// images would be like, and nothing else.
#include "data/source.h"

namespace limbeck::data {
namespace {

struct NoneSettings {
  int64_t classes = 10, channels = 3;
  double low = 0, high = 1;
  std::string unit;
  void fields(FieldVisitor& v) {
    v("classes", classes, "of the teacher; 0: it regresses");
    v("channels", channels, "of its images: 1 | 3");
    const Influence of_responses = influence_if(classes == 0);
    v("response_low", low, "response that it says as 0", of_responses);
    v("response_high", high, "response that it says as 1", of_responses);
    v("response_unit", unit, "unit of the responses", of_responses);
  }
};

void check_none(const NoneSettings& s) {
  LIMBECK_CHECK(s.classes > 1 || s.classes == 0,
                "data.none.classes: expected at least 2, or 0 for responses, found ", s.classes);
  LIMBECK_CHECK(s.low < s.high, "data.none.response_low: expected less than response_high, found ",
                s.low, " and ", s.high);
  LIMBECK_CHECK(s.channels == 1 || s.channels == 3, "data.none.channels: expected 1 or 3, found ",
                s.channels);
}

Dataset nothing(const NoneSettings& s, int64_t size) {
  Dataset d;
  d.images = Tensor::empty({0, size, size, s.channels}, DType::u8);
  if (s.classes > 0) {
    d.labels = Tensor::empty({0}, DType::i64);
    d.classes = s.classes;
  } else {
    d.targets = Tensor::empty({0});
    d.scale = {.low = s.low, .high = s.high, .unit = s.unit};
  }
  return d;
}

const RegisterSource source_of_nothing(
    {.name = "none",
     .help = "no images, of data.image_size pixels: for data-free distillation",
     .settings = NoneSettings{},
     .check = [](const AnySettings& own,
                 const DataSettings&) { check_none(own.as<NoneSettings>()); },
     .load =
         [](const AnySettings& own, const DataSettings& common) {
           const NoneSettings& s = own.as<NoneSettings>();
           return Split{nothing(s, common.image_size), nothing(s, common.image_size)};
         },
     .declares_classes = true});

}  // namespace
}  // namespace limbeck::data
