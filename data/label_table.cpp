// labels.csv: which column is what, classes by number or name, responses (format: readers.h).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "data/labels.h"
#include "data/table.h"

namespace limbeck::data {
namespace {

const std::vector<std::string> file_names = {"file",       "filename", "file_name", "image",
                                             "image_name", "path",     "file_path", "filepath",
                                             "image_path", "img",      "img_path",  "image_file"};
const std::vector<std::string> split_names = {"split", "subset", "partition"};
const std::vector<std::string> class_names = {
    "class",      "label",       "category",   "classes",       "labels",
    "categories", "class_name",  "label_name", "category_name", "class_id",
    "label_id",   "category_id", "classname",  "class_label",   "classid"};

bool is_one_of(const std::string& name, const std::vector<std::string>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// A header as it is compared: "Image Name" is image_name.
std::string plain_name(const std::string& header) {
  std::string name = lower_case(header);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return name;
}

/// The column of row numbers that pandas writes first, and columns without a name.
bool is_index_column(const std::string& name) {
  return name.empty() || name == "index" || name.starts_with("unnamed:_");
}

/// Columns of labels.csv; -1: there is none.
struct Columns {
  int file = -1, split = -1, label = -1;
};

std::vector<int> columns_called(const Table& t, const std::vector<std::string>& names) {
  std::vector<int> found;
  for (const std::string& name : names)
    for (size_t i = 0; i < t.header.size(); ++i)
      if (plain_name(t.header[i]) == name) found.push_back(static_cast<int>(i));
  return found;
}

std::string header_of(const Table& t, int column) { return t.header[static_cast<size_t>(column)]; }

std::vector<std::string> headers_of(const Table& t, const std::vector<int>& columns) {
  std::vector<std::string> names;
  for (const int column : columns) names.push_back(header_of(t, column));
  return names;
}

/// The column that a setting names, exactly or without regard to case.
int named_column(const Table& t, const std::string& wanted, const char* what) {
  const auto exact = std::find(t.header.begin(), t.header.end(), wanted);
  if (exact != t.header.end()) return static_cast<int>(exact - t.header.begin());
  const auto found = columns_called(t, {plain_name(wanted)});
  LIMBECK_CHECK(!found.empty(), t.file, ": no ", what, " column '", wanted, "', found ",
                joined(t.header));
  return found[0];
}

int file_column(const Table& t, const FolderSettings& s) {
  if (!s.file_column.empty()) return named_column(t, s.file_column, "file");
  auto found = columns_called(t, file_names);
  if (const auto exact = columns_called(t, {"file"}); exact.size() == 1) found = exact;
  for (const std::string& name : t.header)
    LIMBECK_CHECK(found.size() == 1 || !is_image_name(name), t.file,
                  ": expected a header as file,class before the first image, found '", name, "'");
  LIMBECK_CHECK(!found.empty(), t.file,
                ": expected a column file (or filename, image, path) of the images, found ",
                joined(t.header), "; data.folder.file_column can name another");
  LIMBECK_CHECK(found.size() == 1, t.file, ": expected one column of the images, found ",
                joined(headers_of(t, found)), "; choose one with data.folder.file_column");
  return found[0];
}

int split_column(const Table& t) {
  const auto found = columns_called(t, split_names);
  LIMBECK_CHECK(found.size() < 2, t.file, ": expected one column split, found ",
                joined(headers_of(t, found)));
  return found.empty() ? -1 : found[0];
}

int label_column(const Table& t, const FolderSettings& s, int file, int split) {
  if (!s.label_column.empty()) return named_column(t, s.label_column, "label");
  std::vector<int> found;
  for (int i = 0; i < static_cast<int>(t.header.size()); ++i)
    if (i != file && i != split && !is_index_column(plain_name(header_of(t, i))))
      found.push_back(i);
  LIMBECK_CHECK(found.size() == 1, t.file,
                ": expected one label column besides file and split, found ",
                found.empty() ? "none" : joined(headers_of(t, found)),
                "; name one with data.folder.label_column");
  return found[0];
}

Columns columns_of(const Table& t, const FolderSettings& s) {
  Columns c;
  c.file = file_column(t, s);
  c.split = split_column(t);
  c.label = label_column(t, s, c.file, c.split);
  LIMBECK_CHECK(c.label != c.file, t.file, ": column ", header_of(t, c.file),
                " cannot be both file and label");
  return c;
}

const std::string& cell_of(const Row& row, int column) {
  return row.cells[static_cast<size_t>(column)];
}

/// A cell that is a finite number: 3, +3, 3.0, 1e2.
std::optional<double> number_in(const std::string& cell) {
  const char *begin = cell.data(), *end = begin + cell.size();
  if (cell.size() > 1 && *begin == '+' && begin[1] != '-') ++begin;
  double value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return {};
  return value;
}

/// What tables write for a value that is not there. Words that may name a class are missing values
/// among numbers only.
bool is_missing(const std::string& cell, bool among_numbers) {
  const std::string word = lower_case(cell);
  if (word.empty() || is_one_of(word, {"nan", "<na>", "n/a", "#n/a", "null"})) return true;
  return among_numbers && is_one_of(word, {"na", "none", "nil", "-", "?"});
}

void check_label(const Table& t, const Row& row, int column, bool among_numbers) {
  const std::string& cell = cell_of(row, column);
  LIMBECK_CHECK(!is_missing(cell, among_numbers), t.file, ": line ", row.line, ": column ",
                header_of(t, column), ": no label, found ",
                cell.empty() ? "nothing" : "'" + cell + "'", "; give it one or delete the line");
}

double parse_response(const Table& t, const Row& row, int column) {
  const std::string& cell = cell_of(row, column);
  if (const auto value = number_in(cell)) return *value;
  const bool comma = cell.find(',') != std::string::npos;
  fail(t.file, ": line ", row.line, ": column ", header_of(t, column),
       ": expected a number, found '", cell, "'",
       comma                    ? " (numbers have a point)"
       : is_missing(cell, true) ? "; delete lines without a response"
                                : "; for classes call the column class, or set "
                                  "data.folder.task=classification");
}

int64_t class_number(const Table& t, const Row& row, int column) {
  const double value = number_in(cell_of(row, column)).value();
  LIMBECK_CHECK(value == std::floor(value), t.file, ": line ", row.line, ": label ",
                cell_of(row, column),
                ", expected a whole number; for responses set data.folder.task=regression");
  LIMBECK_CHECK(value >= 0 && value < 65536, t.file, ": line ", row.line, ": label ",
                cell_of(row, column), ", expected a class 0..65535");
  return static_cast<int64_t>(value);
}

void classes_by_number(const Table& t, int column, Labels& l) {
  std::vector<int64_t> classes;
  for (size_t i = 0; i < t.rows.size(); ++i) {
    check_label(t, t.rows[i], column, true);
    classes.push_back(class_number(t, t.rows[i], column));
    if (!l.is_test[i]) l.task.classes = std::max(l.task.classes, classes[i] + 1);
  }
  for (size_t i = 0; i < classes.size(); ++i)
    LIMBECK_CHECK(classes[i] < l.task.classes, l.place(i), "label ", classes[i], ", expected 0..",
                  l.task.classes - 1, " (the training classes)");
  l.task.labels = Tensor::of(classes);
}

/// Names that look alike are most likely one class, numbers among them a mistake.
void note_names(const Table& t, int column, const std::map<std::string, int64_t>& names,
                Labels& l) {
  std::map<std::string, std::string> folded;
  std::string number, word;
  for (const auto& [name, index] : names) {
    const auto [other, is_new] = folded.emplace(lower_case(name), name);
    if (!is_new)
      l.notes.push_back(cat(t.file, ": classes '", other->second, "' and '", name,
                            "' differ in upper and lower case only"));
    (number_in(name) ? number : word) = name;
  }
  if (!number.empty() && !word.empty())
    l.notes.push_back(cat(t.file, ": column ", header_of(t, column), " has numbers ('", number,
                          "') and names ('", word, "'): all are taken as names"));
}

void classes_by_name(const Table& t, int column, Labels& l) {
  std::map<std::string, int64_t> names;
  for (size_t i = 0; i < t.rows.size(); ++i) {
    check_label(t, t.rows[i], column, false);
    if (!l.is_test[i]) names[cell_of(t.rows[i], column)] = 0;
  }
  for (auto& [name, number] : names) {
    number = l.task.classes++;
    l.task.class_names.push_back(name);
  }
  std::vector<int64_t> classes;
  for (size_t i = 0; i < t.rows.size(); ++i) {
    const auto at = names.find(cell_of(t.rows[i], column));
    LIMBECK_CHECK(at != names.end(), l.place(i), "test class '", cell_of(t.rows[i], column),
                  "' is not among the ", names.size(), " training classes");
    classes.push_back(at->second);
  }
  l.task.labels = Tensor::of(classes);
  note_names(t, column, names, l);
}

/// Numbers stay as they are, names are numbered in alphabetical order over the training rows.
void take_classes_of_column(const Table& t, int column, Labels& l) {
  const bool numbers = std::all_of(t.rows.begin(), t.rows.end(), [&](const Row& row) {
    return is_missing(cell_of(row, column), true) || number_in(cell_of(row, column));
  });
  return numbers ? classes_by_number(t, column, l) : classes_by_name(t, column, l);
}

std::vector<bool> parse_split(const Table& t, int column) {
  std::vector<bool> is_test(t.rows.size(), false);
  if (column < 0) return is_test;
  bool any_train = false;
  for (size_t i = 0; i < t.rows.size(); ++i) {
    const std::string part = lower_case(cell_of(t.rows[i], column));
    is_test[i] = part == "test" || part == "testing";
    LIMBECK_CHECK(is_test[i] || part == "train" || part == "training", t.file, ": line ",
                  t.rows[i].line, ": split expected train or test, found '",
                  cell_of(t.rows[i], column), "'",
                  part.starts_with("val") ? "; call it train or test, or delete the line" : "");
    any_train = any_train || !is_test[i];
  }
  LIMBECK_CHECK(any_train, t.file, ": no line has the split train");
  return is_test;
}

/// Some of the lines.
template <class T>
std::vector<T> chosen(const std::vector<T>& all, const std::vector<int64_t>& rows) {
  std::vector<T> some;
  for (const int64_t row : rows) some.push_back(all[static_cast<size_t>(row)]);
  return some;
}

/// A column of a few whole numbers may hold classes under another name.
void note_whole_responses(const Table& t, int column, const std::vector<double>& all, Labels& l) {
  const std::set<double> values(all.begin(), all.end());
  const bool whole = std::all_of(values.begin(), values.end(),
                                 [](double v) { return v == std::floor(v) && v >= 0; });
  if (whole && values.size() <= 10 && all.size() >= 2 * values.size())
    l.notes.push_back(cat(t.file, ": column ", header_of(t, column), " is read as responses (",
                          values.size(),
                          " different whole numbers); if they are classes call it class, or set "
                          "data.folder.task=classification"));
}

/// Targets and scale of the column's responses, and which lines stay.
void take_responses(const Table& t, int column, const FolderSettings& s, Labels& l) {
  std::vector<double> all, training;
  for (const Row& row : t.rows) all.push_back(parse_response(t, row, column));
  check_responses(all, s.response, "data.folder",
                  [&](size_t i) { return cat(t.file, ": line ", t.rows[i].line); });
  if (s.task.empty()) note_whole_responses(t, column, all, l);
  const std::vector<int64_t> kept = kept_rows(all, s.response);
  std::vector<float> responses;
  for (const int64_t row : kept) {
    const auto i = static_cast<size_t>(row);
    responses.push_back(static_cast<float>(all[i]));
    if (!l.is_test[i]) training.push_back(all[i]);
  }
  l.files = chosen(l.files, kept), l.lines = chosen(l.lines, kept);
  l.is_test = chosen(l.is_test, kept);
  l.task.targets = Tensor::of(responses);
  l.task.scale = response_scale(training, s.response, "data.folder", t.file);
}

/// Images that are listed again: a contradiction, a test image that trains, or a repetition.
void note_repeated_images(const Table& t, const Columns& c, Labels& l) {
  std::map<std::string, size_t> first;
  struct Kind {
    const char* what;
    int64_t count = 0;
    std::string example = {};
  } labels{"with different labels"}, parts{"in the training and the test part"},
      again{"more than once"};
  for (size_t i = 0; i < t.rows.size(); ++i) {
    const auto [at, is_new] =
        first.emplace(std::filesystem::path(l.files[i]).lexically_normal().string(), i);
    if (is_new) continue;
    const size_t before = at->second;
    Kind& kind = cell_of(t.rows[i], c.label) != cell_of(t.rows[before], c.label) ? labels
                 : l.is_test[i] != l.is_test[before]                             ? parts
                                                                                 : again;
    if (kind.count++ == 0)
      kind.example = cat(cell_of(t.rows[i], c.file), " in lines ", t.rows[before].line, " and ",
                         t.rows[i].line);
  }
  for (const Kind* kind : {&labels, &parts, &again})
    if (kind->count > 0)
      l.notes.push_back(cat(t.file, ": ", kind->count,
                            kind->count == 1 ? " line names" : " lines name", " an image again, ",
                            kind->what, " (", kind->example, ")"));
}

bool holds_classes(const Table& t, int column, const FolderSettings& s) {
  const std::string name = header_of(t, column);
  const bool classes =
      s.task.empty() ? is_one_of(plain_name(name), class_names) : s.task == "classification";
  LIMBECK_CHECK(
      !classes || (!s.response.scale_given() && s.response.unit.empty() && !s.response.cuts()),
      t.file, ": column ", name,
      " holds classes; data.folder.response_low, response_high, response_unit, "
      "response_from and response_to belong to responses");
  return classes;
}

/// For the draw of a test part: lines with the same label have the same number, of responses all.
std::vector<int64_t> groups_of(const Table& t, int column, bool classes) {
  std::map<std::string, int64_t> numbers;
  std::vector<int64_t> groups;
  for (const Row& row : t.rows) {
    const auto next = static_cast<int64_t>(numbers.size());
    groups.push_back(classes ? numbers.emplace(cell_of(row, column), next).first->second : 0);
  }
  return groups;
}

/// Paths as they can be opened: relative ones begin in the folder.
std::vector<std::string> files_of(const Table& t, int column, const std::string& folder) {
  std::vector<std::string> files;
  for (const Row& row : t.rows) {
    const std::string& name = cell_of(row, column);
    LIMBECK_CHECK(!name.empty(), t.file, ": line ", row.line, ": column ", header_of(t, column),
                  ": expected the file of an image, found nothing");
    files.push_back(name.front() == '/' ? name : folder + "/" + name);
  }
  return files;
}

}  // namespace

Labels read_label_table(const std::string& folder, const FolderSettings& s, int64_t seed) {
  const Table t = read_table(folder + "/labels.csv");
  LIMBECK_CHECK(!t.header.empty(), t.file,
                ": expected a header with the columns file,<label>[,split], found an empty file");
  LIMBECK_CHECK(!t.rows.empty(), t.file,
                ": expected one line per image after the header, found none");
  const Columns c = columns_of(t, s);
  Labels l;
  l.origin = t.file;
  l.files = files_of(t, c.file, folder);
  for (const Row& row : t.rows) l.lines.push_back(row.line);
  l.is_test = parse_split(t, c.split);
  const bool classes = holds_classes(t, c.label, s);
  check_test_share(s, t.file, c.split >= 0);
  if (s.test_share > 0) share_out(s.test_share, seed, groups_of(t, c.label, classes), l.is_test);
  note_repeated_images(t, c, l);
  if (classes)
    take_classes_of_column(t, c.label, l);
  else
    take_responses(t, c.label, s, l);
  return l;
}

}  // namespace limbeck::data
