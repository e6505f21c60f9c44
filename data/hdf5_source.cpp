// hdf5: the official files of cGAN-KD and CcGAN (Steering Angle, UTKFace, RC-49).
#include "data/hdf5.h"
#include "data/source.h"

namespace limbeck::data {
namespace {

const RegisterSource source_of_hdf5(
    {.name = "hdf5",
     .help = "HDF5 file of images and labels, as the official regression sets are",
     .files = "HDF5 with images_train and labels_train, images and labels, or fake_images and "
              "fake_labels",
     .one_file = true,
     .settings = ArraySettings{},
     .check =
         [](const AnySettings& own, const DataSettings& common) {
           layout_of(*open_hdf5(common.path), own.as<ArraySettings>(), "data.hdf5");
         },
     .load =
         [](const AnySettings& own, const DataSettings& common) {
           return read_arrays(*open_hdf5(common.path), own.as<ArraySettings>(), "data.hdf5", true);
         }});

}  // namespace
}  // namespace limbeck::data
