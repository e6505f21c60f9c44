// Image folder with labels.csv (format: readers.h).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "data/readers.h"
#include "data/source.h"
#include "tensor/safetensors.h"

namespace limbeck::data {
namespace {

struct Row {
  int64_t line;  ///< in the file, counted from 1
  std::vector<std::string> cells;
};
struct Table {
  std::string file;
  std::vector<std::string> header;
  std::vector<Row> rows;
};

/// Cells of one line; "..." quotes commas, "" inside stands for one quote. Line breaks inside
/// quotes are not supported.
std::vector<std::string> split_cells(const std::string& file, int64_t line,
                                     const std::string& text) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"')
      cells.back() += text[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += c;
  }
  LIMBECK_CHECK(!quoted, file, ": line ", line, ": quote not closed");
  return cells;
}

Table read_csv(const std::string& file) {
  std::string text = read_file(file);
  if (text.rfind("\xEF\xBB\xBF", 0) == 0) text.erase(0, 3);  // byte order mark of some editors
  Table table;
  table.file = file;
  std::istringstream in(text);
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    auto cells = split_cells(file, number, line);
    if (table.header.empty()) {
      table.header = cells;
      continue;
    }
    LIMBECK_CHECK(cells.size() == table.header.size(), file, ": line ", number, ": expected ",
                  table.header.size(), " columns, found ", cells.size());
    table.rows.push_back({number, std::move(cells)});
  }
  LIMBECK_CHECK(!table.header.empty(), file,
                ": expected a header with the columns file,<label>[,split], found an empty file");
  LIMBECK_CHECK(!table.rows.empty(), file,
                ": expected one line per image after the header, found none");
  return table;
}

/// Index of a column, or -1.
int find_column(const Table& t, const std::string& name) {
  const auto at = std::find(t.header.begin(), t.header.end(), name);
  return at == t.header.end() ? -1 : static_cast<int>(at - t.header.begin());
}

int find_label_column(const Table& t, const std::string& wanted) {
  if (!wanted.empty()) {
    const int at = find_column(t, wanted);
    LIMBECK_CHECK(at >= 0, t.file, ": no label column '", wanted, "', found ", joined(t.header));
    return at;
  }
  std::vector<std::string> candidates;
  for (const auto& name : t.header)
    if (name != "file" && name != "split") candidates.push_back(name);
  LIMBECK_CHECK(
      candidates.size() == 1, t.file, ": expected one label column besides file and split, found ",
      candidates.empty() ? "none" : joined(candidates), "; name one with data.folder.label_column");
  return find_column(t, candidates[0]);
}

double parse_response(const Table& t, const Row& row, int column) {
  const std::string& cell = row.cells[static_cast<size_t>(column)];
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  LIMBECK_CHECK(error == std::errc() && end == cell.data() + cell.size() && std::isfinite(value),
                t.file, ": line ", row.line, ": column ", t.header[static_cast<size_t>(column)],
                ": expected a number, found '", cell, "'");
  return value;
}

/// True when the cell is a whole number that from_chars takes completely.
bool parse_integer(const std::string& cell, int64_t& value) {
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  return error == std::errc() && end == cell.data() + cell.size() && !cell.empty();
}

/// Class numbers of all rows. Numbers stay as they are, names are numbered in alphabetical order
/// over the training rows.
std::vector<int64_t> parse_classes(const Table& t, int column, const std::vector<bool>& is_test,
                                   Dataset& task) {
  const auto cell = [&](size_t i) -> const std::string& {
    return t.rows[i].cells[static_cast<size_t>(column)];
  };
  int64_t value = 0;
  bool numbers = true;
  for (size_t i = 0; i < t.rows.size(); ++i) numbers = numbers && parse_integer(cell(i), value);
  std::map<std::string, int64_t> names;
  if (!numbers) {
    for (size_t i = 0; i < t.rows.size(); ++i)
      if (!is_test[i]) names[cell(i)] = 0;
    for (auto& [name, number] : names) {
      number = static_cast<int64_t>(task.class_names.size());
      task.class_names.push_back(name);
    }
  }
  std::vector<int64_t> classes(t.rows.size());
  for (size_t i = 0; i < t.rows.size(); ++i) {
    if (numbers) {
      parse_integer(cell(i), classes[i]);
      LIMBECK_CHECK(classes[i] >= 0 && classes[i] < 65536, t.file, ": line ", t.rows[i].line,
                    ": label ", classes[i], ", expected a class 0..65535");
      if (!is_test[i]) task.classes = std::max(task.classes, classes[i] + 1);
    } else if (const auto at = names.find(cell(i)); at != names.end()) {
      classes[i] = at->second;
    } else {
      fail(t.file, ": line ", t.rows[i].line, ": test class '", cell(i), "' is not among the ",
           names.size(), " training classes");
    }
  }
  if (!numbers) task.classes = static_cast<int64_t>(names.size());
  for (size_t i = 0; i < t.rows.size(); ++i)
    LIMBECK_CHECK(classes[i] < task.classes, t.file, ": line ", t.rows[i].line, ": label ",
                  classes[i], ", expected 0..", task.classes - 1, " (the training classes)");
  return classes;
}

std::vector<bool> parse_split(const Table& t) {
  const int column = find_column(t, "split");
  std::vector<bool> is_test(t.rows.size(), false);
  if (column < 0) return is_test;
  bool any_train = false;
  for (size_t i = 0; i < t.rows.size(); ++i) {
    const std::string& cell = t.rows[i].cells[static_cast<size_t>(column)];
    LIMBECK_CHECK(cell == "train" || cell == "test", t.file, ": line ", t.rows[i].line,
                  ": split expected train or test, found '", cell, "'");
    is_test[i] = cell == "test";
    any_train = any_train || !is_test[i];
  }
  LIMBECK_CHECK(any_train, t.file, ": no line has the split train");
  return is_test;
}

/// Decodes the files of all rows, in parallel; the error of the first bad line is reported whatever
/// the thread count.
Tensor read_images(const Table& t, const std::string& folder, int column, Resize resize,
                   int64_t size) {
  const auto read = [&](const std::string& file) {
    const Tensor image = read_image(file);
    return resize == Resize::none ? image : resize_image(image, size, resize);
  };
  const auto path = [&](size_t i) {
    return folder + "/" + t.rows[i].cells[static_cast<size_t>(column)];
  };
  const auto n = static_cast<int64_t>(t.rows.size());
  const auto first = [&] {
    try {
      return read(path(0));
    } catch (const Error& e) {
      fail(t.file, ": line ", t.rows[0].line, ": ", e.what());
    }
  }();
  Tensor images = Tensor::empty({n, first.size(0), first.size(1), first.size(2)}, DType::u8);
  std::vector<std::string> errors(t.rows.size());
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t i = 0; i < n; ++i) {
    const auto row = static_cast<size_t>(i);
    try {
      const Tensor image = read(path(row));
      LIMBECK_CHECK(image.shape() == first.shape(), path(row),
                    ": expected an image of [height, width, channels] = ", first.shape(),
                    " as the first one, found ", image.shape(),
                    image.size(2) == first.size(2) ? "; data.resize brings them to one size" : "");
      std::memcpy(images.data<uint8_t>() + i * first.numel(), image.data<uint8_t>(),
                  static_cast<size_t>(first.numel()));
    } catch (const std::exception& e) {
      errors[row] = e.what();
    }
  }
  for (size_t i = 0; i < errors.size(); ++i)
    LIMBECK_CHECK(errors[i].empty(), t.file, ": line ", t.rows[i].line, ": ", errors[i]);
  return images;
}

/// All of labels.csv: a dataset without images, in the order of the lines.
struct Labels {
  Table table;
  int file_column = 0;
  std::vector<bool> is_test;
  Dataset task;
};

/// Some of the lines.
void keep_rows(Labels& l, const std::vector<int64_t>& rows) {
  std::vector<Row> kept;
  std::vector<bool> is_test;
  for (const int64_t row : rows) {
    kept.push_back(std::move(l.table.rows[static_cast<size_t>(row)]));
    is_test.push_back(l.is_test[static_cast<size_t>(row)]);
  }
  l.table.rows = std::move(kept);
  l.is_test = std::move(is_test);
}

/// Targets and scale of the column's responses, and which lines stay.
void take_responses(Labels& l, int column, const ResponseSettings& settings) {
  const Table& t = l.table;
  std::vector<double> all, training;
  for (const Row& row : t.rows) all.push_back(parse_response(t, row, column));
  check_responses(all, settings, "data.folder",
                  [&](size_t i) { return cat(t.file, ": line ", t.rows[i].line); });
  const std::vector<int64_t> kept = kept_rows(all, settings);
  std::vector<float> responses;
  for (const int64_t row : kept) {
    const auto i = static_cast<size_t>(row);
    responses.push_back(static_cast<float>(all[i]));
    if (!l.is_test[i]) training.push_back(all[i]);
  }
  keep_rows(l, kept);
  l.task.targets = Tensor::of(responses);
  l.task.scale = response_scale(training, settings, "data.folder", t.file);
}

Labels read_labels(const std::string& folder, const FolderSettings& s) {
  check_response_settings(s.response, "data.folder");
  Labels l{.table = read_csv(folder + "/labels.csv")};
  const Table& t = l.table;
  l.file_column = find_column(t, "file");
  const int column = find_label_column(t, s.label_column);
  LIMBECK_CHECK(l.file_column >= 0, t.file, ": expected a column file, found ", joined(t.header));
  l.is_test = parse_split(t);
  const std::string& name = t.header[static_cast<size_t>(column)];
  if (name == "class" || name == "label") {
    LIMBECK_CHECK(!s.response.scale_given() && s.response.unit.empty() && !s.response.cuts(),
                  t.file, ": column ", name,
                  " holds classes; data.folder.response_low, response_high, response_unit, "
                  "response_from and response_to belong to responses");
    l.task.labels = Tensor::of(parse_classes(t, column, l.is_test, l.task));
    return l;
  }
  take_responses(l, column, s.response);
  return l;
}

void check_folder(const FolderSettings& s, const std::string& folder) {
  const Labels l = read_labels(folder, s);
  for (const Row& row : l.table.rows) {
    const std::string file = folder + "/" + row.cells[static_cast<size_t>(l.file_column)];
    LIMBECK_CHECK(std::filesystem::exists(file), l.table.file, ": line ", row.line, ": ", file,
                  ": no such file");
  }
}

}  // namespace

Split read_folder(const std::string& folder, const FolderSettings& settings, Resize resize,
                  int64_t size) {
  const Labels l = read_labels(folder, settings);
  Dataset all = l.task;
  all.images = read_images(l.table, folder, l.file_column, resize, size);
  std::vector<int64_t> train, test;
  for (size_t i = 0; i < l.is_test.size(); ++i)
    (l.is_test[i] ? test : train).push_back(static_cast<int64_t>(i));
  return {all.select(train), all.select(test)};
}

namespace {

const RegisterSource source_of_folder(
    {.name = "folder",
     .help = "image files named by labels.csv, with classes or responses",
     .files = "labels.csv and the images it names",
     .settings = FolderSettings{},
     .check =
         [](const AnySettings& own, const DataSettings& common) {
           check_folder(own.as<FolderSettings>(), common.path);
         },
     .load =
         [](const AnySettings& own, const DataSettings& common) {
           return read_folder(common.path, own.as<FolderSettings>(), parse_resize(common.resize),
                              common.image_size);
         }});

}  // namespace

}  // namespace limbeck::data
