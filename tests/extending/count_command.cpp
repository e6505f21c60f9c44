// limbeck count: the number of weights in a safetensors file.
#include <cstdio>

#include "apps/command.h"
#include "tensor/safetensors.h"

namespace limbeck::count_app {
namespace {

const RegisterCommand command({"count", "count the weights of a file", [](CommandLine& app) {
                                 auto file = std::make_shared<std::string>();
                                 app.add_option("file", *file, "safetensors file").required();
                                 app.callback([file] {
                                   int64_t count = 0;
                                   for (const auto& [name, tensor] :
                                        read_safetensors(*file).tensors)
                                     count += tensor.numel();
                                   std::printf("%lld\n", static_cast<long long>(count));
                                 });
                               }});

}  // namespace
}  // namespace limbeck::count_app
