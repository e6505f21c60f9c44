#include "kd/regressor.h"

namespace limbeck::kd {
namespace {

std::unique_ptr<nn::Module> convolution(const std::string& method, const Shape& student,
                                        const Shape& teacher) {
  const int64_t s = student[1], t = teacher[1], in = student[3], out = teacher[3];
  using Config = nn::Conv2dConfig;
  if (s == 2 * t)
    return std::make_unique<nn::Conv2d>(
        in, out, Config{.kernel = 3, .stride = 2, .padding = 1, .bias = true});
  if (2 * s == t)
    return std::make_unique<nn::ConvTranspose2d>(
        in, out, Config{.kernel = 4, .stride = 2, .padding = 1, .bias = true});
  LIMBECK_CHECK(s >= t, method, ": no regressor from maps of ", s, " x ", s,
                " pixels to the teacher's ", t, " x ", t);
  return std::make_unique<nn::Conv2d>(in, out, Config{.kernel = 1 + s - t, .bias = true});
}

}  // namespace

Regressor::Regressor(const std::string& method, const Shape& student, const Shape& teacher,
                     bool relu)
    : norm_(teacher[3]), relu_(relu) {
  conv_ = &own("conv", convolution(method, student, teacher));
  add("bn", norm_);
}

Variable Regressor::forward(const Variable& x) { return norm_.apply((*conv_)(x), relu_, {}); }

}  // namespace limbeck::kd
