// container: a data set as safetensors, with the arrays of the official HDF5 layout and the task in
// the metadata; `limbeck data convert` writes it. The fake sets of a run are such files too.
#include "data/arrays.h"
#include "data/source.h"

namespace limbeck::data {
namespace {

class SafetensorsFile : public ArrayFile {
 public:
  explicit SafetensorsFile(const std::string& path) : path_(path), file_(read_safetensors(path)) {}
  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& entry : file_.tensors) names.push_back(entry.first);
    return names;
  }
  Tensor read(const std::string& name) const override { return file_.get(name); }
  std::map<std::string, std::string> metadata() const override { return file_.metadata; }

 private:
  std::string path_;
  TensorFile file_;
};

const RegisterSource source_of_containers(
    {.name = "container",
     .help = "safetensors file of images and labels, from `limbeck data convert`",
     .files = "safetensors with images_train, labels_train, ...",
     .one_file = true,
     .settings = ArraySettings{},
     .check =
         [](const AnySettings& own, const DataSettings& common) {
           layout_of(SafetensorsFile(common.path), own.as<ArraySettings>(), "data.container");
         },
     .load =
         [](const AnySettings& own, const DataSettings& common) {
           return read_arrays(SafetensorsFile(common.path), own.as<ArraySettings>(),
                              "data.container", false);
         },
     .declares_classes = true});

}  // namespace
}  // namespace limbeck::data
