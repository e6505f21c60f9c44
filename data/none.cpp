// The source of no images: for students that learn without data (kd/data_free/). It says what the
// images would be like, and nothing else.
#include "data/source.h"

namespace limbeck::data {
namespace {

struct NoneSettings {
  int64_t classes = 10, channels = 3;
  void fields(FieldVisitor& v) {
    v("classes", classes, "of the teacher");
    v("channels", channels, "of its images: 1 | 3");
  }
};

void check_none(const NoneSettings& s) {
  LIMBECK_CHECK(s.classes > 1, "data.none.classes: expected at least 2, found ", s.classes);
  LIMBECK_CHECK(s.channels == 1 || s.channels == 3, "data.none.channels: expected 1 or 3, found ",
                s.channels);
}

Dataset nothing(const NoneSettings& s, int64_t size) {
  Dataset d;
  d.images = Tensor::empty({0, size, size, s.channels}, DType::u8);
  d.labels = Tensor::empty({0}, DType::i64);
  d.classes = s.classes;
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
