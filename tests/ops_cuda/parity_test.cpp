// The original networks' numbers against the device cuda itself: the fixtures of tests/data, as
// `limbeck parity --device cuda` runs them. The small ones here; every fixture takes minutes on the
// simulated device.
#include <gtest/gtest.h>

#include "nn/parity.h"

namespace limbeck {
namespace {

constexpr Device cuda{DeviceKind::cuda, 0};

struct Fixture {
  std::string path;
  DType dtype;
};

class CudaParity : public testing::TestWithParam<Fixture> {};

TEST_P(CudaParity, MatchesPyTorch) {
  const std::vector<nn::ParityReport> reports =
      nn::run_parity("tests/data/fixtures/" + GetParam().path + ".json", GetParam().dtype, cuda);
  ASSERT_FALSE(reports.empty());
  for (const nn::ParityReport& report : reports)
    for (const nn::ParityLine& line : report.lines)
      EXPECT_TRUE(line.ok()) << report.name << ": " << line.group << ": " << line.quantity << ": "
                             << line.detail;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, CudaParity,
                         testing::Values(Fixture{"cifar100/resnet8", DType::f64},
                                         Fixture{"cifar100/resnet8", DType::f32},
                                         Fixture{"cifar100/MobileNetV2", DType::f64}),
                         [](const auto& info) {
                           return info.param.path.substr(info.param.path.find('/') + 1) + "_" +
                                  name_of(info.param.dtype);
                         });

}  // namespace
}  // namespace limbeck
