// .npz: a zip archive of .npy files, as numpy.savez and savez_compressed write them.
#include "data/arrays.h"
#include "data/source.h"
#include "data/zip.h"

namespace limbeck::data {
namespace {

class NpzFile : public ArrayFile {
 public:
  explicit NpzFile(const std::string& path) : path_(path), archive_(path) {}
  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const ZipEntry& e : archive_.entries())
      if (e.name.ends_with(".npy")) names.push_back(e.name.substr(0, e.name.size() - 4));
    return names;
  }
  Tensor read(const std::string& name) const override {
    for (const ZipEntry& e : archive_.entries())
      if (e.name == name + ".npy") return parse_npy(archive_.read(e), path_ + ": array " + name);
    fail(path_, ": array ", name, " is missing");
  }

 private:
  std::string path_;
  ZipArchive archive_;
};

const RegisterSource source_of_npz(
    {.name = "npz",
     .help = "NumPy archive of images and labels",
     .files = "NumPy's .npz with images_train and labels_train, x_train and y_train, or images and "
              "labels",
     .one_file = true,
     .settings = ArraySettings{},
     .check =
         [](const AnySettings& own, const DataSettings& common) {
           layout_of(NpzFile(common.path), own.as<ArraySettings>(), "data.npz");
         },
     .load =
         [](const AnySettings& own, const DataSettings& common) {
           return read_arrays(NpzFile(common.path), own.as<ArraySettings>(), "data.npz", false);
         }});

}  // namespace
}  // namespace limbeck::data
