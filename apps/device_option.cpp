#include "apps/device_option.h"

#include "ops/execution.h"
#include "tensor/device.h"
#include "tensor/error.h"

namespace limbeck {

std::shared_ptr<DeviceOptions> add_device_options(CommandLine& app) {
  auto o = std::make_shared<DeviceOptions>();
  app.add_option("--device", o->device, "cpu, cuda or cuda:N").show_default();
  app.add_option("--precision", o->precision,
                 "f32, or on cuda tf32 (factors of products) or bf16 (also the activations in "
                 "memory); weights and sums are f32 always")
      .show_default();
  return o;
}

Device chosen_device(const DeviceOptions& o) {
  const Device device = parse_device(o.device);
  const Precision precision = parse_precision(o.precision);
  if (device == cpu) {
    LIMBECK_CHECK(precision == Precision::f32, "--precision ", o.precision,
                  ": the CPU computes in f32");
    return device;
  }
  backend(device).describe(device.index);
  Execution settings = execution();
  settings.products = precision;
  settings.activations = precision == Precision::bf16 ? DType::bf16 : DType::f32;
  set_execution(settings);
  return device;
}

}  // namespace limbeck
