#include "apps/before_work.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/console.h"
#include "apps/extension.h"
#include "apps/run_files.h"
#include "tensor/error.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

/// The folder that is there already of a path that may not be.
fs::path present_part(const std::string& directory) {
  std::error_code error;
  fs::path place = fs::absolute(directory, error);
  while (!fs::exists(place, error) && place.has_relative_path()) place = place.parent_path();
  return place;
}

void expect_room(const std::string& directory, const kd::DiskUse& use) {
  struct statvfs disk {};
  const fs::path place = present_part(directory);
  if (statvfs(place.c_str(), &disk) != 0 || disk.f_blocks == 0) return;  // it says nothing
  const auto free = static_cast<int64_t>(disk.f_bavail * disk.f_frsize);
  LIMBECK_CHECK(use.kept + use.passing <= free, directory, ": the run needs about ",
                format_bytes(use.kept + use.passing), " of disk (", format_bytes(use.kept),
                " stay), ", format_bytes(free), " are free on that of ", place.string());
}

struct Changed {
  const PlannedStage* planned;
  double seconds = 0;
  std::string extension;  ///< why it cannot be trained on; empty: it can
};

std::vector<Changed> finished_and_changed(const std::vector<PlannedStage>& plan,
                                          const std::string& directory) {
  std::vector<Changed> list;
  for (const auto& p : plan)
    if (is_superseded(directory, p))
      list.push_back({&p, read_times(stage_folder(directory, p.stage->name)).seconds,
                      why_not_extended(directory, p)});
  return list;
}

const char* fate(const Changed& c, const Permissions& permissions) {
  if (permissions.extend && c.extension.empty()) return "trained on";
  return permissions.replace ? "replaced" : "to be replaced";
}

std::string named(const std::vector<Changed>& list) {
  constexpr size_t most = 5;
  std::string text;
  for (size_t i = 0; i < std::min(list.size(), most); ++i)
    text += cat(i ? ", " : "", list[i].planned->stage->name, " (", list[i].planned->why, ", ",
                format_duration(list[i].seconds), ")");
  return list.size() > most ? cat(text, " and ", list.size() - most, " more") : text;
}

}  // namespace

void add_permission_options(CommandLine& app, Permissions& p) {
  app.add_flag(
      "--replace", p.replace,
      "train finished stages with changed settings again; the old ones are kept as NAME.1, "
      "NAME.2, ...");
  app.add_flag(
      "--extend", p.extend,
      "train finished stages on whose epochs or steps have grown, from the last state that "
      "--keep-state left");
  app.add_flag("--keep-state", p.keep_state,
               "keep the last state of each training (checkpoint.safetensors) for --extend");
}

kd::KnownIdentities read_inputs(kd::Workflow& workflow, const std::string& directory) {
  kd::KnownIdentities known{read_identities(directory)};
  workflow.read_inputs(known);
  return known;
}

void remember(const kd::KnownIdentities& known, const std::string& directory) {
  if (known.entries != read_identities(directory)) write_identities(directory, known.entries);
}

void check_before_work(const kd::Workflow& workflow, const std::vector<PlannedStage>& plan,
                       const std::string& directory) {
  std::vector<std::string> open;
  for (const auto& p : plan)
    if (p.state != StageState::finished) open.push_back(p.stage->name);
  if (open.empty()) return;
  expect_room(directory, workflow.check_data(open));
}

void print_changed(const std::vector<PlannedStage>& plan, const std::string& directory,
                   const Permissions& permissions) {
  const std::vector<Changed> list = finished_and_changed(plan, directory);
  if (list.empty()) return;
  std::printf("\n%-24s %-14s %12s %s\n", "finished before", "now", "took", "changed");
  for (const Changed& c : list)
    std::printf("%-24s %-14s %12s %s\n", c.planned->stage->name.c_str(), fate(c, permissions),
                format_duration(c.seconds).c_str(), c.planned->why.c_str());
  std::fflush(stdout);
}

void expect_permission(const std::vector<PlannedStage>& plan, const std::string& directory,
                       const Permissions& permissions) {
  std::vector<Changed> list = finished_and_changed(plan, directory);
  if (permissions.extend) {
    for (const Changed& c : list)
      LIMBECK_CHECK(c.extension.empty() || !grew(directory, *c.planned), "--extend: stage ",
                    c.planned->stage->name, ": ", c.extension);
    std::erase_if(list, [](const Changed& c) { return c.extension.empty(); });
  }
  if (list.empty() || permissions.replace) return;
  double seconds = 0;
  for (const Changed& c : list) seconds += c.seconds;
  const bool one = list.size() == 1;
  fail(directory, ": ", one ? "a finished stage has" : cat(list.size(), " finished stages have"),
       " other settings now, ", format_duration(seconds), " of work: ", named(list),
       "; --replace trains ", one ? "it" : "them", " again and keeps the old as ",
       list[0].planned->stage->name, ".1, another --out leaves all as it is");
}

}  // namespace limbeck
