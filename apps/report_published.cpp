#include "apps/report_published.h"

#include "apps/config.h"
#include "tensor/error.h"

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

}  // namespace

bool belongs_to(const Published& published, const std::string& method, const std::string& fakes) {
  return method.empty() ? published.method == "teacher"
                        : published.method == method && published.fakes == fakes;
}

std::vector<Published> read_published(const std::string& path) {
  std::vector<Published> list;
  for (const auto& entry : read_toml_list<Published>(path, "published")) {
    check_published(entry, list);
    list.push_back(entry.value);
  }
  return list;
}

}  // namespace limbeck::report
