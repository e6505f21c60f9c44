// Without a GPU the tests that nvcc built do not start: one clear error instead of hundreds.
#include <gtest/gtest.h>

#include "tensor/error.h"
#include "tensor/tensor.h"

namespace limbeck {
namespace {

class Gpu : public testing::Environment {
 public:
  void SetUp() override {
    try {
      Tensor::zeros({1}, DType::f32, Device{DeviceKind::cuda, 0}).item();
    } catch (const Error& e) {
      FAIL() << e.what();
    }
  }
};
[[maybe_unused]] testing::Environment* const gpu = testing::AddGlobalTestEnvironment(new Gpu);

}  // namespace
}  // namespace limbeck
