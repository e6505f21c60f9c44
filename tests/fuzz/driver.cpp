// The fuzzer's entry (libFuzzer). LIMBECK_FUZZ names the target; a first argument --seeds DIR
// writes its valid inputs and ends.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "tensor/safetensors.h"
#include "tests/fuzz/target.h"

namespace {

using namespace limbeck;
namespace fs = std::filesystem;

const fuzz::Target* target = nullptr;
std::string folder;

void write_seeds(const std::string& directory) {
  fs::create_directories(directory);
  int number = 0;
  for (const auto& seed : target->seeds) {
    seed(folder);
    write_file_atomically(cat(directory, "/seed-", number++),
                          read_file(folder + "/" + target->file));
  }
  for (const std::string& bytes : target->refused)
    write_file_atomically(cat(directory, "/refused-", number++), bytes);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  const char* const name = std::getenv("LIMBECK_FUZZ");
  if (!name) {
    for (const fuzz::Target& t : fuzz::targets()) std::printf("%s\n", t.name.c_str());
    std::exit(0);
  }
  target = &fuzz::find_target(name);
  std::string pattern = (fs::temp_directory_path() / "limbeck-fuzz-XXXXXX").string();
  if (!mkdtemp(pattern.data())) std::abort();
  folder = pattern;
  std::atexit([] { fs::remove_all(folder); });
  target->seeds.at(0)(folder);
  if (*argc > 2 && std::string((*argv)[1]) == "--seeds") {
    write_seeds((*argv)[2]);
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::feed(*target, folder, {reinterpret_cast<const char*>(data), size});
  return 0;
}
