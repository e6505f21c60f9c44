// Folders that are called as the class of the images in them, as torchvision's ImageFolder has
// them.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "data/image_file.h"
#include "data/labels.h"
#include "data/table.h"

namespace limbeck::data {
namespace {

namespace fs = std::filesystem;

bool is_hidden(const std::string& name) { return name.starts_with(".") || name == "__MACOSX"; }

/// Names of the folders in a folder; hidden ones do not count.
std::vector<std::string> folders_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    if (const std::string name = entry.path().filename(); entry.is_directory() && !is_hidden(name))
      names.push_back(name);
  return names;
}

/// Paths of the images below a folder, sorted; other files are left out, images of formats that
/// are not read refused.
std::vector<std::string> images_below(const std::string& folder) {
  std::vector<std::string> files;
  constexpr auto options = fs::directory_options::follow_directory_symlink;
  for (auto at = fs::recursive_directory_iterator(folder, options);
       at != fs::recursive_directory_iterator(); ++at) {
    const std::string name = at->path().filename();
    if (is_hidden(name)) {
      if (at->is_directory()) at.disable_recursion_pending();
      continue;
    }
    LIMBECK_CHECK(at->is_directory() || !is_foreign_image_name(name), at->path().string(),
                  ": expected PNG, JPEG, BMP or PNM; convert it to PNG, or take it away");
    if (!at->is_directory() && is_image_name(name)) files.push_back(at->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool whole_number(const std::string& name, int64_t& value) {
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data(), end, value);
  return error == std::errc() && stop == end && value >= 0;
}

/// In the order of their names; whole numbers by value.
void sort_classes(std::vector<std::string>& names) {
  int64_t value = 0;
  const bool numbers = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
    return whole_number(name, value);
  });
  std::sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    int64_t x = 0, y = 0;
    if (numbers) whole_number(a, x), whole_number(b, y);
    return x != y ? x < y : a < b;
  });
}

struct Parts {
  std::string train, test;  ///< folders of the class folders; test may be empty
};

/// The first of the names that is a folder of folders; empty: none.
std::string part_called(const std::string& folder, const std::vector<std::string>& names) {
  for (const std::string& wanted : names)
    for (const std::string& name : folders_in(folder))
      if (lower_case(name) == wanted && !folders_in(folder + "/" + name).empty())
        return folder + "/" + name;
  return "";
}

Parts parts_of(const std::string& folder, std::vector<std::string>& notes) {
  const std::string train = part_called(folder, {"train", "training"});
  if (train.empty()) return {folder, ""};
  const std::string test = part_called(folder, {"test", "testing"}),
                    validation = part_called(folder, {"val", "valid", "validation"});
  if (!test.empty() && !validation.empty())
    notes.push_back(cat(validation, ": is not read, as ", test, " is the test part"));
  return {train, test.empty() ? validation : test};
}

/// A class folder's files; throws when there are none.
std::vector<std::string> images_of_class(const std::string& folder) {
  std::vector<std::string> files = images_below(folder);
  LIMBECK_CHECK(
      !files.empty(), folder,
      ": expected images (PNG, JPEG, BMP, PNM) of the class, found none; fill the folder or "
      "take it away");
  return files;
}

void note_loose_images(const std::string& folder, std::vector<std::string>& notes) {
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder))
    count += !entry.is_directory() && is_image_name(entry.path().filename());
  if (count > 0)
    notes.push_back(cat(folder, ": ", count, count == 1 ? " image lies" : " images lie",
                        " beside the class folders and ", count == 1 ? "is" : "are", " not read"));
}

}  // namespace

bool has_label_table(const std::string& folder) {
  const std::string table = folder + "/labels.csv";
  std::error_code error;
  if (fs::exists(table, error)) return true;
  const auto names =
      fs::is_directory(folder, error) ? folders_in(folder) : std::vector<std::string>();
  LIMBECK_CHECK(
      !names.empty(), table,
      ": no such file, and no folders of classes (train/CLASS/..., or CLASS/...) in its place");
  return false;
}

Labels read_class_folders(const std::string& folder, const FolderSettings& s, int64_t seed) {
  LIMBECK_CHECK(s.task != "regression", folder,
                ": expected labels.csv with the responses (data.folder.task), found none");
  Labels l;
  l.origin = folder;
  const Parts parts = parts_of(folder, l.notes);
  check_test_share(s, folder, !parts.test.empty());
  l.task.class_names = folders_in(parts.train);
  sort_classes(l.task.class_names);
  l.task.classes = static_cast<int64_t>(l.task.class_names.size());
  std::vector<int64_t> labels;
  const auto take = [&](const std::string& part, const std::string& name, bool is_test) {
    const auto at = std::find(l.task.class_names.begin(), l.task.class_names.end(), name);
    LIMBECK_CHECK(at != l.task.class_names.end(), part, "/", name,
                  ": a class of the test part without training images in ", parts.train);
    for (std::string& file : images_of_class(part + "/" + name)) {
      l.files.push_back(std::move(file));
      l.is_test.push_back(is_test);
      labels.push_back(at - l.task.class_names.begin());
    }
  };
  for (const std::string& name : l.task.class_names) take(parts.train, name, false);
  std::vector<std::string> tested =
      parts.test.empty() ? std::vector<std::string>() : folders_in(parts.test);
  sort_classes(tested);
  for (const std::string& name : tested) take(parts.test, name, true);
  if (s.test_share > 0) share_out(s.test_share, seed, labels, l.is_test);
  note_loose_images(parts.train, l.notes);
  l.task.labels = Tensor::of(labels);
  return l;
}

}  // namespace limbeck::data
