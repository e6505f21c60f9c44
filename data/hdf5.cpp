#include "data/hdf5.h"

#ifdef LIMBECK_HDF5

#include <hdf5.h>

#include <algorithm>
#include <filesystem>
#include <utility>

namespace limbeck::data {
namespace {

/// The attributes of the root that are read (tensors_of() in data/arrays.h).
constexpr const char* attribute_names[] = {"classes",          "class_names",   "response_low",
                                           "response_high",    "response_unit", "response_wraps",
                                           "response_truncate"};
constexpr hsize_t largest_ratio = 1032;  ///< of deflate, the filter that such files have

/// What the library said last about its own failure: the innermost message.
std::string library_message() {
  std::string text = "no reason given";
  const auto take = [](unsigned n, const H5E_error2_t* e, void* out) -> herr_t {
    if (n == 0 && e->desc) *static_cast<std::string*>(out) = e->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take, &text);
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// An identifier of the library with what closes it.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  /// Throws with `parts` and the library's reason when it is not valid.
  template <class... Parts>
  Handle(hid_t id, Close close, const Parts&... parts) : id_(id), close_(close) {
    if (id < 0) fail(parts..., ": ", library_message());
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  Close close_;
};

/// The library prints its errors unless told not to.
void be_quiet() { H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr); }

class Hdf5File : public ArrayFile {
 public:
  explicit Hdf5File(const std::string& path)
      : path_(path),
        bytes_(std::filesystem::file_size(path)),
        file_(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, path,
              ": expected an HDF5 file") {}
  const std::string& path() const override { return path_; }
  std::vector<std::string> names() const override;
  Tensor read(const std::string& name) const override;
  std::map<std::string, std::string> metadata() const override;

 private:
  Shape shape_of(hid_t set, const std::string& place) const;
  void check_storage(hid_t set, int64_t bytes, const std::string& place) const;
  std::string attribute(const char* name) const;

  std::string path_;
  uint64_t bytes_;
  Handle file_;
};

std::vector<std::string> Hdf5File::names() const {
  H5G_info_t info;
  LIMBECK_CHECK(H5Gget_info(file_, &info) >= 0, path_, ": damaged HDF5 file: ", library_message());
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const auto name_by = [&](char* out, size_t room) {
      return H5Lget_name_by_idx(file_, ".", H5_INDEX_NAME, H5_ITER_INC, i, out, room, H5P_DEFAULT);
    };
    const ssize_t length = name_by(nullptr, 0);
    LIMBECK_CHECK(length >= 0, path_, ": damaged HDF5 file: ", library_message());
    std::string name(static_cast<size_t>(length), '\0');
    name_by(name.data(), name.size() + 1);
    names.push_back(name);
  }
  return names;
}

Shape Hdf5File::shape_of(hid_t set, const std::string& place) const {
  const Handle space(H5Dget_space(set), H5Sclose, place);
  const int rank = H5Sget_simple_extent_ndims(space);
  LIMBECK_CHECK(rank >= 1 && rank <= 4, place, ": expected 1 to 4 dimensions, found ", rank);
  std::vector<hsize_t> sizes(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  std::vector<int64_t> signed_sizes;
  for (const hsize_t n : sizes) {
    LIMBECK_CHECK(n <= hsize_t{1} << 40, place, ": a size of ", n, " is too large");
    signed_sizes.push_back(static_cast<int64_t>(n));
  }
  try {
    return Shape(signed_sizes);
  } catch (const Error& e) {
    fail(place, ": ", e.what());
  }
}

void check_filters(hid_t plan, const std::string& place) {
  for (int i = 0; i < H5Pget_nfilters(plan); ++i) {
    char name[64] = "";
    size_t values = 0;
    unsigned flags = 0, features = 0;
    const H5Z_filter_t filter = H5Pget_filter2(plan, static_cast<unsigned>(i), &flags, &values,
                                               nullptr, sizeof name, name, &features);
    LIMBECK_CHECK(H5Zfilter_avail(filter) > 0, place, ": packed with filter ", filter, " ", name,
                  ", which the HDF5 library here does not have");
  }
}

/// A chunk larger than its array comes from a damaged header; the library would read beyond what it
/// unpacks.
void check_chunks(hid_t set, hid_t plan, const std::string& place) {
  if (H5Pget_layout(plan) != H5D_CHUNKED) return;
  const Handle space(H5Dget_space(set), H5Sclose, place);
  hsize_t chunk[H5S_MAX_RANK], size[H5S_MAX_RANK], most[H5S_MAX_RANK];
  const int rank = H5Sget_simple_extent_dims(space, size, most);
  LIMBECK_CHECK(H5Pget_chunk(plan, H5S_MAX_RANK, chunk) == rank, place, ": damaged chunk sizes");
  for (int i = 0; i < rank; ++i)
    LIMBECK_CHECK(chunk[i] <= size[i] || most[i] == H5S_UNLIMITED || chunk[i] <= most[i], place,
                  ": expected chunks of at most ", size[i], " in dimension ", i, ", found ",
                  chunk[i]);
}

/// The file has to hold the bytes: a damaged header must not ask for all memory. What lies in other
/// files is not followed.
void Hdf5File::check_storage(hid_t set, int64_t bytes, const std::string& place) const {
  const Handle plan(H5Dget_create_plist(set), H5Pclose, place);
  LIMBECK_CHECK(H5Pget_external_count(plan) == 0 && H5Pget_layout(plan) != H5D_VIRTUAL, place,
                ": its values lie in other files, which are not read");
  check_filters(plan, place);
  check_chunks(set, plan, place);
  const hsize_t stored = H5Dget_storage_size(set);
  const hsize_t ratio = H5Pget_nfilters(plan) > 0 ? largest_ratio : 1;
  LIMBECK_CHECK(stored <= bytes_, place, ": ", stored, " bytes in a file of ", bytes_,
                " (truncated?)");
  LIMBECK_CHECK(static_cast<hsize_t>(bytes) / ratio <= stored, place, ": expected ", bytes,
                " bytes, found ", stored, " stored");
}

Tensor Hdf5File::read(const std::string& name) const {
  const std::string place = path_ + ": array " + name;
  LIMBECK_CHECK(H5Lexists(file_, name.c_str(), H5P_DEFAULT) > 0, place, " is missing");
  H5L_info_t link;
  LIMBECK_CHECK(
      H5Lget_info(file_, name.c_str(), &link, H5P_DEFAULT) >= 0 && link.type != H5L_TYPE_EXTERNAL,
      place, ": lies in another file, which is not read");
  const Handle object(H5Oopen(file_, name.c_str(), H5P_DEFAULT), H5Oclose, place);
  LIMBECK_CHECK(H5Iget_type(object) == H5I_DATASET, place, ": expected a dataset, found a group");
  const Handle type(H5Dget_type(object), H5Tclose, place);
  const H5T_class_t kind = H5Tget_class(type);
  LIMBECK_CHECK(kind == H5T_INTEGER || kind == H5T_FLOAT, place,
                ": expected integers or real numbers, found another type");
  const Shape shape = shape_of(object, place);
  const auto element = static_cast<int64_t>(H5Tget_size(type));
  LIMBECK_CHECK(element == 1 || element == 2 || element == 4 || element == 8, place,
                ": expected numbers of 1, 2, 4 or 8 bytes, found ", element);
  check_storage(object, shape.numel() * element, place);
  const bool byte = kind == H5T_INTEGER && element == 1 && H5Tget_sign(type) == H5T_SGN_NONE;
  const Tensor t = Tensor::empty(shape, byte                  ? DType::u8
                                        : kind == H5T_INTEGER ? DType::i64
                                                              : DType::f64);
  const hid_t wanted = byte                  ? H5T_NATIVE_UINT8
                       : kind == H5T_INTEGER ? H5T_NATIVE_INT64
                                             : H5T_NATIVE_DOUBLE;
  if (t.numel() > 0)
    LIMBECK_CHECK(H5Dread(object, wanted, H5S_ALL, H5S_ALL, H5P_DEFAULT, t.raw()) >= 0, place,
                  ": cannot be read: ", library_message());
  return t;
}

std::string Hdf5File::attribute(const char* name) const {
  const std::string place = path_ + ": attribute " + name;
  const Handle attribute(H5Aopen(file_, name, H5P_DEFAULT), H5Aclose, place);
  const Handle type(H5Aget_type(attribute), H5Tclose, place);
  const Handle space(H5Aget_space(attribute), H5Sclose, place);
  // HDF5 1.10 follows the references of texts of variable length unchecked, into memory that a
  // damaged file names.
  LIMBECK_CHECK(H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                    H5Sget_simple_extent_npoints(space) == 1,
                place, ": expected one text of fixed length (h5py: numpy.bytes_)");
  std::string text(H5Tget_size(type), '\0');
  LIMBECK_CHECK(H5Aread(attribute, type, text.data()) >= 0, place,
                ": cannot be read: ", library_message());
  return text.substr(0, text.find('\0'));
}

std::map<std::string, std::string> Hdf5File::metadata() const {
  std::map<std::string, std::string> found;
  for (const char* name : attribute_names)
    if (H5Aexists(file_, name) > 0) found[name] = attribute(name);
  return found;
}

void write_dataset(hid_t file, const std::string& path, const std::string& name, const Tensor& t) {
  const std::string place = path + ": array " + name;
  const std::vector<int64_t> sizes = t.shape().vec();
  const std::vector<hsize_t> dimensions(sizes.begin(), sizes.end());
  const Handle space(
      H5Screate_simple(static_cast<int>(dimensions.size()), dimensions.data(), nullptr), H5Sclose,
      place);
  struct Types {
    hid_t stored, here;
  };
  const Types types = t.dtype() == DType::u8    ? Types{H5T_STD_U8LE, H5T_NATIVE_UINT8}
                      : t.dtype() == DType::i64 ? Types{H5T_STD_I64LE, H5T_NATIVE_INT64}
                      : t.dtype() == DType::f32 ? Types{H5T_IEEE_F64LE, H5T_NATIVE_FLOAT}
                                                : Types{-1, -1};
  LIMBECK_CHECK(types.stored >= 0, place, ": type ", t.dtype(), " cannot be written");
  const Handle set(
      H5Dcreate2(file, name.c_str(), types.stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      H5Dclose, place);
  LIMBECK_CHECK(
      t.numel() == 0 || H5Dwrite(set, types.here, H5S_ALL, H5S_ALL, H5P_DEFAULT, t.raw()) >= 0,
      place, ": cannot be written: ", library_message());
}

void write_attribute(hid_t file, const std::string& path, const std::string& name,
                     const std::string& text) {
  const std::string place = path + ": attribute " + name;
  const Handle type(H5Tcopy(H5T_C_S1), H5Tclose, place);
  H5Tset_size(type, text.size() + 1);
  H5Tset_cset(type, H5T_CSET_UTF8);
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose, place);
  const Handle attribute(H5Acreate2(file, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose, place);
  LIMBECK_CHECK(H5Awrite(attribute, type, text.c_str()) >= 0, place,
                ": cannot be written: ", library_message());
}

}  // namespace

bool hdf5_available() { return true; }

std::unique_ptr<ArrayFile> open_hdf5(const std::string& path) {
  be_quiet();
  return std::make_unique<Hdf5File>(path);
}

void write_hdf5(const std::string& path, const TensorFile& file) {
  be_quiet();
  // The file is made in memory, so that it is written as every other file is.
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, path);
  H5Pset_fapl_core(access, size_t{1} << 24, false);
  std::string bytes;
  {
    const Handle out(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose, path,
                     ": cannot make an HDF5 file");
    for (const auto& [name, tensor] : file.tensors) write_dataset(out, path, name, tensor.to(cpu));
    for (const auto& [key, value] : file.metadata) write_attribute(out, path, key, value);
    LIMBECK_CHECK(H5Fflush(out, H5F_SCOPE_GLOBAL) >= 0, path, ": ", library_message());
    const ssize_t size = H5Fget_file_image(out, nullptr, 0);
    LIMBECK_CHECK(size > 0, path, ": ", library_message());
    bytes.resize(static_cast<size_t>(size));
    LIMBECK_CHECK(H5Fget_file_image(out, bytes.data(), bytes.size()) == size, path, ": ",
                  library_message());
  }
  write_file_atomically(path, bytes);
}

}  // namespace limbeck::data

#else  // LIMBECK_HDF5

namespace limbeck::data {
namespace {

[[noreturn]] void refuse(const std::string& path) {
  fail(path,
       ": this build has no HDF5 library; install libhdf5-dev, say `make deps` and build "
       "again, or read a file that `limbeck data convert` made of it elsewhere (data.kind = "
       "\"container\")");
}

}  // namespace

bool hdf5_available() { return false; }
std::unique_ptr<ArrayFile> open_hdf5(const std::string& path) { refuse(path); }
void write_hdf5(const std::string& path, const TensorFile&) { refuse(path); }

}  // namespace limbeck::data

#endif  // LIMBECK_HDF5
