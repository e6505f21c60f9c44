#include "apps/data_convert.h"

#include <cstdio>
#include <memory>

#include "apps/config.h"
#include "apps/data_file.h"
#include "data/source.h"

namespace limbeck {
namespace {

struct ConvertOptions {
  std::string in, out, kind;
  std::vector<std::string> overrides;
  bool fake = false;
  int64_t size = 64;
};

/// The source that the name of IN speaks of: its own name where it needs no files, or an ending.
std::string kind_of(const std::string& in) {
  for (const data::DataSource& source : data::all_sources())
    if (source.files.empty() && source.name == in) return in;
  if (is_hdf5_name(in)) return "hdf5";
  if (in.ends_with(".npz")) return "npz";
  if (in.ends_with(".safetensors")) return "container";
  fail(in,
       ": expected a name that ends in .h5, .hdf5, .npz or .safetensors; --kind says what else "
       "it is");
}

void convert_data(const ConvertOptions& o) {
  expect_data_file_name(o.out);
  data::DataSettings settings;
  settings.kind = o.kind.empty() ? kind_of(o.in) : o.kind;
  settings.path = o.in;
  settings.image_size = o.size;
  const Settings list = list_settings(settings);
  for (const std::string& assignment : o.overrides) set_override(list, assignment);
  const data::Split split = data::load_whole(settings);
  write_data_file(o.out, split, o.fake);
  std::printf("%s: %lld and %lld images of %lld x %lld\n", o.out.c_str(),
              static_cast<long long>(split.train.size()), static_cast<long long>(split.test.size()),
              static_cast<long long>(split.train.height()),
              static_cast<long long>(split.train.width()));
}

}  // namespace

void add_data_convert(CommandLine& app) {
  CommandLine convert = app.add_subcommand(
      "convert", "write a data set as one file, safetensors (.safetensors) or HDF5 (.h5)");
  auto o = std::make_shared<ConvertOptions>();
  convert
      .add_option("in", o->in,
                  "file of the data set, a folder with --kind, or a source without files: shapes")
      .required()
      .value_name("IN");
  convert.add_option("out", o->out, "file to write: .safetensors, .h5, .hdf5")
      .required()
      .value_name("OUT");
  convert.add_option("--kind", o->kind,
                     "source of IN; otherwise as its name ends: .h5 hdf5, .npz npz, .safetensors "
                     "container");
  convert
      .add_option("--set", o->overrides,
                  "key=value of [data], as in --set hdf5.task=classification; may be repeated")
      .value_name("KEY=VALUE")
      .one_value_each();
  convert
      .add_option("--size", o->size,
                  "image size of a source that makes its images, and of --set resize=...")
      .show_default();
  convert.add_flag("--fake", o->fake, "name the arrays fake_images and fake_labels");
  convert.callback([o] { convert_data(*o); });
}

}  // namespace limbeck
