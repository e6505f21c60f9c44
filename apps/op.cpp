// `limbeck op NAME --in case.safetensors --out result.safetensors [--grad]`: one operator on
// tensors from a file, for outside oracles.

#include "apps/command.h"
#include "apps/op_file.h"

namespace limbeck::op_app {
namespace {

struct Options {
  std::string op, in, out;
  OpFileOptions run;
};

void setup(CommandLine& app) {
  const auto o = std::make_shared<Options>();
  app.add_option("name", o->op, "operator, as `limbeck ops support` lists them").required();
  app.add_option("--in", o->in,
                 "safetensors file: inputs by name (NCHW, OIHW), attributes as JSON in the "
                 "metadata \"attrs\"")
      .required();
  app.add_option("--out", o->out, "safetensors file to write: outputs by name").required();
  app.add_flag(
      "--grad", o->run.gradients,
      "also write grad_<input>, for the cotangents grad_<output> of the file or fixed random ones");
  app.add_option("--kernel", o->run.kernel, "only this implementation, such as reference or cpu");
  app.callback([o] {
    o->run.source = o->in;
    write_safetensors(o->out, run_op_file(o->op, read_safetensors(o->in), o->run));
  });
}

const RegisterCommand command({"op", "run one operator on tensors from a file", setup});

}  // namespace
}  // namespace limbeck::op_app
