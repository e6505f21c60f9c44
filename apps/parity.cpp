// `limbeck parity FIXTURE.json...`: our networks beside numbers computed with the original PyTorch
// modules.
#include <cstdio>
#include <map>
#include <memory>

#include "apps/command.h"
#include "apps/device_option.h"
#include "nn/parity.h"

namespace limbeck::parity_app {
namespace {

struct Options {
  std::vector<std::string> fixtures;
  std::string dtype = "f64";
  bool all = false;
  std::shared_ptr<DeviceOptions> device;
};

void print_line(const std::string& model, const std::string& quantity, const nn::ParityLine& worst,
                size_t count) {
  std::printf("%-12s %-28s %4zu numbers  largest relative error %8.1e  %s\n", model.c_str(),
              quantity.c_str(), count, worst.relative, worst.ok() ? "ok" : "FAILED");
  if (!worst.ok())
    std::printf("%-12s   %s, %s\n", "", worst.quantity.c_str(), worst.detail.c_str());
}

/// One line per group with its worst member, or one per quantity.
void print_report(const nn::ParityReport& report, bool all) {
  std::vector<std::string> order;
  std::map<std::string, std::pair<nn::ParityLine, size_t>> groups;
  for (const nn::ParityLine& line : report.lines) {
    if (all) {
      print_line(report.name, line.group + ": " + line.quantity, line, 1);
      continue;
    }
    auto [it, fresh] = groups.try_emplace(line.group, line, 0);
    if (fresh) order.push_back(line.group);
    ++it->second.second;
    if (line.error > it->second.first.error) it->second.first = line;
  }
  for (const std::string& note : report.notes)
    std::printf("%-12s %s\n", report.name.c_str(), note.c_str());
  for (const std::string& group : order)
    print_line(report.name, group, groups.at(group).first, groups.at(group).second);
}

void run(const Options& o) {
  const DType dtype = parse_dtype(o.dtype);
  const Device device = chosen_device(*o.device);
  bool ok = true;
  for (const std::string& path : o.fixtures) {
    for (const nn::ParityReport& report : nn::run_parity(path, dtype, device)) {
      print_report(report, o.all);
      std::fflush(stdout);
      ok = ok && report.ok();
    }
  }
  std::printf("%s\n", ok ? "all hold" : "some do not hold");
  if (!ok) throw ExitStatus{1};
}

const RegisterCommand command(
    {"parity", "compare networks and criteria with numbers of the original PyTorch modules",
     [](CommandLine& app) {
       auto o = std::make_shared<Options>();
       app.add_option("fixtures", o->fixtures, "fixture files (tests/data/fixtures/*.json)")
           .required();
       app.add_option("--dtype", o->dtype, "element type of the computation")
           .one_of({"f32", "f64"})
           .show_default();
       app.add_flag("--all", o->all, "one line per quantity instead of one per group");
       o->device = add_device_options(app);
       app.callback([o] { run(*o); });
     }});

}  // namespace
}  // namespace limbeck::parity_app
