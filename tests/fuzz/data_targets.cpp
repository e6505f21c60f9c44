// Image files and data sets: IDX, CIFAR, folders with labels.csv, .npz, containers, sets of fakes.
#include "data/readers.h"
#include "data/source.h"
#include "kd/fake_data.h"
#include "kd/response_fakes.h"
#include "tensor/safetensors.h"
#include "tests/data/bytes.h"
#include "tests/data/npz_bytes.h"
#include "tests/fuzz/target.h"

namespace limbeck::fuzz {
namespace {

using test::big_endian;
using test::little_endian;

Tensor picture(int64_t channels = 3) {
  Tensor image = Tensor::empty({4, 5, channels}, DType::u8);
  uint8_t* p = image.data<uint8_t>();
  for (int64_t i = 0; i < image.numel(); ++i) p[i] = static_cast<uint8_t>(13 * i);
  return image;
}

/// 2 x 2 pixels of 24 bits.
std::string bmp() {
  return "BM" + little_endian(70) + little_endian(0) + little_endian(54) + little_endian(40) +
         little_endian(2) + little_endian(2) + std::string("\x01\x00\x18\x00", 4) +
         little_endian(0) + little_endian(16) + std::string(16, '\0') + std::string(16, '\x55');
}

auto wrote(const std::string& bytes) {
  return [bytes](const std::string& f) { write_file_atomically(f + "/input", bytes); };
}

auto jpeg(const std::string& name) {
  return [name](const std::string& f) {
    wrote(test::from_hex("tests/data/fixtures/images/" + name + ".jpg.hex"))(f);
  };
}

const RegisterTarget image({
    .name = "image",
    .seeds = {[](const std::string& f) { data::write_png(f + "/input", picture()); },
              [](const std::string& f) { data::write_png(f + "/input", picture(1)); }, wrote(bmp()),
              wrote("P6 2 2 255\n" + std::string(12, '\x40')), wrote("P5 3 1 255\nabc"),
              jpeg("progressive"), jpeg("restarts")},
    .read = [](const std::string& f) { data::read_image(f + "/input"); },
    .refused = {"", "P6 9999999 9999999 255\n", "P6 64 64 255\nshort",
                "#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 4\n",
                std::string("\0\0\x02\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x20\0", 18),
                "GIF89a\x01\0\x01\0"},
});

const RegisterTarget png({
    .name = "png",
    .seeds = {[](const std::string& f) { data::write_png(f + "/input", picture()); },
              [](const std::string& f) { data::write_png(f + "/input", picture(1)); }},
    .read = [](const std::string& f) { data::read_image(f + "/input"); },
    .refused = {"\x89PNG\r\n\x1a\n"},
    .checksum = true,
});

std::string idx_labels() { return big_endian(2049) + big_endian(2) + std::string("\0\1", 2); }
std::string idx_images() {
  return big_endian(2051) + big_endian(2) + big_endian(2) + big_endian(2) + std::string(8, '\x30');
}
std::string gzipped(const std::string& bytes) { return test::deflated(bytes, test::Packing::gzip); }

void write_idx(const std::string& f, const std::string& images, const std::string& suffix) {
  for (const char* part : {"train", "t10k"}) {
    write_file_atomically(cat(f, "/", part, "-images-idx3-ubyte", part[1] == 'r' ? suffix : ""),
                          part[1] == 'r' ? images : idx_images());
    write_file_atomically(cat(f, "/", part, "-labels-idx1-ubyte"), idx_labels());
  }
}

const RegisterTarget idx({
    .name = "idx",
    .file = "train-images-idx3-ubyte",
    .seeds = {[](const std::string& f) { write_idx(f, idx_images(), ""); }},
    .read = [](const std::string& f) { data::read_idx(f); },
    .refused = {"", big_endian(2051) + std::string(12, '\xff'),
                big_endian(2051) + big_endian(0x40000000) + big_endian(0x40000000) +
                    big_endian(16)},
});

const RegisterTarget idx_gz({
    .name = "idx_gz",
    .file = "train-images-idx3-ubyte.gz",
    .seeds = {[](const std::string& f) { write_idx(f, gzipped(idx_images()), ".gz"); }},
    .read = [](const std::string& f) { data::read_idx(f); },
    .refused = {"", "\x1f\x8b", gzipped(idx_images() + std::string(1 << 24, '\0'))},
});

const RegisterTarget cifar({
    .name = "cifar",
    .seeds = {wrote(std::string(3073, '\1') + std::string(3073, '\2'))},
    .read = [](const std::string& f) { data::read_cifar_file(f + "/input", 10, 1); },
    .refused = {"", std::string(3072, '\1'), std::string(3073, '\xff')},
    .parts = true,
});

void write_folder(const std::string& f, const std::string& csv) {
  data::write_png(f + "/a.png", picture());
  data::write_png(f + "/b.png", picture());
  write_file_atomically(f + "/labels.csv", csv);
}

const RegisterTarget labels({
    .name = "labels",
    .file = "labels.csv",
    .seeds = {
        [](const std::string& f) {
          write_folder(f, "file,label,split\na.png,0,train\nb.png,1,test\na.png,1,train\n");
        },
        [](const std::string& f) { write_folder(f, "file,angle\na.png,0.5\n\"b.png\",-1e-3\n"); }},
    .read = [](const std::string& f) { data::read_folder(f); },
    .refused = {"", "file,label\n", "file,label\na.png\n", "file,label\n\"a.png,0\n",
                "file,label\n../../../../etc/passwd,0\n", "file,angle\na.png,nan\n"},
    .parts = true,
});

auto npz_seed(bool packed) {
  return [packed](const std::string& f) {
    const std::vector<uint8_t> pixels(2 * 4 * 4 * 3, 7);
    write_file_atomically(
        f + "/input.npz",
        test::npz_bytes({{"x_train", test::npy_bytes<uint8_t>("|u1", "2, 4, 4, 3", pixels)},
                         {"y_train", test::npy_bytes<int64_t>("<i8", "2,", {0, 1})}},
                        packed));
  };
}

const RegisterTarget npz({
    .name = "npz",
    .file = "input.npz",
    .seeds = {npz_seed(false), npz_seed(true)},
    .read =
        [](const std::string& f) {
          data::DataSettings s;
          s.kind = "npz", s.path = f + "/input.npz";
          data::load_whole(s);
        },
    .refused = {"", "PK\5\6", std::string("PK\5\6") + std::string(18, '\xff')},
});

TensorFile set_of(const char* images, const char* labels, const Tensor& y) {
  TensorFile file;
  file.add(images, Tensor::zeros({2, 3, 4, 4}, DType::u8));
  file.add(labels, y);
  return file;
}

const RegisterTarget container({
    .name = "container",
    .file = "input.safetensors",
    .seeds = {[](const std::string& f) {
      TensorFile file = set_of("images_train", "labels_train", Tensor::of<int64_t>({0, 1}));
      file.metadata["classes"] = "2";
      file.metadata["task"] = "classification";
      write_safetensors(f + "/input.safetensors", file);
    }},
    .read =
        [](const std::string& f) {
          data::DataSettings s;
          s.kind = "container", s.path = f + "/input.safetensors";
          data::load_whole(s);
        },
});

const RegisterTarget fakes({
    .name = "fakes",
    .seeds = {[](const std::string& f) {
      write_safetensors(f + "/input",
                        set_of("fake_images", "fake_labels", Tensor::of<int64_t>({0, 1})));
    }},
    .read = [](const std::string& f) { kd::load_fake_data(f + "/input", 2); },
});

const RegisterTarget response_fakes({
    .name = "response_fakes",
    .seeds = {[](const std::string& f) {
      write_safetensors(f + "/input",
                        set_of("fake_images", "fake_labels", Tensor::of<float>({0.5f, 0.25f})));
    }},
    .read = [](const std::string& f) { kd::load_response_fakes(f + "/input", {}); },
});

}  // namespace
}  // namespace limbeck::fuzz
