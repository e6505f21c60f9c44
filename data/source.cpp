#include "data/source.h"

#include <algorithm>
#include <filesystem>

#include "data/readers.h"
#include "data/resize.h"

namespace limbeck::data {
namespace {

// A function's static, because the registrars of other files run in any order before main().
std::vector<DataSource>& sources() {
  static std::vector<DataSource> list;
  return list;
}

std::vector<std::string> source_names() {
  std::vector<std::string> names;
  for (const DataSource& s : sources()) names.push_back(s.name);
  return names;
}

/// Whether the source reads any; true for an unknown one.
bool has_files(const std::string& kind) {
  for (const DataSource& s : sources())
    if (s.name == kind) return !s.files.empty();
  return true;
}

/// The place of the files says nothing about them: kd/workflow.h adds what was read.
void common_fields(DataSettings& s, FieldVisitor& v) {
  std::string names;
  for (const std::string& name : source_names()) names += (names.empty() ? "" : " | ") + name;
  const bool reads_files = has_files(s.kind);
  v("kind", s.kind, names);
  v("path", s.path, "folder of the data files, or the one file, of sources that read files",
    Influence::none);
  v("train_per_class", s.train_per_class, "labelled training images per class, 0: all");
  v("test_per_class", s.test_per_class, "test images per class, 0: all");
  v("image_size", s.image_size, "side of the images in pixels; smaller ones get a black frame");
  v("resize", s.resize,
    "images of another size are scaled: stretch (both sides) | crop (the middle square) | fit (in "
    "a black frame); empty: not",
    influence_if(reads_files));
  v("seed", s.seed, "seed of the draw and of images that a source makes",
    influence_if(!reads_files || s.train_per_class > 0 || s.test_per_class > 0));
  v("compact_labels", s.compact_labels,
    "number the classes that have training images, in their order, and forget the others",
    influence_if(s.compact_labels));
  v("max_pixels", s.max_pixels, "an image file of more pixels is refused before it is decoded",
    Influence::none);
}

/// The shared settings and the section of one source.
struct ChosenSettings {
  DataSettings all;
  void fields(FieldVisitor& v) {
    const DataSource& source = find_source(all.kind);
    common_fields(all, v);
    v(source.name, all.sources.at(source.name), source.help);
  }
};

void check_path(const DataSource& source, const std::string& path) {
  const char* wanted = source.one_file ? "a file: " : "a folder with ";
  LIMBECK_CHECK(!path.empty(), "data.path: source ", source.name, " needs ", wanted, source.files);
  std::error_code error;
  const bool folder = std::filesystem::is_directory(path, error),
             exists = std::filesystem::exists(path, error);
  const std::string whole = std::filesystem::absolute(path, error).string();
  LIMBECK_CHECK(source.one_file ? exists && !folder : folder, "data.path: ", whole, ": expected ",
                wanted, source.files, ", found ",
                folder   ? "a folder"
                : exists ? "a file"
                         : "none");
  if (source.one_file) return check_readable(path);
  std::filesystem::directory_iterator(path, error);
  LIMBECK_CHECK(!error, "data.path: ", path, ": cannot be read: ", error.message());
}

}  // namespace

NamedSettings source_settings() {
  NamedSettings all;
  for (const DataSource& s : sources()) all.entries[s.name] = {s.help, s.settings};
  return all;
}

void DataSettings::fields(FieldVisitor& v) {
  common_fields(*this, v);
  sources.fields(v);
}

std::string DataSettings::text() const {
  ChosenSettings chosen{*this};
  SettingsText text;
  text("data", chosen, "");
  return text.text();
}

RegisterSource::RegisterSource(DataSource source) {
  auto& list = sources();
  const auto place =
      std::lower_bound(list.begin(), list.end(), source.name,
                       [](const DataSource& s, const std::string& name) { return s.name < name; });
  LIMBECK_CHECK(place == list.end() || place->name != source.name,
                "two data sources are registered as ", source.name);
  list.insert(place, std::move(source));
}

const std::vector<DataSource>& all_sources() { return sources(); }

const DataSource& find_source(const std::string& name) {
  for (const DataSource& s : sources())
    if (s.name == name) return s;
  fail("data.kind: unknown source '", name, "'",
       did_you_mean(name, source_names(), "; `limbeck data kinds` lists them"));
}

void check(const DataSettings& s) {
  const DataSource& source = find_source(s.kind);
  LIMBECK_CHECK(s.image_size > 0 && s.image_size <= 4096,
                "data.image_size: expected 1..4096, found ", s.image_size);
  LIMBECK_CHECK(s.train_per_class >= 0, "data.train_per_class: expected 0 or more, found ",
                s.train_per_class);
  LIMBECK_CHECK(s.test_per_class >= 0, "data.test_per_class: expected 0 or more, found ",
                s.test_per_class);
  LIMBECK_CHECK(s.max_pixels > 0, "data.max_pixels: expected 1 or more, found ", s.max_pixels);
  parse_resize(s.resize);
  if (!source.files.empty()) check_path(source, s.path);
  if (source.check) source.check(s.sources.at(s.kind), s);
}

}  // namespace limbeck::data
