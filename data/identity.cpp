#include "data/identity.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include "tensor/checksum.h"
#include "tensor/error.h"

namespace limbeck::data {
namespace {

namespace fs = std::filesystem;

constexpr time_t fresh_seconds = 2;  // the coarsest time stamps of file systems

void add(Checksum& sum, const Dataset& d) {
  sum.add(d.images).add(d.labels).add(d.targets);
  sum.add(cat(d.classes, " ", joined(d.class_names)));
  const ResponseScale& s = d.scale;
  const double interval[] = {s.low, s.high};
  sum.add(std::string_view(reinterpret_cast<const char*>(interval), sizeof interval));
  sum.add(cat(s.unit, " ", s.wraps, s.truncates));
}

void add(FilesState& state, const std::string& path, const std::string& name) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return;
  state.text +=
      cat(name, " ", info.st_size, " ", info.st_ino, " ", info.st_mtim.tv_sec, ".",
          info.st_mtim.tv_nsec, " ", info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec, "\n");
  if (std::max(info.st_mtim.tv_sec, info.st_ctim.tv_sec) + fresh_seconds > std::time(nullptr))
    state.fresh = true;
}

}  // namespace

std::string identity_of(const Split& split) {
  Checksum sum;
  add(sum, split.train);
  add(sum, split.test);
  return cat(split.train.size(), " + ", split.test.size(), " images, ", sum.text());
}

std::string identity_of_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  LIMBECK_CHECK(file, path, ": cannot be read");
  Checksum sum;
  std::string block(1 << 20, '\0');
  uint64_t size = 0;
  while (const size_t n = std::fread(block.data(), 1, block.size(), file.get())) {
    sum.add(std::string_view(block.data(), n));
    size += n;
  }
  LIMBECK_CHECK(std::ferror(file.get()) == 0, path, ": cannot be read");
  return cat(size, " bytes, ", sum.text());
}

FilesState state_of(const std::string& path) {
  std::error_code error;
  const fs::path place = fs::canonical(path, error);
  FilesState state{place.string() + "\n"};
  if (!fs::is_directory(place, error)) {
    add(state, path, "");
    return state;
  }
  std::vector<std::string> names;
  for (fs::recursive_directory_iterator it(place,
                                           fs::directory_options::follow_directory_symlink |
                                               fs::directory_options::skip_permission_denied,
                                           error);
       !error && it != fs::recursive_directory_iterator(); it.increment(error))
    names.push_back(it->path().string());
  if (error) state.fresh = true;  // a loop of links, say: nothing to remember by
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) add(state, name, name.substr(place.string().size()));
  return state;
}

FilesState state_of(const DataSettings& s) {
  FilesState state = state_of(s.path);
  const DataSource& source = find_source(s.kind);
  if (source.elsewhere)
    for (const std::string& file : source.elsewhere(s.sources.at(s.kind), s))
      add(state, file, file);
  return state;
}

}  // namespace limbeck::data
