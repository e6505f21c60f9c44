// Every recipe in configs/ is read and its plan is built, whether or not its images are there; the
// published numbers beside them name students of these plans.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "apps/config.h"
#include "apps/report_published.h"
#include "kd/method.h"
#include "kd/plan.h"
#include "kd/workflow.h"

namespace limbeck {
namespace {

namespace fs = std::filesystem;

kd::ExperimentSettings settings_in(const std::string& path) {
  kd::ExperimentSettings settings;
  read_toml(list_settings(settings), path);
  return settings;
}

std::vector<std::string> recipes() {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator("configs"))
    if (entry.path().extension() == ".toml") paths.push_back(entry.path().string());
  return paths;
}

std::map<std::string, int> roles_in(const std::string& path) {
  std::map<std::string, int> roles;
  for (const kd::Stage& stage : kd::Workflow(settings_in(path)).stages())
    ++roles[stage.labels.at("role")];
  return roles;
}

TEST(Configs, EachBuildsItsPlan) {
  ASSERT_GT(recipes().size(), 10u);
  for (const std::string& path : recipes())
    EXPECT_NO_THROW(kd::Workflow workflow(settings_in(path))) << path;
}

/// What a method refuses by name alone (the paper's NA cells, a pair without an assistant) does not
/// stand in a plan: nothing of it would begin.
TEST(Configs, NoPlanHasAPairThatItsMethodRefuses) {
  for (const std::string& path : recipes()) {
    const kd::ExperimentSettings settings = settings_in(path);
    for (const kd::Student& s : kd::plan_of(settings).students) {
      if (s.method == "none" || kd::is_data_free(s.method)) continue;
      const auto method = kd::create_method(s.method, settings.methods);
      EXPECT_NO_THROW(method->check_names(s.pair.teacher, s.pair.student)) << path;
    }
  }
}

TEST(Configs, ThePapersTablesHaveTheirStudents) {
  // Per seed: NOKD and cGAN-KD of 4 networks, 15 methods with two NA, 6 of them with fakes.
  EXPECT_EQ(roles_in("configs/cifar100-table2.toml")["student"], 4 * (2 * 4 + 6 * (15 + 6) - 2));
  const int unlike = 9 * (15 + 6) - 2 * 5 - 1, densenet = 6 * (2 + 1);
  EXPECT_EQ(roles_in("configs/cifar100-table3.toml")["student"], 4 * (2 * 6 + unlike + densenet));
  EXPECT_EQ(roles_in("configs/imagenet100-table4.toml")["student"],
            2 * 4 + 5 * (8 + 6) - 1 - 2 - 2);
  EXPECT_EQ(roles_in("configs/steering-angle.toml")["student"], 7 * (3 + 3 + 2));
  // Raw, m1 and m2, and one set for each rho and judge.
  EXPECT_EQ(roles_in("configs/cifar100-figures.toml")["fakes"], 3 + 10 + 2);
  EXPECT_EQ(roles_in("configs/steering-angle-figures.toml")["fakes"], 3 + 9 + 2 + 1);
}

TEST(Configs, PublishedNumbersStandBesideStudentsOfThePlans) {
  const std::map<std::string, std::vector<std::string>> beside = {
      {"cifar100", {"cifar100-table2", "cifar100-table3"}},
      {"cifar100-figures", {"cifar100-figures"}},
      {"imagenet100", {"imagenet100-table4"}},
      {"steering-angle", {"steering-angle"}},
      {"steering-angle-figures", {"steering-angle-figures"}},
      {"utkface", {"utkface"}}};
  std::set<std::string> alone;
  for (const auto& [table, configs] : beside) {
    std::set<std::string> students;
    for (const std::string& config : configs) {
      const auto settings = settings_in("configs/" + config + ".toml");
      const std::vector<kd::Stage> stages = kd::Workflow(settings).stages();
      // A plan without methods has a column for each network, others one for each pair.
      const bool by_pair = std::any_of(stages.begin(), stages.end(), [](const kd::Stage& stage) {
        return stage.labels.contains("pair");
      });
      for (const kd::Stage& stage : stages) {
        const kd::Labels& l = stage.labels;
        if (l.at("role") != "student") continue;
        const std::string cell = cat("/", l.at("method"), "/", l.at("fakes"));
        if (!by_pair) students.insert(l.at("model") + cell);
        for (const std::string& pair : settings.plan.pairs)
          if (by_pair &&
              (l.contains("pair") ? l.at("pair") == pair : pair.ends_with(" > " + l.at("model"))))
            students.insert(pair + cell);
      }
    }
    const std::string metric = table == "utkface"              ? "test_mae_truncated"
                               : table.starts_with("steering") ? "test_mae"
                                                               : "test_accuracy";
    for (const report::Published& p :
         report::read_published("configs/published/" + table + ".csv")) {
      EXPECT_EQ(p.key, metric) << table;
      if (const std::string student = cat(p.pair, "/", p.method, "/", p.fakes);
          p.method != "teacher" && !students.count(student))
        alone.insert(table + ": " + student);
    }
  }
  // SimKD needs a teacher whose classifier is one linear layer; the paper does not say what it did.
  EXPECT_EQ(alone, (std::set<std::string>{"imagenet100: vgg19 > ShuffleV1/simkd/none",
                                          "imagenet100: vgg19 > vgg8/simkd/none"}));
}

}  // namespace
}  // namespace limbeck
