#include "apps/report_published.h"

#include <cstdlib>
#include <sstream>

#include "apps/config.h"
#include "tensor/error.h"
#include "tensor/safetensors.h"

namespace limbeck::report {
namespace {

bool same_place(const Published& a, const Published& b) {
  return a.pair == b.pair && a.method == b.method && a.fakes == b.fakes && a.key == b.key;
}

void check_published(const Located<Published>& entry, const std::vector<Published>& before) {
  const auto& [where, p] = entry;
  for (const auto& [key, text] :
       {std::pair("pair", &p.pair), std::pair("method", &p.method), std::pair("source", &p.source)})
    LIMBECK_CHECK(!text->empty(), where, "'", key, "' is missing");
  LIMBECK_CHECK(std::isfinite(p.value), where, "'value': expected a finite number, found ",
                std::isnan(p.value) ? "none" : "infinity");
  LIMBECK_CHECK(!(p.deviation < 0), where, "'deviation': expected 0 or more, found ", p.deviation);
  for (const Published& other : before)
    LIMBECK_CHECK(!same_place(p, other), where, "a second number for ", p.method, " (fakes ",
                  p.fakes, ") of '", p.pair, "', ", p.key);
}

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells{""};
  for (const char c : line) {
    if (c == ',')
      cells.emplace_back();
    else if (c != '\r')
      cells.back() += c;
  }
  return cells;
}

double number_of(const std::string& text, const std::string& where) {
  char* end = nullptr;
  const double value = text.empty() ? NAN : std::strtod(text.c_str(), &end);
  LIMBECK_CHECK(text.empty() || *end == 0, where, "expected a number, found '", text, "'");
  return value;
}

/// A table: the first line has the keys of [[published]], each other one a number. No cell has a
/// comma; lines that begin with # say something to people.
std::vector<Located<Published>> read_csv(const std::string& path) {
  const std::vector<std::string> keys{"pair", "method", "fakes",     "key",
                                      "name", "value",  "deviation", "source"};
  std::vector<Located<Published>> list;
  std::istringstream in(read_file(path));
  bool headed = false;
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string where = cat(path, ":", ++number, ": ");
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> cells = cells_of(line);
    if (!headed) {
      LIMBECK_CHECK(cells == keys, where,
                    "expected pair,method,fakes,key,name,value,deviation,source, found ", line);
      headed = true;
      continue;
    }
    LIMBECK_CHECK(cells.size() == keys.size(), where, "expected ", keys.size(), " cells, found ",
                  cells.size());
    Published p{cells[0], cells[1]};
    if (!cells[2].empty()) p.fakes = cells[2];
    if (!cells[3].empty()) p.key = cells[3];
    p.name = cells[4], p.source = cells[7];
    p.value = number_of(cells[5], where), p.deviation = number_of(cells[6], where);
    list.push_back({where, p});
  }
  LIMBECK_CHECK(!list.empty(), path, ": expected a header and a line for each number, found none");
  return list;
}

}  // namespace

bool belongs_to(const Published& published, const std::string& method, const std::string& fakes) {
  return method.empty() ? published.method == "teacher"
                        : published.method == method && published.fakes == fakes;
}

std::vector<Published> read_published(const std::string& path) {
  std::vector<Published> list;
  for (const auto& entry :
       path.ends_with(".csv") ? read_csv(path) : read_toml_list<Published>(path, "published")) {
    check_published(entry, list);
    list.push_back(entry.value);
  }
  return list;
}

}  // namespace limbeck::report
