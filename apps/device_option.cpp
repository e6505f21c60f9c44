#include "apps/device_option.h"

#include "tensor/device.h"

namespace limbeck {

std::shared_ptr<std::string> add_device_option(CommandLine& app) {
  auto name = std::make_shared<std::string>("cpu");
  app.add_option("--device", *name, "cpu, cuda or cuda:N").show_default();
  return name;
}

Device device_of(const std::string& name) {
  const Device device = parse_device(name);
  if (device != cpu) backend(device).describe(device.index);
  return device;
}

}  // namespace limbeck
